"""One incident: every action as a plain form, and what it became part of."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from amproxy.config.structs import Team, User
from amproxy.labels.matchers import parse_matcher
from amproxy.model import Alert, Incident, Silence
from amproxy.notify.compose import LINK_ANNOTATIONS, LINK_EXTRAS
from amproxy.respond.muting import put_silence
from amproxy.store import incidents
from amproxy.store.pictures import save_pictures
from amproxy.text import LANGUAGES, load_texts
from amproxy.web.http.format import _link_key
from amproxy.web.incidents.page import MAX_PICTURE_ORIGINS, OFFERED_ACTIONS
from tests.support.web.edited import words
from tests.support.web.muted import push
from tests.support.web.pages import Tags
from tests.support.web.website import CONFIG, Site


async def now(site: Site, incident: Incident) -> Incident:
    return await incidents.load(site.context.wire, incident.id)


async def do(site: Site, incident: Incident, action: str, **fields: Any) -> int:
    return (await site.client.post(f"/incidents/{incident.id}/{action}", data=fields)).status_code


async def page(site: Site, incident: Incident, query: str = "") -> str:
    return (await site.client.get(f"/incidents/{incident.id}{query}")).text


@pytest.mark.parametrize("state", list(OFFERED_ACTIONS))
async def test_a_page_offers_what_the_state_allows_and_nothing_else(site: Site, state: str) -> None:
    incident = await site.opened()
    if state != "triggered":
        await do(
            site,
            incident,
            {"acknowledged": "acknowledge", "snoozed": "snooze", "resolved": "resolve"}[state],
        )
    shown = await page(site, incident)
    for action in {action for offered in OFFERED_ACTIONS.values() for action in offered}:
        assert (f'id="do-{action}"' in shown) == (action in OFFERED_ACTIONS[state]), action  # type: ignore[index]
        if action in OFFERED_ACTIONS[state]:  # type: ignore[index]
            assert f'action="/incidents/{incident.id}/{action}"' in shown


async def test_a_snooze_may_last_until_a_moment_on_the_readers_clock(site: Site) -> None:
    incident = await site.opened()
    site.client.cookies.set("amproxy_user", "alice")  # in Berlin
    assert await do(site, incident, "snooze", **{"for": "1h", "until": "2026-01-06T18:30"}) == 303
    assert (await now(site, incident)).snoozed_until == site.clock[0] + 7.5 * 3600
    assert "until 18:30" in await page(site, incident)


async def test_an_incident_is_handed_to_people_a_schedule_a_team_or_another_policy(
    site: Site,
) -> None:
    incident = await site.opened()
    assert await do(site, incident, "reassign", users=["alice", "bob"]) == 303
    assert {chain.user for chain in (await now(site, incident)).chains} == {"alice", "bob"}
    assert await do(site, incident, "reassign", to="policy:careful") == 303
    assert (await now(site, incident)).policy == "careful"
    assert await do(site, incident, "reassign", to="schedule:platform") == 303
    assert await do(site, incident, "reassign", to="schedule:nowhere") == 422
    assert await do(site, incident, "reassign", users=["bob"], to="policy:careful") == 422
    assert await do(site, incident, "reassign") == 422
    assert await do(site, incident, "reassign", to="planet:mars") == 422


async def test_others_are_asked_to_join_and_their_answer_has_a_button(site: Site) -> None:
    incident = await site.opened()
    await do(site, incident, "acknowledge")
    assert await do(site, incident, "responders", users=["bob"], urgency="important") == 303
    shown = await page(site, incident)
    assert "Asked to join: bob" in shown and 'id="do-acknowledge"' not in shown
    site.client.cookies.set("amproxy_user", "bob")
    assert "I am on it" in await page(site, incident)
    assert await do(site, incident, "acknowledge") == 303
    bob = '<a href="/people#person-bob"><bdi>bob</bdi></a>'
    assert f"{bob} is on it too" in await page(site, incident)


async def test_a_merged_incident_and_the_one_it_is_part_of_lead_to_each_other(site: Site) -> None:
    one, other = await site.opened(title="Small"), await site.opened(title="Big")
    assert await do(site, one, "merge", into=f"#{other.number}") == 303
    small, big = await page(site, one), await page(site, other)
    assert (
        f'href="/incidents/{other.id}"' in small
        and "Big" in small
        and 'id="do-reopen"' not in small
    )
    assert "Merged into this:" in big and f'href="/incidents/{one.number}"' in big
    for into in ("", "#77", "nothing", other.id):
        assert await do(site, one, "merge", into=into) in (409, 422)
    assert await do(site, other, "merge", into=other.id) == 409


async def test_a_merged_incident_is_taken_out_by_its_own_button_or_that_of_the_other(
    site: Site,
) -> None:
    one, two, other = [await site.opened(title=title) for title in ("One", "Two", "Big")]
    for small in (one, two):
        assert await do(site, small, "merge", into=other.id) == 303
    assert f'action="/incidents/{one.id}/unmerge"' in await page(site, one)
    big = await page(site, other)
    assert all(f'action="/incidents/{small.id}/unmerge"' in big for small in (one, two))
    back = {"back": f"/incidents/{other.id}", "epoch": str(two.epoch)}
    answer = await site.client.post(f"/incidents/{two.id}/unmerge", data=back)
    assert answer.headers["location"] == f"/incidents/{other.id}"
    assert await do(site, one, "unmerge") == 303 and await do(site, one, "unmerge") == 409
    assert "Merged into this:" not in await page(site, other)
    assert (await now(site, one)).state == (await now(site, two)).state == "triggered"


async def test_a_resolved_incident_is_deleted_by_whoever_is_sure(site: Site) -> None:
    incident = await site.opened()
    assert 'id="do-delete"' not in await page(site, incident)
    await do(site, incident, "resolve")
    assert 'id="do-delete"' in await page(site, incident)
    assert await do(site, incident, "delete") == 422
    answer = await site.client.post(f"/incidents/{incident.id}/delete", data={"sure": "yes"})
    assert answer.status_code == 303
    assert "1 incident deleted." in (await site.client.get(answer.headers["location"])).text
    assert (await site.client.get(f"/incidents/{incident.id}")).status_code == 404


async def test_an_ended_incident_can_be_opened_again(site: Site) -> None:
    incident = await site.opened()
    await do(site, incident, "resolve")
    assert await do(site, incident, "reopen") == 303
    assert (await now(site, incident)).state == "triggered"


async def test_the_page_says_why_somebody_was_not_paged(site: Site) -> None:
    incident = await site.opened()
    shown = await page(site, incident)
    assert 'name="why"' in shown and "was not paged." not in shown
    asked = await page(site, incident, "?why=bob")
    assert "bob was not paged." in asked and 'name="why" value="bob"' in asked
    assert "amproxy does not know eve." in await page(site, incident, "?why=eve")


async def test_an_action_leads_back_to_where_it_was_pressed(site: Site) -> None:
    incident = await site.opened()
    listed = (await site.client.get("/incidents?user=alice")).text
    assert 'name="back" value="/incidents?user=alice"' in listed
    answer = await site.client.post(
        f"/incidents/{incident.id}/acknowledge", data={"back": "/incidents?user=alice"}
    )
    assert answer.headers["location"] == "/incidents?user=alice"
    answer = await site.client.post(
        f"/incidents/{incident.id}/unacknowledge", data={"back": "//evil.example"}
    )
    assert answer.headers["location"] == "/"


async def test_somebody_is_paged_by_hand(site: Site) -> None:
    site.client.cookies.set("amproxy_user", "alice")
    assert 'action="/page"' in (await site.client.get("/page?title=Look&users=bob")).text
    answer = await site.client.post(
        "/page",
        data={
            "title": "Please call",
            "text": "the shop is down",
            "users": ["bob"],
            "urgency": "important",
        },
    )
    assert answer.status_code == 303
    incident = await incidents.load(
        site.context.wire, answer.headers["location"].removeprefix("/incidents/")
    )
    assert (incident.title, incident.text, incident.urgency, incident.pages[0].user) == (
        "Please call",
        "the shop is down",
        "important",
        "bob",
    )
    alice = '<a href="/people#person-alice"><bdi>Alice Ash</bdi></a>'
    assert f"paged by hand by {alice}" in await page(site, incident)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"title": "x"},
        {"title": " ", "users": ["bob"]},
        {"title": "x" * 600, "users": ["bob"]},
        {"title": "x", "to": "team:none"},
    ],
)
async def test_what_was_written_is_kept_when_nobody_could_be_paged(
    site: Site, fields: dict[str, Any]
) -> None:
    answer = await site.client.post("/page", data={"text": "all that I wrote", **fields})
    assert (
        answer.status_code == 422
        and "all that I wrote" in answer.text
        and "Nothing done." in answer.text
    )
    assert (await site.client.get("/api/v1/incidents")).json()["incidents"] == []


async def test_the_api_merges_by_number_too(site: Site) -> None:
    one, other = await site.opened(), await site.opened()
    answer = await site.client.post(
        f"/api/v1/incidents/{one.id}/merge", json={"into": str(other.number)}
    )
    assert answer.status_code == 200 and answer.json()["merged_into"] == other.id


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_of_link_has_a_name(language: str) -> None:
    for text in (*LINK_ANNOTATIONS.values(), *LINK_EXTRAS.values()):
        assert load_texts(language).plain(f"incident.link_{_link_key(text)}")


async def test_page_and_api_say_whose_turn_it_is_and_over_which_contact(site: Site) -> None:
    incident = await site.opened("turns")
    await site.context.wire.call("HSET", "amproxy:{0}:turns", "turns/2/alice,bob", 5)
    shown = await page(site, incident)
    assert "step 2: notify bob (users), in turn" in shown and "bob: console" in shown
    answer = (await site.client.get(f"/api/v1/incidents/{incident.id}")).json()
    coming = answer["next_step"]
    assert (coming["at"], coming["what"], coming["code"]) == (
        "2026-01-06T10:05:00.000Z",
        "step 2: notify bob (users), in turn",
        "forecast.step",
    )
    listed = (await site.client.get("/api/v1/incidents")).json()["incidents"][0]
    assert listed["next_step"] == answer["next_step"]


async def test_page_and_api_foretell_that_a_silence_holds_the_next_step(site: Site) -> None:
    labels = {"alertname": "HighCPU"}
    [group] = site.context.placer.place(labels).groups
    incident = await site.opened(group=group.id)
    await push(site, labels)
    silence = Silence(
        id="",
        matcher_sets=[[parse_matcher('alertname="HighCPU"')]],
        starts_ns=0,
        ends_ns=int((site.clock[0] + 3600) * 10**9),
        created_by="eve",
    )
    await put_silence(site.context, silence)
    coming = (await site.client.get(f"/api/v1/incidents/{incident.id}")).json()["next_step"]
    assert coming["at"] == "2026-01-06T10:05:00.000Z"
    assert coming["what"].startswith("nobody is paged for now: silenced by eve until")
    shown = await page(site, incident)
    assert "nobody is paged for now: silenced by eve" in shown and "no longer held back" in shown
    assert shown.index("no longer held back") < shown.index("step 3: notify bob (users)")
    listed = (await site.client.get("/api/v1/incidents")).json()["incidents"][0]
    assert listed["next_step"] == coming
    site.clock[0] += 1
    [line] = (await site.client.get("/api/v1/history")).text.splitlines()
    assert json.loads(line)["incident"]["next_step"] == coming
    for path in ("/incidents", "/"):
        assert "nobody is paged for now: silenced by eve" in words(
            (await site.client.get(path)).text
        )


async def test_an_end_that_its_sender_will_move_does_not_end_what_is_foretold(site: Site) -> None:
    labels = {"alertname": "HighCPU"}
    [group] = site.context.placer.place(labels).groups
    incident = await site.opened(group=group.id)
    await push(site, labels)  # fires for resolve_timeout, five minutes
    silence = Silence(
        id="",
        matcher_sets=[[parse_matcher('alertname="HighCPU"')]],
        starts_ns=int((site.clock[0] + 290) * 10**9),
        ends_ns=int((site.clock[0] + 36000) * 10**9),
        created_by="eve",
    )
    await put_silence(site.context, silence)
    site.clock[0] += 10
    coming = (await site.client.get(f"/api/v1/incidents/{incident.id}")).json()["next_step"]
    assert coming["what"].startswith("nobody is paged for now: silenced by eve until")


GRAFANAS = Alert(
    fingerprint="a",
    labels={"alertname": "Queue backlog", "__alert_rule_uid__": "ce1", "instance": "mq-1"},
    annotations={
        **{"summary": "over limit", "__orgId__": "1", "__values__": '{"A": 4523.5, "C": 1}'},
        **{"__dashboardUid__": "dAsh", "__panelId__": "7", "__alertImageToken__": "token://4d6f"},
        "image": "https://images.example.org:8443/g/1.png?a=1&b=2",
    },
    starts_ns=1,
    generator_url="https://grafana.example.org/alerting/grafana/ce1/view",
    extra={"truncatedAlerts": 3},
)


async def test_the_page_shows_grafanas_values_picture_and_links(site: Site) -> None:
    incident = await site.with_alerts(await site.opened(), GRAFANAS)
    answer = await site.client.get(f"/incidents/{incident.id}")
    tags = Tags()
    tags.feed(answer.text)
    [picture] = [attributes for tag, attributes in tags.seen if tag == "img"]
    assert picture["src"] == "https://images.example.org:8443/g/1.png?a=1&b=2"
    assert picture["alt"] == "Picture: Queue backlog"
    assert picture["referrerpolicy"] == "no-referrer"
    policy = answer.headers["content-security-policy"]
    assert "img-src 'self' data: https://images.example.org:8443; connect-src" in policy
    shown = words(answer.text)
    assert "A 4523.5 C 1" in shown and "over limit" in shown
    assert "The sender has 3 more alerts and did not send them." in shown
    assert "__" not in shown and "token://" not in answer.text
    targets = {attributes.get("href") or "" for tag, attributes in tags.seen if tag == "a"}
    assert picture["src"] in targets
    for path in ("/d/dAsh?orgId=1&", "/alerting/silence/new?alertmanager=grafana"):
        assert [url for url in targets if url.startswith(f"https://grafana.example.org{path}")]


async def test_a_picture_that_came_in_an_alert_is_shown_from_here(site: Site) -> None:
    picture, digest = b"\xff\xd8\xff" + b"pixels", "0" * 31 + "a"
    await save_pictures(site.context.wire, {digest: picture}, site.context.now())
    extra = {"embeddedImage": digest}
    alert = Alert(fingerprint="a", labels={"alertname": "Disk"}, starts_ns=1, extra=extra)
    incident = await site.with_alerts(await site.opened(), alert)
    answer = await site.client.get(f"/incidents/{incident.id}")
    assert f'<img src="/pictures/{digest}"' in answer.text
    assert "img-src 'self' data:; " in answer.headers["content-security-policy"]
    served = await site.client.get(f"/pictures/{digest}")
    assert (served.content, served.headers["content-type"]) == (picture, "image/jpeg")
    assert served.headers["x-content-type-options"] == "nosniff"
    assert (await site.client.get(f"/pictures/{digest[::-1]}")).status_code == 404
    [told] = (await site.client.get(f"/api/v1/incidents/{incident.id}")).json()["alerts"]["list"]
    assert told["picture"].endswith(f"/pictures/{digest}")


async def test_no_other_page_may_load_pictures_from_elsewhere(site: Site) -> None:
    incident = await site.with_alerts(await site.opened(), GRAFANAS)
    for path in ("/", "/incidents", "/people"):
        policy = (await site.client.get(path)).headers["content-security-policy"]
        assert "img-src 'self' data:; " in policy
    assert "images.example.org" in (await page(site, incident))


async def test_a_picture_of_many_alerts_is_shown_once_and_many_hosts_are_links(site: Site) -> None:
    def pictured(number: int, url: str) -> Alert:
        labels = {"alertname": "Disk", "n": str(number)}
        return Alert(fingerprint=str(number), labels=labels, starts_ns=1, extra={"imageURL": url})

    same = [pictured(number, "https://one.example/1.png") for number in range(5)]
    others = [pictured(number, f"https://h{number}.example/1.png") for number in range(5, 20)]
    incident = await site.with_alerts(await site.opened(), *same, *others)
    answer = await site.client.get(f"/incidents/{incident.id}?alerts=all")
    assert answer.text.count("<img") == MAX_PICTURE_ORIGINS
    assert answer.text.count('src="https://one.example/1.png"') == 1
    assert answer.headers["content-security-policy"].count("https://") == MAX_PICTURE_ORIGINS
    assert answer.text.count('href="https://h19.example/1.png"') == 1


async def test_the_api_tells_values_and_picture_of_either_door(site: Site) -> None:
    by_webhook = Alert(
        fingerprint="b",
        labels={"alertname": "Queue"},
        starts_ns=1,
        extra={"values": {"A": 7.4213999999}, "imageURL": "https://images.example.org/2.png"},
    )
    incident = await site.with_alerts(await site.opened(), GRAFANAS, by_webhook)
    alerts = (await site.client.get(f"/api/v1/incidents/{incident.id}")).json()["alerts"]["list"]
    told = {one["fingerprint"]: (one["values"], one["picture"]) for one in alerts}
    assert told == {
        "a": ({"A": "4523.5", "C": "1"}, GRAFANAS.annotations["image"]),
        "b": ({"A": "7.4214"}, "https://images.example.org/2.png"),
    }


async def test_people_on_call_come_first_and_the_others_are_looked_up(site: Site) -> None:
    many = {
        f"u{n}": User(name=f"u{n}", full_name=f"Ute {n:02} Long", contacts={"console": "x"})
        for n in range(20)
    }
    site.context.use_config(replace(CONFIG, users={**many, **CONFIG.users}))
    incident = await site.opened()
    shown = await page(site, incident)
    assert words(shown).count("Alice Ash") and 'name="users" value="alice"' in shown
    assert shown.count('name="users"') == 1 and '<option value="u7">Ute 07 Long</option>' in shown
    assert await do(site, incident, "reassign", who="u3, ute 04 long") == 303
    assert {chain.user for chain in (await now(site, incident)).chains} == {"u3", "u4"}
    for who, why in (
        ("Ute", "several people are called"),
        ("nobody like that", "there is no user"),
    ):
        answer = await site.client.post(f"/incidents/{incident.id}/reassign", data={"who": who})
        assert answer.status_code == 422 and why in answer.text.casefold()


@pytest.mark.parametrize(
    ("title", "annotations", "once"),
    [
        ("Disk of db-4 is full", {"summary": "Disk of db-4 is full"}, "Disk of db-4 is full"),
        ("Disk", {"summary": "It is full", "description": "It is full since noon"}, "It is full"),
        ("Disk", {"summary": "It is full", "message": "It is full"}, "It is full"),
    ],
)
async def test_no_text_is_said_twice(
    site: Site, title: str, annotations: dict[str, str], once: str
) -> None:
    alert = Alert(fingerprint="a", labels={"alertname": "D"}, annotations=annotations, starts_ns=1)
    incident = await site.with_alerts(await site.opened(title=title), alert)
    main = (await page(site, incident)).partition("<main")[2]
    assert main.count(once) == 1


async def test_until_morning_is_eight_oclock_for_the_reader(site: Site) -> None:
    incident = await site.opened()
    site.client.cookies.set("amproxy_user", "bob")  # it is two in the afternoon in Tbilisi
    assert "until eight in the morning" in await page(site, incident)
    assert await do(site, incident, "snooze", **{"for": "morning"}) == 303
    assert "until Wed 7 Jan 08:00" in await page(site, incident)
    assert (await now(site, incident)).snoozed_until == site.clock[0] + 18 * 3600


async def test_the_page_is_small_where_the_file_is_large(site: Site) -> None:
    users = {f"u{n}": User(name=f"u{n}", full_name=f"Person {n} Surname") for n in range(100)}
    schedules = {f"s{n}": replace(CONFIG.schedules["empty"], name=f"s{n}") for n in range(30)}
    policies = {f"p{n}": replace(CONFIG.policies["careful"], name=f"p{n}") for n in range(30)}
    larger = replace(
        CONFIG,
        users={**CONFIG.users, **users},
        schedules={**CONFIG.schedules, **schedules},
        teams={**CONFIG.teams, **{f"t{n}": Team(name=f"t{n}") for n in range(30)}},
        policies={**CONFIG.policies, **policies},
    )
    site.context.use_config(larger)
    for n in range(20):
        incident = await site.opened(title=f"HighErrorRate on checkout-{n} (cluster=eu1)")
    assert len((await site.client.get(f"/incidents/{incident.id}")).content) <= 30_000
