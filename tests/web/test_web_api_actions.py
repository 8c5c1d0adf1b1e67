"""Actions that involve others, or many incidents: reopen, reassign, responders, merge, bulk."""

from __future__ import annotations

from typing import Any

import pytest

from amproxy.model import Alert
from amproxy.store import deliveries, incidents
from amproxy.store.commit import Operations, commit
from amproxy.store.deliveries import Delivery
from tests.support.web.website import Site


async def act(
    site: Site, incident: str, action: str, status: int = 200, **body: Any
) -> dict[str, Any]:
    answer = await site.client.post(f"/api/v1/incidents/{incident}/{action}", json=body)
    assert answer.status_code == status, answer.text
    return dict(answer.json())


async def whole(site: Site, incident: str) -> dict[str, Any]:
    return dict((await site.client.get(f"/api/v1/incidents/{incident}")).json())


async def texts(site: Site, incident: str) -> list[str]:
    return [entry["text"] for entry in (await whole(site, incident))["timeline"]]


# ---------------------------------------------------------------------------------------------------------- reopen


async def test_a_resolved_incident_is_opened_again_and_pages_from_the_first_step(
    site: Site,
) -> None:
    one = (await site.opened()).id
    await act(site, one, "resolve", user="bob")
    site.clock[0] += 60
    shown = await act(site, one, "reopen", user="bob", text="it is not over")
    assert (shown["state"], shown["resolved_by"], shown["resolved_at"]) == ("triggered", None, None)
    assert [page["user"] for page in (await whole(site, one))["pages"]] == ["alice", "alice"]
    assert "bob: it is not over" in await texts(site, one)


async def test_only_what_is_resolved_can_be_opened_again(site: Site) -> None:
    one = (await site.opened()).id
    assert (await act(site, one, "reopen", 409))["detail"] == "#1 is not resolved; it is triggered."


# -------------------------------------------------------------------------------------------------------- reassign


@pytest.mark.parametrize(
    ("to", "who"),
    [
        ({"users": ["bob"]}, "bob"),
        ({"schedule": "platform"}, "alice"),
        ({"policy": "careful"}, "alice"),
        ({"team": "ops"}, "bob"),
    ],
)
async def test_an_incident_is_reassigned(site: Site, to: dict[str, Any], who: str) -> None:
    one = (await site.opened()).id
    await act(site, one, "acknowledge", user="alice")
    site.clock[0] += 60
    shown = await act(site, one, "reassign", user="alice", **to)
    assert (shown["state"], shown["acknowledged_by"]) == ("triggered", None)
    assert shown["policy"] == to.get("policy", "platform")
    assert (await whole(site, one))["pages"][-1]["user"] == who


async def test_an_urgent_reassignment_says_so_of_people_only(site: Site) -> None:
    one = (await site.opened()).id
    await act(site, one, "reassign", users=["bob"], urgency="important")
    assert (
        "urgency"
        in (await act(site, one, "reassign", 422, policy="careful", urgency="important"))["detail"]
    )


# ------------------------------------------------------------------------------------------------------ responders


async def test_responders_are_paged_though_somebody_has_acknowledged_and_join_by_acknowledging(
    site: Site,
) -> None:
    one = (await site.opened()).id
    await act(site, one, "acknowledge", user="alice")
    shown = await act(site, one, "responders", user="alice", users=["bob"])
    assert (shown["state"], shown["responders"]) == ("acknowledged", ["bob"])
    page = (await whole(site, one))["pages"][-1]
    assert (page["user"], page["state"], page["reason"]) == (
        "bob",
        "due",
        "asked to join by Alice Ash (via api)",
    )
    assert (await act(site, one, "acknowledge", user="bob"))["acknowledged_by"] == "alice"
    assert "bob is on it too (via api)." in await texts(site, one)
    await act(site, one, "acknowledge", 409, user="bob")


async def test_nobody_is_asked_to_join_what_is_snoozed(site: Site) -> None:
    one = (await site.opened()).id
    await act(site, one, "snooze", user="alice")
    assert "snoozed" in (await act(site, one, "responders", 409, users=["bob"]))["detail"]


