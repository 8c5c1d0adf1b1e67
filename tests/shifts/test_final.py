"""The past as it was written, then the plan: one row of shifts, and who was on call at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from amproxy.config.structs import Config
from amproxy.context import Context
from amproxy.errors import NotFound, StoreUnavailable
from amproxy.shifts.final import final_shifts, recorded_on_call, schedule_zone
from amproxy.store.schedule_changes import ManualScheduleChanges
from tests.support.integration.on_duty import (
    DAY,
    HOUR,
    START,
    Replicas,
    by_hand,
    changed,
    config,
    replicas,
    shifts,
    turns,
)
from tests.support.words import said

DAILY = config(turns("ann", "bob"))


@pytest.fixture
async def time(redis_url: str) -> AsyncIterator[Replicas]:
    async with replicas(redis_url) as found:
        yield found


def at(hours: float) -> datetime:
    return datetime.fromtimestamp(START + hours * HOUR, UTC)


async def on_call(context: Context, hours: float) -> tuple[str, float | None, str]:
    """(who, hours after START when that changes, who comes next)"""
    found = await recorded_on_call(context, "main", at(hours))
    until = (found.until.timestamp() - START) / HOUR if found.until else None
    return "+".join(found.users), until, "+".join(found.next)


async def test_the_present_shift_is_one_and_counts_as_the_plan(time: Replicas) -> None:
    one = await time.started(DAILY)
    await time.passes(5 * HOUR, one)
    assert await shifts(one, START, START + 2 * DAY) == [
        (0, 24, "ann", False),
        (24, 48, "bob", False),
    ]
    assert await shifts(one, START, START + 3 * HOUR) == [(0, 3, "ann", True)]


async def test_shifts_are_clipped_to_what_is_asked_for(time: Replicas) -> None:
    one = await time.started(DAILY)
    await time.passes(30 * HOUR, one)
    found = await shifts(one, START + 2 * HOUR, START + 25 * HOUR)
    assert found == [(2, 24, "ann", True), (24, 25, "bob", True)]
    assert await shifts(one, START + 60 * HOUR, START + 70 * HOUR) == [(60, 70, "ann", False)]


async def test_a_gap_is_a_shift_without_people_and_with_a_reason(time: Replicas) -> None:
    one = await time.started(config(turns()))
    await time.passes(3 * HOUR, one)
    [past] = await final_shifts(one, "main", at(0), at(2))
    assert (past.people, past.recorded, said(past.reason)) == (
        (),
        True,
        "nobody: no layer is active",
    )


async def test_an_override_by_hand_keeps_its_id_in_the_past(time: Replicas) -> None:
    one = await time.started(DAILY)
    override = by_hand("cid", START + HOUR, START + 2 * HOUR, id="x1")
    one.use_schedule_changes(ManualScheduleChanges(overrides={"main": [override]}))
    await time.passes(5 * HOUR, one)
    found = await final_shifts(one, "main", at(0), at(3))
    assert [(shift.override, shift.layer) for shift in found] == [
        ("", "daily"),
        ("x1", ""),
        ("", "daily"),
    ]


async def test_a_reload_that_changes_nothing_does_not_cut_the_plan(time: Replicas) -> None:
    one = await time.started(DAILY)
    time.clock += HOUR
    one.use_config(DAILY)  # not written yet: both rosters are asked
    time.clock += HOUR
    assert await shifts(one, START, START + 30 * HOUR) == [
        (0, 24, "ann", False),
        (24, 30, "bob", False),
    ]


async def test_the_future_needs_no_store_and_the_past_does(time: Replicas) -> None:
    one = await time.started(DAILY)
    await time.passes(HOUR, one)
    await one.wire.close()
    assert await shifts(one, time.clock, START + DAY) == [(1, 24, "ann", False)]
    assert (await on_call(one, 30))[0] == "bob"
    with pytest.raises(StoreUnavailable):
        await shifts(one, START, START + DAY)
    with pytest.raises(StoreUnavailable):
        await on_call(one, 0.5)


async def test_who_came_next_in_the_past_is_who_really_came(time: Replicas) -> None:
    one = await time.started(DAILY)
    await time.passes(3 * HOUR, one)
    await changed(one, to=config(turns("cid")))
    await time.passes(3 * HOUR, one)
    assert await on_call(one, 1) == ("ann", 3, "cid")


async def test_a_shift_of_the_past_that_goes_on_ends_where_the_plan_says(time: Replicas) -> None:
    one = await time.started(DAILY)
    await time.passes(5 * HOUR, one)
    assert await on_call(one, 2) == ("ann", 24, "bob")


async def test_another_reason_for_the_same_person_is_no_change(time: Replicas) -> None:
    one = await time.started(DAILY)
    override = by_hand("ann", START + HOUR, START + 2 * HOUR)
    one.use_schedule_changes(ManualScheduleChanges(overrides={"main": [override]}))
    await time.passes(30 * HOUR, one)
    assert await on_call(one, 0.5) == ("ann", 24, "bob")
    found = await recorded_on_call(one, "main", at(1.5))
    assert said(found.reason).startswith("override by hand")


async def test_where_the_plan_has_somebody_else_the_past_ends_with_the_record(
    time: Replicas,
) -> None:
    one = await time.started(config(turns("ann")))
    await time.passes(3 * HOUR, one)
    one.use_config(config(turns("bob")))  # just now: nobody has been on call by it yet
    assert await on_call(one, 1) == ("ann", 3, "bob")


async def test_nobody_ever_again_has_no_end(time: Replicas) -> None:
    one = await time.started(config(turns()))
    await time.passes(3 * HOUR, one)
    assert await on_call(one, 1) == ("", None, "")


async def test_a_schedule_that_left_the_file_keeps_the_zone_that_it_had(time: Replicas) -> None:
    berlin = config(turns("ann"), timezone="Europe/Berlin")
    one = await time.started(berlin)
    await time.passes(HOUR, one)
    assert await schedule_zone(one, "main") == "Europe/Berlin"
    await changed(one, to=replace(berlin, schedules={}))
    assert await schedule_zone(one, "main") == "Europe/Berlin"


async def test_an_unknown_schedule_is_named_and_its_name_cut_off(time: Replicas) -> None:
    one: Context = await time.started(Config(route=DAILY.route))
    with pytest.raises(NotFound) as error:
        await schedule_zone(one, "x" * 1_000)
    assert len(str(error.value)) < 100
