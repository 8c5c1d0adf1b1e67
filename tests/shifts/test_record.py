"""The record of the past: each roster's own words for its own time, and when they are written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from amproxy.config.structs import Absence, Config
from amproxy.context import Context
from amproxy.model import RecordedShift
from amproxy.oncall.roster import Roster
from amproxy.shifts.record import (
    MIN_SHIFT_RETENTION,
    SCHEDULE_CHECK_EVERY,
    next_schedule_check,
    record_operations,
    record_superseded,
    recorded_shifts,
    rosters_between,
)
from amproxy.store import keys
from amproxy.store.schedule_changes import ManualScheduleChanges
from amproxy.store.shifts import ScheduleProgress
from amproxy.store.wire import Wire
from tests.support.integration.on_duty import (
    DAY,
    HOUR,
    START,
    by_hand,
    changed,
    config,
    people,
    replicas,
    shifts,
    turns,
)
from tests.support.words import said

ANN, BOB = config(turns("ann")), config(turns("bob"))


@dataclass
class Process:
    """A context without Redis, whose clock the test moves."""

    context: Context
    clock: list[float]

    def uses(self, found: Config, *, after: float) -> None:
        self.clock[0] += after
        self.context.use_config(found)


def process(found: Config) -> Process:
    clock = [START]
    return Process(Context(found, Wire("redis://127.0.0.1:1/0"), lambda: clock[0]), clock)


def periods(context: Context, start: float, end: float) -> list[tuple[str, float, float]]:
    """(user of the layer, hours after START, hours after START) of each roster between."""
    found = rosters_between(context, START + start * HOUR, START + end * HOUR)
    return [
        (_layer_user(roster), (begin - START) / HOUR, (until - START) / HOUR)
        for roster, begin, until in found
    ]


def _layer_user(roster: Roster) -> str:
    return roster.config.schedules["main"].layers[0].users[0][0]


def written(recorded: Iterable[RecordedShift]) -> list[tuple[float, float, str]]:
    return [
        ((one.start - START) / HOUR, (one.end - START) / HOUR, "+".join(p.user for p in one.people))
        for one in recorded
    ]


def since(hours: float, **more: object) -> ScheduleProgress:
    """The progress of a schedule that is written up to so many hours after START."""
    return ScheduleProgress(version=1, until=START + hours * HOUR, **more)  # type: ignore[arg-type]


# Which roster counts when


def test_each_roster_counts_up_to_where_it_gave_way() -> None:
    one = process(ANN)
    one.uses(BOB, after=2 * HOUR)
    one.uses(ANN, after=3 * HOUR)
    assert periods(one.context, 0, 8) == [("ann", 0, 2), ("bob", 2, 5), ("ann", 5, 8)]
    assert periods(one.context, 1, 4) == [("ann", 1, 2), ("bob", 2, 4)]
    assert periods(one.context, 2, 5) == [("bob", 2, 5)]
    assert periods(one.context, 6, 7) == [("ann", 6, 7)]


def test_the_first_roster_that_is_known_stands_for_the_time_before_it() -> None:
    one = process(ANN)
    one.uses(BOB, after=HOUR)
    assert periods(one.context, -10, -5) == [("ann", -10, -5)]
    assert periods(one.context, -1, 3) == [("ann", -1, 1), ("bob", 1, 3)]


def test_a_time_that_has_no_length_has_no_roster() -> None:
    one = process(ANN)
    one.uses(BOB, after=HOUR)
    assert periods(one.context, 1, 1) == periods(one.context, 2, 1) == []


def test_a_roster_that_was_in_force_for_less_than_a_second_never_counted() -> None:
    one = process(ANN)
    one.uses(BOB, after=0.9)
    one.uses(ANN, after=HOUR)
    assert [user for user, _, _ in periods(one.context, 0, 2)] == ["bob", "ann"]


# What is written


def test_nothing_is_made_up_for_the_time_before_the_first_writing() -> None:
    assert recorded_shifts(process(ANN).context, "main", ScheduleProgress(), START + DAY) == []


def test_the_past_is_written_from_where_it_ended_to_the_given_time() -> None:
    one = process(config())
    found = recorded_shifts(one.context, "main", since(20), START + 50 * HOUR)
    assert written(found) == [(20, 24, "ann"), (24, 48, "bob"), (48, 50, "ann")]


def test_a_change_of_the_file_cuts_a_shift_where_it_was_made() -> None:
    one = process(ANN)
    one.uses(BOB, after=5 * HOUR)
    found = recorded_shifts(one.context, "main", since(0), START + 8 * HOUR)
    assert written(found) == [(0, 5, "ann"), (5, 8, "bob")]


def test_while_the_schedule_was_not_in_the_file_nobody_was_on_call() -> None:
    one = process(ANN)
    one.uses(replace(ANN, schedules={}), after=2 * HOUR)
    one.uses(ANN, after=3 * HOUR)
    found = recorded_shifts(one.context, "main", since(0), START + 6 * HOUR)
    assert written(found) == [(0, 2, "ann"), (2, 5, ""), (5, 6, "ann")]
    assert said(found[1].reason) == "nobody: the schedule was not in the file"


def test_a_schedule_that_comes_back_has_a_gap_and_not_what_the_file_says_today() -> None:
    one = process(ANN)
    found = recorded_shifts(one.context, "main", since(1, over=True), START + 3 * HOUR)
    assert written(found) == [(1, 3, "")]
    assert recorded_shifts(one.context, "main", since(3, over=True), START + 3 * HOUR) == []


def test_after_a_standstill_of_years_only_what_is_kept_is_written() -> None:
    one = process(ANN)
    until = START + 3 * MIN_SHIFT_RETENTION
    [shift] = recorded_shifts(one.context, "main", since(0), until)
    assert (shift.start, shift.end) == (until - MIN_SHIFT_RETENTION, until)


def test_a_person_who_left_the_file_is_written_with_the_name_alone() -> None:
    one = process(replace(ANN, users=people(names=("bob",))))
    [shift] = recorded_shifts(one.context, "main", since(0), START + HOUR)
    [person] = shift.people
    assert (person.user, person.full_name) == ("ann", "")


def test_a_process_whose_clock_is_behind_takes_nothing_back() -> None:
    one = process(ANN)
    operations = record_operations(one.context, "main", since(10), START + HOUR)
    stored = [operation for operation in operations.ops if "until" in operation]
    assert [repr(START + 10 * HOUR) in operation for operation in stored] == [True]
    assert not [operation for operation in operations.ops if operation[0] == "ZADD"]


# When it is looked at again


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (0.0, SCHEDULE_CHECK_EVERY),
        (DAY - 10.0, DAY),
        (DAY - SCHEDULE_CHECK_EVERY - 1.0, DAY - 1.0),
        (DAY, DAY + SCHEDULE_CHECK_EVERY),
    ],
)
def test_a_schedule_is_looked_at_when_its_people_change_and_half_hourly(
    at: float, expected: float
) -> None:
    now = datetime.fromtimestamp(START + at, UTC)
    found = next_schedule_check(Roster(config()), "main", now)
    assert found.timestamp() - START == expected


def test_a_change_of_the_reason_alone_is_no_change_of_people() -> None:
    override = by_hand("ann", START + 60, START + 120)
    roster = Roster(ANN, {"main": [override]})
    found = next_schedule_check(roster, "main", datetime.fromtimestamp(START, UTC))
    assert found.timestamp() - START == SCHEDULE_CHECK_EVERY


# Changes by hand that reach into the past


async def test_an_override_that_is_deleted_later_stays_in_the_past_as_far_as_it_got(
    redis_url: str,
) -> None:
    async with replicas(redis_url) as time:
        one = await time.started(ANN)
        await time.looks(one)
        override = by_hand("cid", START + HOUR, START + 5 * HOUR)
        one.use_schedule_changes(ManualScheduleChanges(overrides={"main": [override]}))
        await record_superseded(one)
        await time.passes(2.25 * HOUR, one)
        one.use_schedule_changes(ManualScheduleChanges())
        await record_superseded(one)
        await time.passes(DAY, one)
        found = await shifts(one, START, START + 6 * HOUR)
        assert found == [(0, 1, "ann", True), (1, 2.25, "cid", True), (2.25, 6, "ann", True)]


async def test_an_override_for_the_past_changes_nothing_of_it_though_nothing_was_written_since(
    redis_url: str,
) -> None:
    async with replicas(redis_url) as time:
        one = await time.started(ANN)
        await time.looks(one)
        time.clock += 6 * HOUR  # the service was busy: no timer ran
        override = by_hand("cid", START, START + 8 * HOUR)
        one.use_schedule_changes(ManualScheduleChanges(overrides={"main": [override]}))
        await record_superseded(one)
        await time.passes(4 * HOUR, one)
        found = await shifts(one, START, START + 10 * HOUR)
        assert found == [(0, 6, "ann", True), (6, 8, "cid", True), (8, 10, "ann", True)]


async def test_an_absence_that_is_entered_afterwards_changes_the_rest_of_the_shift_only(
    redis_url: str,
) -> None:
    async with replicas(redis_url) as time:
        one = await time.started(config(turns("ann", "bob")))
        await time.passes(3 * HOUR, one)
        naive = datetime.fromtimestamp(START, UTC).replace(tzinfo=None)
        away = Absence(start=naive, end=naive.replace(day=naive.day + 1))
        users = {**people(), "ann": replace(people()["ann"], absences=(away,))}
        await changed(one, to=config(turns("ann", "bob"), users=users))
        await time.passes(3 * HOUR, one)
        found = await shifts(one, START, START + 6 * HOUR)
        assert [(start, who) for start, _, who, _ in found] == [(0, "ann"), (3, "bob")]


async def test_a_change_that_changes_nobodys_shift_leaves_one_shift(redis_url: str) -> None:
    async with replicas(redis_url) as time:
        one = await time.started(ANN)
        await time.passes(2 * HOUR, one)
        await changed(one, to=replace(ANN, users={**ANN.users, "dan": ANN.users["ann"]}))
        await time.passes(2 * HOUR, one)
        assert await shifts(one, START, START + 3 * HOUR) == [(0, 3, "ann", True)]


async def test_a_change_by_hand_is_written_down_and_checked_for_its_schedule_alone(
    redis_url: str,
) -> None:
    many = [f"schedule-{number}" for number in range(30)]
    plan = replace(ANN.schedules["main"])
    found = replace(
        ANN, schedules={"main": plan, **{name: replace(plan, name=name) for name in many}}
    )
    async with replicas(redis_url) as time:
        one = await time.started(found)
        await record_superseded(one)
        wire, asked = one.wire, list[str]()
        call = wire.call

        def counted(*words: Any) -> Any:
            asked.append(" ".join(map(str, words[:4])))
            return call(*words)

        wire.call = counted  # type: ignore[method-assign]
        await time.passes(HOUR, one)
        due = dict(await timers(one))
        asked.clear()
        override = by_hand("cid", START, START + 5 * HOUR)
        one.use_schedule_changes(ManualScheduleChanges(overrides={"main": [override]}))
        await record_superseded(one)
        assert len(asked) < 10
        assert {name for name, at in await timers(one) if at != due[name]} == {"shifts:main"}


async def timers(context: Context) -> list[tuple[str, float]]:
    flat = await context.wire.call("ZRANGE", keys.TIMERS, 0, -1, "WITHSCORES")
    return [(name.decode(), float(at)) for name, at in zip(flat[::2], flat[1::2], strict=True)]
