"""The list of incidents: what its address asks for, on the page and in the API alike, and what is done to many at once."""

from __future__ import annotations

import time
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.machine.events import Resolve
from amproxy.model import Incident
from amproxy.store import incidents, keys
from amproxy.store.incidents import ListPosition
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