@pytest.mark.parametrize("action", ["reassign", "responders"])
@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({}, 422, "exactly one of"),
        ({"users": ["bob"], "schedule": "platform"}, 422, "exactly one of"),
        ({"users": ["nobody"]}, 422, "no user 'nobody'"),
        ({"schedule": "nights"}, 422, "no schedule 'nights'"),
        ({"team": "none"}, 422, "no team 'none'"),
        ({"policy": "none"}, 422, ""),
        ({"users": ["bob"], "urgency": "extreme"}, 422, "urgency"),
        ({"users": "bob"}, 422, "array"),
        ({"users": ["bob"], "into": "x"}, 422, "into belongs to merge"),
        ({"users": ["bob"], "for": "1h"}, 422, "for belongs to snooze"),
        ({"schedule": "empty"}, 409, "nobody to ask"),
    ],
)
async def test_who_is_meant_must_be_clear_and_there(
    site: Site, action: str, body: dict[str, Any], status: int, words: str
) -> None:
    one = (await site.opened()).id
    assert words.lower() in (await act(site, one, action, status, **body))["detail"].lower()
    assert len(await texts(site, one)) == 2


async def test_a_policy_cannot_join(site: Site) -> None:
    one = (await site.opened()).id
    assert (
        "Policy belongs to reassign"
        in (await act(site, one, "responders", 422, policy="careful"))["detail"]
    )


# ----------------------------------------------------------------------------------------------------------- merge


async def test_an_incident_is_merged_into_another_with_its_alerts(site: Site) -> None:
    one = await site.with_alerts(
        await site.opened(group="g1"),
        Alert(fingerprint="a", labels={"x": "1", "y": "2"}, starts_ns=1),
    )
    other = await site.with_alerts(
        await site.opened(group="g2"),
        Alert(fingerprint="b", labels={"x": "1", "y": "3"}, starts_ns=1),
    )
    shown = await act(site, one.id, "merge", user="bob", into=other.id, text="same cause")
    assert (shown["state"], shown["resolved_by"], shown["merged_into"], shown["next_step"]) == (
        "resolved",
        "merged",
        other.id,
        None,
    )
    into = await whole(site, other.id)
    assert into["alerts"]["firing"] == 2 and {
        alert["fingerprint"] for alert in into["alerts"]["list"]
    } == {"a", "b"}
    assert into["common_labels"] == {"x": "1"} and into["state"] == "triggered"
    assert "bob: same cause" in await texts(site, one.id)


async def test_merging_goes_on_while_a_turn_of_the_other_is_due(site: Site) -> None:
    one, other = await site.opened(), await site.opened("turns")
    await site.context.wire.call("HSET", "amproxy:{0}:turns", "turns/2/alice,bob", 5)
    site.clock[0] += 300
    await act(site, one.id, "merge", into=other.id)
    assert (await whole(site, other.id))["pages"][-1]["user"] == "bob"


async def test_what_cannot_be_merged_stays_as_it_is(site: Site) -> None:
    one, other, third = (await site.opened()).id, (await site.opened()).id, (await site.opened()).id
    assert "into is needed" in (await act(site, one, "merge", 422))["detail"].lower()
    assert "no incident 'none'" in (await act(site, one, "merge", 422, into="none"))["detail"]
    assert "into itself" in (await act(site, one, "merge", 409, into=one))["detail"]
    await act(site, "none", "merge", 404, into=one)
    await act(site, other, "resolve", user="bob")
    assert "already resolved by bob" in (await act(site, one, "merge", 409, into=other))["detail"]
    assert "already resolved by bob" in (await act(site, other, "merge", 409, into=one))["detail"]
    await act(site, one, "merge", into=third)
    for action, body in (("acknowledge", {}), ("reopen", {}), ("merge", {"into": third})):
        assert "part of another incident" in (await act(site, one, action, 409, **body))["detail"]
    await act(site, one, "note", text="still readable")


