"""Who is on call, shifts and overrides by hand, over the API."""

from __future__ import annotations

import pytest

from amproxy.store import schedule_changes
from tests.support.web.website import Site

URL = "/api/v1/schedules/platform/overrides"
HOURS = {
    "user": "bob",
    "start": "2026-01-06T11:00",
    "end": "2026-01-06T12:00",
}  # of Berlin: one hour less in UTC


async def on_call(site: Site, at: str = "") -> list[str]:
    answer = await site.client.get("/api/v1/oncall", params={"at": at} if at else {})
    assert answer.status_code == 200, answer.text
    return next(one["users"] for one in answer.json() if one["schedule"] == "platform")


async def test_every_schedule_says_who_is_on_call_until_when_and_who_follows(site: Site) -> None:
    platform, empty = (await site.client.get("/api/v1/oncall")).json()
    assert platform == {
        "schedule": "platform",
        "at": "2026-01-06T10:00:00.000Z",
        "users": ["alice"],
        "until": "2026-01-12T08:00:00.000Z",
        "next": ["bob"],
        "reason": "layer weekly",
        "code": "on_call.layer",
        "arguments": {"layer": "weekly"},
    }
    assert (empty["schedule"], empty["users"], empty["until"]) == ("empty", [], None)


@pytest.mark.parametrize(
    "at", ["2026-01-12T09:00:00+01:00", "2026-01-12T08:00:00Z", "2026-01-12T09:00"]
)
async def test_another_moment_may_be_asked_for_with_an_offset_or_on_the_schedules_clock(
    site: Site, at: str
) -> None:
    assert await on_call(site, at) == ["bob"]


async def test_a_plus_that_was_not_escaped_in_the_query_is_understood(site: Site) -> None:
    answer = await site.client.get("/api/v1/oncall?at=2026-01-12T09:00:00+01:00")
    assert answer.json()[0]["at"] == "2026-01-12T08:00:00.000Z"


@pytest.mark.parametrize(
    "at",
    [
        "now",
        "2026-01-12",
        "2026-02-30T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "x" * 5000,
        "٢٠٢٦-01-12T09:00",
    ],
)
async def test_a_time_that_is_none_is_refused(site: Site, at: str) -> None:
    assert (await site.client.get("/api/v1/oncall", params={"at": at})).status_code == 422


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
async def test_the_ends_of_time_are_no_error(site: Site, at: str) -> None:
    await on_call(site, at)


async def test_shifts_are_final_with_their_layer(site: Site) -> None:
    answer = await site.client.get(
        "/api/v1/schedules/platform/shifts",
        params={"from": "2026-01-06T00:00:00Z", "to": "2026-01-20T00:00:00Z"},
    )
    shifts = answer.json()
    assert [(shift["start"], shift["users"], shift["layer"]) for shift in shifts] == [
        ("2026-01-06T00:00:00.000Z", ["alice"], "weekly"),
        ("2026-01-12T08:00:00.000Z", ["bob"], "weekly"),
        ("2026-01-19T08:00:00.000Z", ["alice"], "weekly"),
    ]
    assert shifts[-1]["end"] == "2026-01-20T00:00:00.000Z"


@pytest.mark.parametrize(
    "span",
    [
        ("2026-01-06T00:00:00Z", "2026-01-06T00:00:00Z"),
        ("2026-01-06T00:00:00Z", "2036-01-06T00:00:00Z"),
    ],
)
async def test_shifts_of_no_time_or_of_a_decade_are_refused(
    site: Site, span: tuple[str, str]
) -> None:
    answer = await site.client.get(
        "/api/v1/schedules/platform/shifts", params={"from": span[0], "to": span[1]}
    )
    assert answer.status_code == 422


async def test_an_override_by_hand_holds_at_once_and_goes_when_deleted(site: Site) -> None:
    answer = await site.client.post(URL, json={**HOURS, "reason": "swapped"})
    assert answer.status_code == 201
    made = answer.json()
    assert (made["user"], made["start"], made["reason"]) == (
        "bob",
        "2026-01-06T10:00:00.000Z",
        "swapped",
    )
    assert await on_call(site) == ["bob"]
    [shift] = [
        shift
        for shift in (await site.client.get("/api/v1/schedules/platform/shifts")).json()
        if shift["override"]
    ]
    assert shift["override"] == made["id"] and shift["users"] == ["bob"]
    assert (await site.client.get(URL)).json() == [made]
    assert (await site.client.delete(f"{URL}/{made['id']}")).status_code == 204
    assert await on_call(site) == ["alice"]
    assert (await site.client.delete(f"{URL}/{made['id']}")).status_code == 404


async def test_an_override_names_nobody_on_purpose(site: Site) -> None:
    answer = await site.client.post(URL, json={**HOURS, "user": None})
    assert (answer.status_code, answer.json()["user"]) == (201, None)
    assert await on_call(site) == []
    found = (await site.client.get("/api/v1/oncall")).json()
    reasons = {one["schedule"]: one["reason"] for one in found}
    assert reasons["platform"] == "nobody: override by hand"
    [shift] = [
        shift
        for shift in (await site.client.get("/api/v1/schedules/platform/shifts")).json()
        if shift["override"]
    ]
    assert shift["users"] == []


async def test_an_override_is_not_deleted_through_another_schedule(site: Site) -> None:
    made = (await site.client.post(URL, json=HOURS)).json()
    assert (
        await site.client.delete(f"/api/v1/schedules/empty/overrides/{made['id']}")
    ).status_code == 404
    assert await on_call(site) == ["bob"]


async def test_of_two_overrides_the_one_made_later_wins_after_a_restart_too(site: Site) -> None:
    for user in ("alice", "bob"):
        await site.client.post(URL, json={**HOURS, "user": user})
        site.clock[0] += 1
    loaded = await schedule_changes.load_overrides(site.context.wire)
    assert [one.users for one in loaded["platform"]] == [("alice",), ("bob",)]
    assert await on_call(site) == ["bob"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"user": "eve"},
        {"user": ""},
        {"end": HOURS["start"]},
        {"start": "soon"},
        {"start": None},
        {"extra": 1},
        {"user": ["bob"]},
        {"end": "2126-11-30T00:00:00Z"},
        {"start": "2025-12-01T00:00:00Z", "end": "2025-12-02T00:00:00Z"},
    ],
)
async def test_an_override_that_makes_no_sense_is_refused(
    site: Site, wrong: dict[str, object]
) -> None:
    assert (await site.client.post(URL, json={**HOURS, **wrong})).status_code == 422
    assert (await site.client.get(URL)).json() == []
