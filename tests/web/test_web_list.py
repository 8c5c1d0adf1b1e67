"""The list of incidents: what its address asks for, on the page and in the API alike, and what is done to many at once."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Mapping
from urllib.parse import unquote

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.machine.events import Resolve
from amproxy.model import Incident
from amproxy.store import incidents, keys
from amproxy.store.incidents import ListPosition
from amproxy.store.views import MAX_VIEWS, load_views
from tests.support.web.edited import words
from tests.support.web.website import NOW, Site

EVERY = ["triggered", "acknowledged", "snoozed", "resolved"]


async def numbers(site: Site, query: Mapping[str, object]) -> list[int]:
    """What the API finds; the page shows the same."""
    found = [
        one["number"]
        for one in (await site.client.get("/api/v1/incidents", params=query)).json()["incidents"]
    ]
    page = (await site.client.get("/incidents", params=query, follow_redirects=True)).text
    rows = [int(part.partition("<")[0]) for part in page.split('<span class="number">#')[1:]]
    assert rows == found
    return found


async def test_lists_are_narrowed_by_team_policy_person_text_and_time(site: Site) -> None:
    one = await site.opened(
        "careful",
        title="Disk full on DB-7",
        team="db",
        common_annotations={"summary": "Nothing can be Written"},
    )
    site.clock[0] += 3600
    two = await site.opened(title="Checkout fails", text="see the runbook")
    await site.client.post(f"/api/v1/incidents/{two.id}/acknowledge", json={"user": "bob"})
    assert await numbers(site, {}) == [2, 1]
    assert await numbers(site, {"team": "db"}) == [1] and await numbers(site, {"team": "none"}) == [
        2
    ]
    assert (
        await numbers(site, {"policy": "careful"}) == [1]
        and await numbers(site, {"policy": "nothing"}) == []
    )
    assert await numbers(site, {"user": "alice"}) == [2, 1]  # paged for both
    assert await numbers(site, {"user": "bob"}) == [2]  # acknowledged
    assert await numbers(site, {"text": "db-7"}) == [1] and await numbers(
        site, {"text": "written"}
    ) == [1]
    assert await numbers(site, {"text": "RUNBOOK"}) == [2] and await numbers(
        site, {"text": "#2"}
    ) == [2]
    assert await numbers(site, {"from": "2026-01-06T10:30:00Z"}) == [2] and await numbers(
        site, {"to": "2026-01-06T10:30:00Z"}
    ) == [1]
    assert await numbers(site, {"from": "2026-01-06T11:30", "zone": "Europe/Berlin"}) == [2]
    assert await numbers(site, {"to": "2026-01-06T10:00:00Z"}) == []  # before, not at
    assert await numbers(site, {"team": "db", "user": "bob"}) == []
    assert one.number == 1


@pytest.mark.parametrize(
    "query",
    [
        "from=soon",
        "from=2026-01-01&zone=Mars/Base",
        "to=2026-01-01T00:00&zone=../../etc",
        "from=2026-01-02T00:00Z&to=2026-01-01T00:00Z",
    ],
)
async def test_times_that_make_no_sense_are_refused(site: Site, query: str) -> None:
    assert (await site.client.get(f"/api/v1/incidents?{query}")).status_code == 422
    assert (await site.client.get(f"/incidents?{query}")).status_code == 422


async def test_the_address_of_a_list_goes_without_empty_fields(site: Site) -> None:
    answer = await site.client.get(
        "/incidents?state=resolved&text=&label=&team=&from=&to=&zone=UTC"
    )
    assert answer.status_code == 303 and answer.headers["location"] == "/incidents?state=resolved"
    answer = await site.client.get(
        "/incidents?state=snoozed&state=triggered&state=acknowledged&text=disk"
    )
    assert answer.headers["location"] == "/incidents?text=disk"
    answer = await site.client.get("/incidents?label=&from=2026-01-01T00:00&zone=Europe/Berlin")
    assert answer.headers["location"] == "/incidents?from=2026-01-01T00%3A00&zone=Europe%2FBerlin"
    page = await site.client.get(answer.headers["location"])
    assert 'value="2025-12-31T23:00"' in page.text  # on the reader's clock, which is UTC


async def test_a_label_pressed_on_the_list_narrows_it_further(site: Site) -> None:
    await site.opened(common_labels={"cluster": "eu1", "team": "a"})
    page = (await site.client.get("/incidents?label=team%3D%22a%22")).text
    assert 'href="/incidents?label=team%3D%22a%22&amp;label=cluster%3D%22eu1%22"' in page


# --------------------------------------------------------------------------------------------------- order and groups


async def some_to_sort(site: Site) -> None:
    for team, alertname, severity in (
        ("web", "Disk", "critical"),
        ("", "cpu", "info"),
        ("db", "Disk", ""),
        ("web", "", "P1"),
        ("db", "Load", "emergency"),
        ("db", "cpu", "warning"),
    ):
        labels = {"alertname": alertname} if alertname else {}
        await site.opened(team=team, severity=severity, common_labels=labels)
        site.clock[0] += 60


@pytest.mark.parametrize(
    ("query", "order"),
    [
        ({"sort": "newest"}, [6, 5, 4, 3, 2, 1]),
        ({"sort": "oldest"}, [1, 2, 3, 4, 5, 6]),
        ({"sort": "severity"}, [5, 1, 4, 6, 3, 2]),  # without one it is as grave as a warning
        ({"sort": "team"}, [6, 5, 3, 4, 1, 2]),  # those without a team come last
        ({"sort": "alertname"}, [6, 2, 3, 1, 5, 4]),
        ({"sort": "severity", "team": "db"}, [5, 6, 3]),
    ],
)
async def test_a_list_has_the_order_that_its_address_asks_for(
    site: Site, query: dict[str, str], order: list[int]
) -> None:
    await some_to_sort(site)
    assert await numbers(site, query) == order


@pytest.mark.parametrize("sort", ["oldest", "severity", "team", "alertname"])
async def test_a_sorted_list_goes_on_where_it_stopped(
    site: Site, monkeypatch: pytest.MonkeyPatch, sort: str
) -> None:
    monkeypatch.setattr(incidents, "SUMMARY_CHUNK", 4)
    await some_to_sort(site)
    await some_to_sort(site)
    whole = await numbers(site, {"sort": sort})
    assert len(whole) == 12
    seen: list[int] = []
    cursor = ""
    for _ in range(3):
        query = {"sort": sort, "limit": 5, "cursor": cursor}
        answer = (await site.client.get("/api/v1/incidents", params=query)).json()
        seen += [one["number"] for one in answer["incidents"]]
        cursor = answer["next"] or ""
    assert seen == whole and not cursor


@pytest.mark.parametrize(
    "query", ["cursor=AAAA&sort=team", "cursor=1.0-abc&sort=team", "cursor=kw==", "sort=colour"]
)
async def test_an_order_or_a_place_in_it_that_makes_no_sense_is_refused(
    site: Site, query: str
) -> None:
    assert (await site.client.get(f"/api/v1/incidents?{query}")).status_code == 422


@pytest.mark.parametrize(
    ("group", "headings"),
    [
        ("severity", ["emergency 1", "critical 1", "p1 1", "warning 1", "no severity 1", "info 1"]),
        ("team", ["db 3", "web 2", "(no team) 1"]),
        ("alertname", ["cpu 2", "Disk 2", "Load 1", "no alert 1"]),
        ("age", ["within the last hour 5", "within the last day 1"]),
    ],
)
async def test_what_belongs_together_stands_under_one_heading(
    site: Site, group: str, headings: list[str]
) -> None:
    await some_to_sort(site)
    site.clock[0] += 3600 - 5.5 * 60
    page = (await site.client.get(f"/incidents?group={group}&sort=oldest")).text
    found = re.findall(r'<h2 id="group-\d+">(.*?)</h2>', page, re.DOTALL)
    assert [words(heading) for heading in found] == headings


async def test_a_row_says_how_grave_whose_and_what_is_next(site: Site) -> None:
    await site.opened(
        team="db",
        severity="P1",
        title="Disk full",
        common_annotations={"summary": "Nothing <b>can</b> be written"},
    )
    site.clock[0] += 60
    two = await site.opened(title="Mine")
    await site.client.post(f"/api/v1/incidents/{two.id}/acknowledge", json={"user": "alice"})
    page = (await site.client.get("/incidents")).text
    mine, full = (part.partition("</article>")[0] for part in page.split("<article ")[1:])
    assert "rank5" in full and "rank0" in mine
    for said in ("Triggered", "#1", "P1", "Disk full", "Nothing <b>can</b> be written", "db"):
        assert said in words(full)
    assert "<b>can" not in full
    assert "Alice Ash's next rule: email in 4:00" in words(full) and "Nobody has answered" in full
    assert "Owner: Alice Ash" in words(mine) and ">AA<" in mine


async def test_a_severity_is_known_of_what_an_earlier_version_stored(site: Site) -> None:
    """Its summaries have no severity of their own."""
    for severity in ("info", "critical", "warning"):
        incident = await site.opened(common_labels={"severity": severity})
        summary = incidents.summarize(incident)
        fields = [getattr(summary, name) for name in summary.__struct_fields__][:7]
        await site.context.wire.call(
            "HSET", keys.SUMMARIES, incident.id, msgspec.msgpack.encode(fields)
        )
    assert await numbers(site, {"sort": "severity"}) == [2, 3, 1]


# ------------------------------------------------------------------------------------- wrong filters, and saved views


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("label=%7B%7Bx", "Label is no matcher"),
        ("label=cluster%3D~%22(%22", "Label is no matcher"),
        ("sort=colour", "Sort is one of"),
        ("group=colour", "Group is one of"),
        ("from=soon", "is not an RFC 3339 time"),
        ("state=lost", "State is one of"),
        ("limit=0", "Limit is"),
        ("cursor=nowhere", "Cursor is not one"),
        ("zone=Mars&from=2026-01-01T00:00", "There is no time zone"),
    ],
)
async def test_a_wrong_filter_is_said_and_leaves_list_form_and_the_other_filters(
    site: Site, wrong: str, said: str
) -> None:
    await site.opened(team="db", common_labels={"cluster": "eu1"})
    await site.opened(team="web")
    answer = await site.client.get(f"/incidents?{wrong}&team=db&label=cluster%3D%22eu1%22")
    page = answer.text
    assert answer.status_code == 422 and 'role="alert"' in page
    assert said.casefold() in words(page).casefold()
    assert page.count("<article ") == 1 and '<span class="number">#1<' in page
    assert '<option value="db" selected>' in page and 'id="text"' in page
    if wrong.startswith("label"):
        typed = html.escape(unquote(wrong.partition("=")[2]))
        assert f'name="label" value="{typed}"' in html.unescape(page).replace("&#34;", '"') or (
            f'value="{typed.replace("&quot;", "&#34;")}"' in page
        )


async def test_mine_and_unanswered_are_one_press_away_and_back(site: Site) -> None:
    await site.opened(policy="careful")  # pages alice
    bobs = await site.opened(policy="turns", responders=["bob"])
    await site.client.post(f"/api/v1/incidents/{bobs.id}/acknowledge", json={"user": "bob"})
    assert 'id="mine"' not in (await site.client.get("/incidents")).text  # of nobody in particular
    site.client.cookies.set("amproxy_user", "bob")

    async def press(chip: str, address: str) -> str:
        page = (await site.client.get(address)).text
        return html.unescape(page.split(f'id="{chip}"')[1].split('href="')[1].split('"')[0])

    mine = await press("mine", "/incidents?team=none")
    assert mine == "/incidents?team=none&user=bob"
    assert '<span class="number">#2<' in (page := (await site.client.get(mine)).text)
    assert '<span class="number">#1<' not in page
    assert await press("mine", mine) == "/incidents?team=none"
    unanswered = await press("unanswered", "/incidents")
    assert unanswered == "/incidents?state=triggered"
    assert '<span class="number">#2<' not in (await site.client.get(unanswered)).text
    assert await press("unanswered", unanswered) == "/incidents"


async def test_a_view_is_kept_for_one_person_until_it_is_forgotten(site: Site) -> None:
    name = "Grave <i>ones</i>"
    query = "sort=severity&team=db&done=merge&cursor=x&rows=comfortable"
    view = "sort=severity&team=db&rows=comfortable"  # what is no filter is not kept
    fields = {"name": name, "query": query}
    assert (await site.client.post("/me/views", data=fields)).status_code == 403  # of nobody
    site.client.cookies.set("amproxy_user", "bob")
    answer = await site.client.post("/me/views", data=fields)
    assert answer.status_code == 303 and answer.headers["location"] == f"/incidents?{view}"
    page = (await site.client.get(answer.headers["location"])).text
    link = f'<a href="/incidents?{html.escape(view)}" aria-current="true">'
    assert f"{link}<bdi>{html.escape(name)}</bdi>" in page
    assert link not in (await site.client.get("/incidents")).text
    assert (await site.client.post("/me/views", data={"name": " "})).status_code == 422
    site.client.cookies.set("amproxy_user", "alice")
    assert "ones</bdi>" not in (await site.client.get("/incidents")).text
    site.client.cookies.set("amproxy_user", "bob")
    await site.client.post("/me/views/delete", data={"name": name, "query": ""})
    assert "ones</bdi>" not in (await site.client.get("/incidents")).text


async def test_a_person_keeps_few_views_and_may_change_each(site: Site) -> None:
    site.client.cookies.set("amproxy_user", "bob")
    for number in range(MAX_VIEWS):
        await site.client.post("/me/views", data={"name": f"v{number}", "query": ""})
    answer = await site.client.post("/me/views", data={"name": "one more", "query": ""})
    assert answer.status_code == 409
    answer = await site.client.post("/me/views", data={"name": "v0", "query": "team=db"})
    assert answer.status_code == 303
    assert await load_views(site.context.wire, "bob") == {
        f"v{number}": "" if number else "team=db" for number in sorted(range(MAX_VIEWS), key=str)
    }


async def test_a_number_leads_to_its_incident(site: Site) -> None:
    incident = await site.opened()
    await site.client.post(f"/incidents/{incident.id}/resolve")
    answer = await site.client.get(f"/incidents/{incident.number}")
    assert answer.status_code == 303 and answer.headers["location"] == f"/incidents/{incident.id}"
    assert (await site.client.get("/incidents/77")).status_code == 404


# ----------------------------------------------------------------------------------------------------- many at once


async def state(site: Site, incident: Incident) -> str:
    return (await incidents.load(site.context.wire, incident.id)).state


async def test_all_that_are_ticked_are_acted_on_and_the_list_says_so(site: Site) -> None:
    one, two, left = [await site.opened() for _ in range(3)]
    answer = await site.client.post(
        "/incidents/bulk?user=alice", data={"action": "acknowledge", "id": [one.id, two.id]}
    )
    assert (
        answer.status_code == 303
        and answer.headers["location"] == "/incidents?user=alice&done=acknowledge&n=2"
    )
    assert "2 incidents acknowledged." in (await site.client.get(answer.headers["location"])).text
    assert [await state(site, incident) for incident in (one, two, left)] == [
        "acknowledged",
        "acknowledged",
        "triggered",
    ]
    await site.client.post(
        "/incidents/bulk", data={"action": "snooze", "for": "4h", "id": [left.id]}
    )
    assert (await incidents.load(site.context.wire, left.id)).snoozed_until == site.clock[
        0
    ] + 4 * 3600
    await site.client.post(
        "/incidents/bulk", data={"action": "merge", "into": left.id, "id": [one.id, left.id]}
    )
    assert [await state(site, incident) for incident in (one, left)] == ["resolved", "snoozed"]
    await site.client.post("/incidents/bulk", data={"action": "resolve", "id": [two.id, left.id]})
    assert [await state(site, incident) for incident in (two, left)] == ["resolved", "resolved"]


async def test_what_cannot_be_done_to_all_is_said_for_each(site: Site) -> None:
    one, two = await site.opened(), await site.opened()
    await site.client.post(f"/incidents/{one.id}/resolve")
    answer = await site.client.post(
        "/incidents/bulk", data={"action": "acknowledge", "id": [one.id, two.id]}
    )
    assert answer.status_code == 409
    assert (
        "#1 is already resolved by web" in answer.text
        and "1 incident acknowledged." in answer.text
        and "data-still" in answer.text
    )
    assert await state(site, two) == "acknowledged"


@pytest.mark.parametrize(
    "fields",
    [
        {"action": "acknowledge"},
        {"action": "explode", "id": ["x"]},
        {"id": ["x"]},
        {"action": "merge", "id": ["x"]},
        {"action": "merge", "into": "#99", "id": ["x"]},
        {"action": "snooze", "for": "soon", "id": ["x"]},
    ],
)
async def test_a_bulk_action_that_makes_no_sense_changes_nothing(
    site: Site, fields: dict[str, object]
) -> None:
    incident = await site.opened()
    data = fields | ({"id": [incident.id]} if "id" in fields else {})
    assert (await site.client.post("/incidents/bulk", data=data)).status_code == 422
    assert await state(site, incident) == "triggered"


async def test_all_shown_can_be_ticked_without_scripts(site: Site) -> None:
    await site.opened()
    page = (await site.client.get("/incidents?state=triggered")).text
    assert 'href="/incidents?state=triggered&amp;select=all&amp;pause=1"' in page
    ticked = (await site.client.get("/incidents?state=triggered&select=all&pause=1")).text
    assert ticked.count(" checked>") == page.count(" checked>") + 1 and "http-equiv" not in ticked


# ------------------------------------------------------------------------------------------------------ what is kept


async def test_a_list_of_an_earlier_version_is_read_all_the_same_and_summed_up(site: Site) -> None:
    incident = await site.opened(title="Old", team="db")
    await site.context.wire.call("DEL", keys.SUMMARIES)
    assert await numbers(site, {"team": "db"}) == [1]
    assert await site.context.wire.call("HEXISTS", keys.SUMMARIES, incident.id) == 1


async def test_lists_go_on_where_they_stopped_also_among_incidents_of_one_moment(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incidents, "SUMMARY_CHUNK", 3)
    opened = [await site.opened() for _ in range(11)]
    for incident in opened[::2]:
        await site.stored(incident, Resolve(user="", via="web"))
    seen: list[str] = []
    cursor = ""
    for _ in range(20):
        found, cursor = await incidents.list_incidents(
            site.context.wire, incidents.STATES, limit=2, before=cursor
        )
        seen += [incident.id for incident in found]
        if not cursor:
            break
    assert sorted(seen) == sorted(incident.id for incident in opened) and seen == sorted(
        seen, reverse=True
    )


@given(
    places=st.lists(
        st.tuples(st.sampled_from([1.0, 2.0, 2.5]), st.text("abc", min_size=1, max_size=3)),
        unique=True,
    )
)
def test_places_have_one_order(places: list[tuple[float, str]]) -> None:
    ordered = sorted(ListPosition(*place) for place in places)
    assert [place.started for place in ordered] == sorted(place.started for place in ordered)
    assert all(place < incidents.FIRST_POSITION for place in ordered)


async def test_thousands_of_incidents_are_searched_in_no_time(site: Site) -> None:
    """A tenth of a second or so; the bound is far from that, because machines differ."""
    wire = site.context.wire
    template = await site.opened()
    for start in range(0, 10_000, 1000):
        words: list[str | bytes | float] = []
        scores: list[str | float] = []
        for number in range(start, start + 1000):
            incident = Incident(
                id=f"old-{number:05}",
                number=number + 2,
                policy="platform",
                plan=template.plan,
                started_at=NOW - number,
            )
            incident.common_labels = {
                "alertname": "Load",
                "instance": f"host-{number}.example.org:9100",
                "severity": "critical",
            }
            words += [incident.id, incidents._encode(incidents.summarize(incident))]
            scores += [repr(incident.started_at), incident.id]
        await wire.call("HSET", keys.SUMMARIES, *words)
        await wire.call("ZADD", keys.incidents("triggered"), *scores)
    began = time.process_time()
    answer = await site.client.get(
        "/api/v1/incidents", params={"state": EVERY, "label": 'instance="nowhere"'}
    )
    took = time.process_time() - began
    assert answer.json() == {"incidents": [], "next": None} and took < 3, f"{took:.2f} s"