async def test_a_merged_incident_is_taken_out_again_with_its_alerts(site: Site) -> None:
    one = await site.with_alerts(
        await site.opened(group="g1"),
        Alert(fingerprint="a", labels={"x": "1", "y": "2"}, starts_ns=1),
    )
    other = await site.with_alerts(
        await site.opened(group="g2"),
        Alert(fingerprint="b", labels={"x": "1", "y": "3"}, starts_ns=1),
    )
    refused = await act(site, one.id, "unmerge", 409)
    assert (refused["code"], refused["detail"]) == (
        "not_merged",
        "#1 is not part of another incident.",
    )
    await act(site, "none", "unmerge", 404)
    await act(site, one.id, "merge", user="bob", into=other.id)
    shown = await act(site, one.id, "unmerge", user="bob", text="another cause")
    assert (shown["state"], shown["merged_into"], shown["alerts"]) == (
        "triggered",
        None,
        {"firing": 1, "resolved": 0},
    )
    own, rest = await whole(site, one.id), await whole(site, other.id)
    assert [alert["fingerprint"] for alert in own["alerts"]["list"]] == ["a"]
    assert [alert["fingerprint"] for alert in rest["alerts"]["list"]] == ["b"]
    assert rest["common_labels"] == {"x": "1", "y": "3"} and rest["state"] == "triggered"
    assert [page["user"] for page in own["pages"]] == ["alice", "alice"]
    [entry] = [entry for entry in own["timeline"] if entry["kind"] == "unmerged"]
    assert (entry["code"], entry["arguments"]) == (
        "event.unmerged",
        {"root": 2, "by": ["bob"], "via": "api"},
    )
    assert "#1 (HighCPU on eu1) was taken out of this again by bob (via api)." in [
        entry["text"] for entry in rest["timeline"]
    ]
    assert "bob: another cause" in await texts(site, one.id)


async def test_many_are_taken_out_of_another_at_once(site: Site) -> None:
    ids = [(await site.opened(group=f"g{i}")).id for i in range(4)]
    await bulk(site, action="merge", ids=ids[:3], into=ids[3])
    done = await bulk(site, action="unmerge", ids=ids)
    assert [one["code"] for one in done["results"]] == [None, None, None, "not_merged"]


# ---------------------------------------------------------------------------------------------------------- delete


async def test_a_resolved_incident_is_deleted_with_all_that_is_stored_of_it(site: Site) -> None:
    one, other = await site.opened(title="Secret in a label"), await site.opened()
    for incident in (one, other):
        operations = Operations()
        for about in (((incident.id, incident.number),), ((one.id, 1), (other.id, 2))):
            entry = Delivery(
                at=site.clock[0],
                kind="page",
                channel=f"console{len(about)}",
                outcome="sent",
                incidents=about,
                subject=incident.title,
            )
            deliveries.add(operations, entry)
        assert await commit(site.context.wire, operations)
    address = f"/api/v1/incidents/{one.id}"
    refused = await site.client.delete(address)
    assert (refused.status_code, refused.json()["detail"]) == (
        409,
        "#1 is triggered; only a resolved incident can be deleted.",
    )
    await act(site, one.id, "resolve", user="bob")
    assert (await site.client.delete(address)).status_code == 204
    assert (await site.client.delete(address)).status_code == 404
    assert (await site.client.get(address)).status_code == 404
    left = await site.context.wire.call("KEYS", f"*{one.id}*")
    assert left == [] and await incidents.load_counts(site.context.wire) == {
        ("platform", "triggered"): 1,
        ("platform", "resolved"): 0,
    }
    for kind in ("incidents", "incidents:resolved", "timers"):
        names = await site.context.wire.call("ZRANGE", f"amproxy:{{0}}:{kind}", 0, -1)
        assert not [name for name in names if one.id.encode() in name], kind
    listed = (await site.client.get("/api/v1/incidents?state=resolved&state=triggered")).json()
    assert [incident["id"] for incident in listed["incidents"]] == [other.id]
    log = (await site.client.get("/api/v1/deliveries")).json()["deliveries"]
    assert sorted(len(entry["incidents"]) for entry in log) == [1, 2, 2]
    for report in ("insights", "history", "channels"):
        assert (await site.client.get(f"/api/v1/{report}")).status_code == 200
    assert "Secret in a label" not in (await site.client.get("/api/v1/channels")).text
    [entry] = [
        entry
        for entry in (await site.client.get("/api/v1/audit")).json()["entries"]
        if entry["code"] == "audit.incident_deleted"
    ]
    assert entry["what"] == "deleted #1 Secret in a label"
    assert (await site.opened()).number == 3


