"""Swaps over the API: asked for, taken, given back, forgotten."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from amproxy.context import Context
from amproxy.engine.auditor import audit_once
from tests.support.web.website import NOW, Site

URL = "/api/v1/schedules/platform/swaps"
WISH = {
    "user": "alice",
    "start": "2026-01-07T09:00",
    "end": "2026-01-09T09:00",
}  # of Berlin: one hour less in UTC; it is Tuesday the 6th
WEDNESDAY = "2026-01-07T12:00:00Z"
DAY = 86400


async def asked(site: Site, **more: object) -> str:
    answer = await site.client.post(URL, json={**WISH, **more})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def take(site: Site, swap: str, user: str = "bob", **more: object) -> httpx.Response:
    return await site.client.post(f"/api/v1/swaps/{swap}/take", json={"user": user, **more})


async def on_call(site: Site, at: str = WEDNESDAY) -> tuple[list[str], str]:
    answer = (await site.client.get("/api/v1/oncall", params={"at": at})).json()[0]
    return answer["users"], answer["reason"]


async def states(site: Site) -> list[tuple[str, str | None]]:
    return [(one["state"], one["taken_by"]) for one in (await site.client.get(URL)).json()]


async def test_a_swap_that_is_asked_for_is_open_and_shows_the_shifts_it_is_about(
    site: Site,
) -> None:
    made = (await site.client.post(URL, json={**WISH, "by": "bob", "reason": " dentist "})).json()
    assert made.pop("id")
    assert made == {
        "schedule": "platform",
        "state": "open",
        "user": "alice",
        "start": "2026-01-07T08:00:00.000Z",
        "end": "2026-01-09T08:00:00.000Z",
        "reason": "dentist",
        "asked_by": "bob",
        "asked_at": "2026-01-06T10:00:00.000Z",
        "taken_by": None,
        "taken_through": None,
        "taken_at": None,
        "shifts": [
            {
                "start": "2026-01-07T08:00:00.000Z",
                "end": "2026-01-09T08:00:00.000Z",
                "users": ["alice"],
                "reason": "layer weekly",
                "code": "on_call.layer",
                "arguments": {"layer": "weekly"},
                "layer": "weekly",
                "override": None,
            }
        ],
    }
    assert await on_call(site) == (["alice"], "layer weekly")


async def test_a_swap_without_a_shift_is_refused_also_where_an_override_has_the_shift(
    site: Site,
) -> None:
    refused = await site.client.post(URL, json={**WISH, "user": "bob"})
    assert (refused.status_code, refused.json()["code"]) == (422, "swap_no_shift")
    # Alice's turn began yesterday: only what is over of it would be handed over.
    over = {**WISH, "start": "2026-01-05T09:00", "end": "2026-01-12T12:00"}
    override = {"user": "bob", "start": "2026-01-06T10:00Z", "end": "2026-01-12T12:00"}
    await site.client.post(f"{URL.removesuffix('swaps')}overrides", json=override)
    refused = await site.client.post(URL, json=over)
    assert (refused.status_code, refused.json()["code"]) == (422, "swap_no_shift")
    assert await states(site) == []


async def test_what_is_asked_twice_is_stored_once_however_it_comes(site: Site) -> None:
    """Pressed twice, or asked for again within a period that is asked for already."""
    schedule, kinds = "/api/v1/schedules/platform", dict[str, dict[str, str]]()
    kinds[URL] = {**WISH}
    kinds[f"{schedule}/overrides"] = {**WISH, "user": "bob"}
    kinds["/api/v1/users/alice/absences"] = {key: WISH[key] for key in ("start", "end")}
    for url, wish in kinds.items():
        answers = await asyncio.gather(*(site.client.post(url, json=wish) for _ in range(3)))
        assert sorted(one.status_code for one in answers) == [201, 409, 409], url
        part = {**wish, "start": "2026-01-08T10:00"}
        assert (await site.client.post(url, json=part)).status_code == 409, url
        assert len((await site.client.get(url)).json()) == 1, url
        wider = {**wish, "end": "2026-01-09T10:00"}
        if url != URL:  # alice is away by then, and bob has the shift
            assert (await site.client.post(url, json=wider)).status_code == 201, url


async def test_an_override_that_another_covers_by_now_can_be_made_again(site: Site) -> None:
    url = "/api/v1/schedules/platform/overrides"
    for user in ("bob", "alice", "bob"):
        answer = await site.client.post(url, json={**WISH, "user": user})
        assert answer.status_code == 201, answer.text
        site.clock[0] += 1  # the one made last counts
    nobody = {**WISH, "user": None}
    assert (await site.client.post(url, json=nobody)).status_code == 201
    site.clock[0] += 1
    again = await site.client.post(url, json=nobody)
    assert (again.status_code, again.json().get("code")) == (409, "override_nobody_again"), (
        again.text
    )


async def test_a_taken_swap_holds_at_once_until_it_is_given_back(site: Site) -> None:
    swap = await asked(site)
    answer = await take(site, swap, by="alice")
    assert answer.status_code == 200
    taken = answer.json()
    assert (taken["state"], taken["taken_by"], taken["taken_through"]) == ("taken", "bob", "alice")
    assert [shift["users"] for shift in taken["shifts"]] == [["alice"]]
    assert await on_call(site) == (["bob"], "layer weekly, bob for alice (swap)")
    assert await on_call(site, "2026-01-09T08:00:00Z") == (["alice"], "layer weekly")
    answer = await site.client.post(f"/api/v1/swaps/{swap}/untake", json={"by": "bob"})
    assert (answer.status_code, answer.json()["state"], answer.json()["taken_by"]) == (
        200,
        "open",
        None,
    )
    assert await on_call(site) == (["alice"], "layer weekly")


async def test_a_deleted_swap_is_as_if_it_had_never_been(site: Site) -> None:
    swap = await asked(site)
    await take(site, swap)
    assert (await site.client.delete(f"/api/v1/swaps/{swap}")).status_code == 204
    assert await on_call(site) == (["alice"], "layer weekly")
    assert await states(site) == []
    assert (await site.client.delete(f"/api/v1/swaps/{swap}")).status_code == 404
    assert (await take(site, swap)).status_code == 404


async def test_of_two_who_take_a_swap_together_one_is_told_that_the_other_has_it(
    site: Site,
) -> None:
    swap = await asked(site, user="alice")
    answers = await asyncio.gather(*(take(site, swap) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409]
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert refused.json() == {
        "error": "conflict",
        "detail": "The swap is already taken by bob.",
        "code": "swap_taken",
        "arguments": {"user": ["bob"]},
    }


async def test_nobody_takes_over_their_own_shifts(site: Site) -> None:
    swap = await asked(site)
    assert (await take(site, swap, "alice")).status_code == 409
    assert await states(site) == [("open", None)]


async def test_a_swap_that_nobody_took_by_its_end_is_past_due(site: Site) -> None:
    swap = await asked(site)
    site.clock[0] = NOW + 3 * DAY
    assert await states(site) == [("past_due", None)]
    answer = await take(site, swap)
    assert (answer.status_code, "past due" in answer.json()["detail"]) == (409, True)


async def test_a_swap_that_has_begun_is_taken_for_the_rest(site: Site) -> None:
    swap = await asked(site)
    site.clock[0] = NOW + 1.5 * DAY
    assert await states(site) == [("open", None)]
    assert (await take(site, swap)).status_code == 200
    assert await on_call(site) == (["alice"], "layer weekly")  # before it was taken
    assert (await on_call(site, "2026-01-08T12:00:00Z"))[0] == ["bob"]


async def test_a_swap_that_is_given_back_after_its_end_is_past_due(site: Site) -> None:
    swap = await asked(site)
    await take(site, swap)
    site.clock[0] = NOW + 3 * DAY
    assert (await site.client.post(f"/api/v1/swaps/{swap}/untake")).json()["state"] == "past_due"
    assert (await site.client.post(f"/api/v1/swaps/{swap}/untake")).status_code == 409


@pytest.mark.parametrize(
    "wrong",
    [
        {"user": "eve"},
        {"user": ""},
        {"by": "eve"},
        {"end": WISH["start"]},
        {"end": "2026-01-07T08:00"},
        {"start": "2026-01-05T09:00", "end": "2026-01-06T11:00"},  # it is eleven o'clock now
        {"end": "2036-01-09T09:00"},
        {"start": "soon"},
        {"extra": 1},
    ],
)
async def test_a_swap_that_makes_no_sense_is_refused(site: Site, wrong: dict[str, object]) -> None:
    assert (await site.client.post(URL, json={**WISH, **wrong})).status_code == 422
    assert await states(site) == []


@pytest.mark.parametrize(
    "wrong", [{"user": "eve"}, {"user": ""}, {"by": "eve"}, {"user": None}, {"extra": 1}]
)
async def test_only_people_of_the_file_take_a_swap(site: Site, wrong: dict[str, object]) -> None:
    swap = await asked(site)
    assert (
        await site.client.post(f"/api/v1/swaps/{swap}/take", json={"user": "bob", **wrong})
    ).status_code == 422
    assert (
        await site.client.post(f"/api/v1/swaps/{swap}/untake", json={"by": "eve"})
    ).status_code == 422
    assert await states(site) == [("open", None)]


async def test_a_schedule_or_swap_that_does_not_exist_is_not_found(site: Site) -> None:
    assert (await site.client.get("/api/v1/schedules/none/swaps")).status_code == 404
    assert (await site.client.post("/api/v1/schedules/none/swaps", json=WISH)).status_code == 404
    assert (await site.client.post("/api/v1/swaps/none/untake")).status_code == 404
    assert (await site.client.get("/api/v1/schedules/empty/swaps")).json() == []


async def test_a_process_that_starts_later_knows_what_was_made_by_hand(site: Site) -> None:
    await take(site, await asked(site))
    later = Context(site.context.config, site.context.wire, site.context.now)
    await later.load_schedule_changes()
    assert later.schedule_changes == site.context.schedule_changes
    assert len(later.schedule_changes.swaps["platform"]) == 1


async def test_what_ended_before_the_retention_is_forgotten_and_nothing_else(site: Site) -> None:
    hours = {"start": "2026-01-07T09:00", "end": "2026-01-07T12:00"}
    long = {**hours, "end": "2026-03-01T00:00"}
    for span in (hours, long):
        await asked(site, **span)
        await site.client.post("/api/v1/schedules/platform/overrides", json={"user": "bob", **span})
        await site.client.post("/api/v1/users/alice/absences", json=span)
    await audit_once(site.context)
    addresses = (URL, "/api/v1/schedules/platform/overrides", "/api/v1/users/alice/absences")
    assert [len((await site.client.get(address)).json()) for address in addresses] == [2, 2, 2]
    site.clock[0] = NOW + 92 * DAY
    await audit_once(site.context)
    left = [(await site.client.get(address)).json() for address in addresses]
    assert [[one["end"] for one in found] for found in left] == [["2026-02-28T23:00:00.000Z"]] * 3