async def test_what_is_part_of_an_open_incident_is_not_deleted(site: Site) -> None:
    one, other = await site.opened(group="g1"), await site.opened(group="g2")
    await act(site, one.id, "merge", into=other.id)
    refused = await site.client.delete(f"/api/v1/incidents/{one.id}")
    assert refused.status_code == 409 and "#1 is part of #2, which is open" in refused.text
    await act(site, other.id, "resolve")
    assert (await site.client.delete(f"/api/v1/incidents/{other.id}")).status_code == 204
    assert "#1 was part of is deleted" in (await act(site, one.id, "unmerge", 409))["detail"]
    assert (await site.client.delete(f"/api/v1/incidents/{one.id}")).status_code == 204


# ------------------------------------------------------------------------------------------------------------ bulk


async def bulk(site: Site, status: int = 200, **body: Any) -> dict[str, Any]:
    answer = await site.client.post("/api/v1/incidents/bulk", json=body)
    assert answer.status_code == status, answer.text
    return dict(answer.json())


async def test_one_action_on_many_says_what_became_of_each(site: Site) -> None:
    one, two, over = (await site.opened()).id, (await site.opened()).id, (await site.opened()).id
    await act(site, over, "resolve", user="alice")
    done = await bulk(
        site, action="acknowledge", ids=[one, over, two, "none", one], user="bob", text="mine"
    )
    well = {"error": None, "code": None, "arguments": None}
    by_alice = {"number": "3", "user": ["alice"]}
    assert done == {
        "done": 2,
        "results": [
            {"id": one, "state": "acknowledged"} | well,
            {
                "id": over,
                "state": None,
                "error": "#3 is already resolved by Alice Ash",
                "code": "already_resolved",
                "arguments": by_alice,
            },
            {"id": two, "state": "acknowledged"} | well,
            {
                "id": "none",
                "state": None,
                "error": "there is no incident none",
                "code": "no_incident",
                "arguments": {"incident": "none"},
            },
        ],
    }
    assert [("bob: mine" in await texts(site, incident)) for incident in (one, two, over)] == [
        True,
        True,
        False,
    ]


async def test_many_are_merged_into_one_of_them(site: Site) -> None:
    ids = [(await site.opened(group=f"g{i}")).id for i in range(3)]
    done = await bulk(site, action="merge", ids=ids, into=ids[1], user="bob")
    assert [one["state"] for one in done["results"]] == ["resolved", None, "resolved"]
    assert "into itself" in done["results"][1]["error"]


async def test_many_are_snoozed_to_the_same_moment(site: Site) -> None:
    ids = [(await site.opened()).id for _ in range(2)]
    await bulk(site, action="snooze", ids=ids, **{"for": "30m"})
    assert {(await whole(site, one))["snoozed_until"] for one in ids} == {
        "2026-01-06T10:30:00.000Z"
    }


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"ids": ["x"]},
        {"action": "acknowledge"},
        {"action": "acknowledge", "ids": []},
        {"action": "acknowledge", "ids": ["x"] * 501},
        {"action": "explode", "ids": ["x"]},
        {"action": "acknowledge", "ids": ["x"], "user": "nobody"},
        {"action": "acknowledge", "ids": ["x"], "users": ["bob"]},
        {"action": "acknowledge", "ids": "x"},
        {"action": "note", "ids": ["x"]},
        {"action": "reassign", "ids": ["x"]},
        {"action": "merge", "ids": ["x"]},
        {"action": "snooze", "ids": ["x"], "until": "2020-01-01T00:00:00Z"},
    ],
)
async def test_a_bulk_request_that_makes_no_sense_is_refused_whole(
    site: Site, body: dict[str, Any]
) -> None:
    assert set(await bulk(site, 422, **body)) == {"error", "detail", "code", "arguments"}


# ---------------------------------------------------------------------------------------------------------- by hand


async def test_a_team_may_be_paged_by_hand(site: Site) -> None:
    answer = await site.client.post(
        "/api/v1/incidents", json={"title": "Please call", "team": "ops"}
    )
    assert answer.status_code == 201 and answer.json()["team"] == "ops"


async def test_paging_by_hand_where_nobody_is_on_call_is_refused_with_the_reason(
    site: Site,
) -> None:
    answer = await site.client.post(
        "/api/v1/incidents", json={"title": "Please call", "schedule": "empty"}
    )
    assert answer.status_code == 409 and "schedule empty has nobody" in answer.json()["detail"]
    assert (await site.client.get("/api/v1/incidents")).json()["incidents"] == []
