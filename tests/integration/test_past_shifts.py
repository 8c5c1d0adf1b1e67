"""Who was on call is a fact: no later file and no later override changes it."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.context import Context
from amproxy.engine.auditor import audit_once
from amproxy.errors import NotFound
from amproxy.shifts import record
from amproxy.shifts.final import recorded_on_call, schedule_zone
from amproxy.shifts.record import MIN_SHIFT_RETENTION, record_all_schedules, record_superseded
from amproxy.store import keys
from amproxy.store import shifts as stored
from amproxy.store.leases import Timer
from amproxy.store.schedule_changes import ManualScheduleChanges
from tests.support.integration.on_duty import (
    DAY,
    HOUR,
    START,
    Replicas,
    by_hand,
    changed,
    config,
    people,
    replicas,
    shifts,
    turns,
)

BOB = config(turns("bob"))


async def test_what_is_over_is_written_and_what_is_to_come_is_the_plan(redis_url: str) -> None:
    async with replicas(redis_url) as time:
        one = await time.started(config())
        await time.passes(2.5 * DAY, one)
        assert await shifts(one, START, START + 4 * DAY) == [
            (0, 24, "ann", True),
            (24, 48, "bob", True),
            (48, 72, "ann", False),
            (72, 96, "bob", False),
        ]


async def test_another_file_changes_the_future_and_not_the_past(redis_url: str) -> None:
    async with replicas(redis_url) as time:
        one = await time.started(config())
        await time.passes(30 * HOUR + 1234.5, one)
        await changed(one, to=config(turns("cid")))
        await time.passes(DAY, one)
        change = round(30 + 1234.5 / 3600, 4)
        assert await shifts(one, START, START + 3 * DAY) == [
            (0, 24, "ann", True),
            (24, change, "bob", True),
            (change, 72, "cid", False),
        ]
        then = await recorded_on_call(one, "main", datetime.fromtimestamp(START + HOUR, UTC))
        assert (then.users, then.until, then.next) == (
            ("ann",),
            datetime.fromtimestamp(START + DAY, UTC),
            ("bob",),
        )
        with_plan = one.roster.on_call("main", datetime.fromtimestamp(START + HOUR, UTC))
        assert with_plan.users == ("cid",)  # that is what today's file would say


async def test_the_part_of_a_shift_up_to_the_change_belongs_to_the_file_before_even_when_no_timer_was_due(
    redis_url: str,
) -> None:
    async with replicas(redis_url) as time:
        one = await time.started(BOB)
        await time.looks(one)
        time.clock += 10.5  # far from the next look
        await changed(one, to=config(turns("ann")))
        time.clock += 10
        assert [
            (who, recorded) for _, _, who, recorded in await shifts(one, START, START + 60)
        ] == [("bob", True), ("ann", False)]


async def test_while_redis_is_away_the_old_roster_is_remembered(redis_url: str) -> None:
    async with replicas(redis_url) as time:
        one = await time.started(BOB)
        await time.looks(one)
        for seconds, user in ((100, "ann"), (200, "cid")):
            time.clock = START + seconds
            one.use_config(config(turns(user)))  # nothing can be written yet
        time.clock = START + 300
        await record_superseded(one)
        await record.handle_schedule_timer(one, Timer("shifts", "main", 0))
        found = await shifts(one, START, START + 300)
        assert [(who, round((end - start) * 3600)) for start, end, who, _ in found] == [
            ("bob", 100),
            ("ann", 100),
            ("cid", 100),
        ]
        assert all(recorded for *_, recorded in found)


async def test_an_override_by_hand_for_the_past_changes_nothing_of_it(redis_url: str) -> None:
    async with replicas(redis_url) as time:
        one = await time.started(config())
        await time.passes(3 * HOUR, one)
        one.use_schedule_changes(
            ManualScheduleChanges(
                overrides={"main": [by_hand("cid", START + HOUR, START + 5 * HOUR)]}
            )
        )
        await record_superseded(one)
        await time.passes(3 * HOUR, one)
        assert await shifts(one, START, START + 6 * HOUR) == [
            (0, 3, "ann", True),
            (3, 5, "cid", True),
            (5, 6, "ann", True),
        ]


async def test_after_a_standstill_the_time_between_is_filled_from_the_roster(
    redis_url: str,
) -> None:
    async with replicas(redis_url) as time:
        one = await time.started(config())
        await time.looks(one)
        time.clock += 3.5 * DAY
        two = await time.started(config())
        await time.looks(two)
        assert [
            who for _, _, who, recorded in await shifts(two, START, time.clock) if recorded
        ] == ["ann", "bob", "ann", "bob"]


async def test_an_end_in_order_writes_everything_before_another_file_is_started(
    redis_url: str,
) -> None:
    async with replicas(redis_url) as time:
        one = await time.started(BOB)
        await time.looks(one)
        time.clock += 900
        await record_all_schedules(one)
        two = await time.started(config(turns("ann")))
        time.clock += 900
        await record.handle_schedule_timer(two, Timer("shifts", "main", 0))
        assert await shifts(two, START, time.clock) == [
            (0, 0.25, "bob", True),
            (0.25, 0.5, "ann", True),
        ]


async def test_before_anything_was_written_the_plan_answers_and_says_so(redis_url: str) -> None:
    async with replicas(redis_url) as time:
        one = await time.started(config())
        await time.passes(DAY + HOUR, one)
        found = await shifts(one, START - DAY, START + DAY)
        assert found == [(-24, 0, "", False), (0, 24, "ann", True)]
        early = await recorded_on_call(one, "main", datetime.fromtimestamp(START - HOUR, UTC))
        assert early.users == () and early.next == ("ann",)


async def test_a_shift_that_goes_on_is_one_however_often_it_was_written(redis_url: str) -> None:
    async with replicas(redis_url) as time:
        one = await time.started(BOB)
        await time.passes(10 * DAY, one)
        assert await one.wire.call("ZCARD", keys.facts("main")) == 1
        assert await shifts(one, START + DAY, START + 2 * DAY) == [(24, 48, "bob", True)]


async def test_a_schedule_that_left_the_file_keeps_its_past_and_coming_back_does_not_invent_one(
    redis_url: str,
) -> None:
    without = replace(BOB, schedules={})
    async with replicas(redis_url) as time:
        one = await time.started(BOB)
        await time.passes(5 * HOUR, one)
        await changed(one, to=without)
        await time.passes(5 * HOUR, one)
        assert await shifts(one, START, START + DAY) == [(0, 5, "bob", True)]
        assert await schedule_zone(one, "main") == "UTC"
        with pytest.raises(NotFound):
            await schedule_zone(one, "other")
        await changed(one, to=BOB)
        await time.passes(5 * HOUR, one)
        assert await shifts(one, START, START + 16 * HOUR) == [
            (0, 5, "bob", True),
            (5, 10, "", True),
            (10, 16, "bob", False),
        ]


async def test_a_schedule_that_is_gone_at_the_next_start_keeps_its_past(redis_url: str) -> None:
    async with replicas(redis_url) as time:
        one = await time.started(BOB)
        await time.passes(5 * HOUR, one)
        two = await time.started(replace(BOB, schedules={}))
        await time.passes(5 * HOUR, two)
        assert [(start, who) for start, _, who, _ in await shifts(two, START, START + DAY)] == [
            (0, "bob")
        ]
        assert await one.wire.call("ZCARD", keys.TIMERS) == 0


async def test_names_and_zones_of_people_are_those_of_their_time(redis_url: str) -> None:
    async with replicas(redis_url) as time:
        one = await time.started(BOB)
        await time.passes(HOUR, one)
        moved = {
            name: replace(user, full_name="Robert", timezone="Asia/Tbilisi")
            for name, user in people().items()
        }
        await changed(one, to=replace(BOB, users=moved))
        await time.passes(HOUR, one)
        facts = await stored.load_facts(one.wire, "main", START, time.clock)
        assert [
            (person.full_name, person.timezone) for fact in facts for person in fact.people
        ] == [
            ("Bob", "UTC"),
            ("Robert", "Asia/Tbilisi"),
        ]


async def test_the_auditor_forgets_what_is_older_than_four_hundred_days_and_sets_lost_timers(
    redis_url: str,
) -> None:
    async with replicas(redis_url) as time:
        one = await time.started(config())
        await time.passes(3 * DAY, one)
        time.clock += MIN_SHIFT_RETENTION - DAY
        await one.wire.call("DEL", keys.TIMERS)
        await audit_once(one)
        assert (
            next(
                start
                for start, _, _, recorded in await shifts(one, START - DAY, START + 3 * DAY)
                if recorded
            )
            == 24
        )
        assert await one.wire.call("ZCARD", keys.TIMERS) == 1
        await changed(one, to=replace(BOB, schedules={}))
        time.clock += MIN_SHIFT_RETENTION + DAY
        await audit_once(one)
        assert await stored.load_facts(one.wire, "main", 0, time.clock) == []
        assert not await one.wire.call("EXISTS", keys.shifts("main"))


def whole(found: list[tuple[float, float, str, bool]]) -> None:
    assert all(one[1] == two[0] for one, two in pairwise(found)), found


STEP = st.tuples(
    st.sampled_from(["passes", "file", "override", "stop"]),
    st.integers(1, 40),
    st.sampled_from(["ann", "bob", "cid"]),
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEP, min_size=1, max_size=8))
async def test_two_replicas_write_every_moment_once_and_never_again(
    redis_url: str, steps: list[tuple[str, int, str]]
) -> None:
    async with replicas(redis_url) as time:
        both = [await time.started(config()), await time.started(config())]
        await both[0].wire.call("FLUSHALL")
        await record.restore_schedule_timers(both[0])
        await time.looks(*both)
        past: list[tuple[float, float, str, bool]] = []
        for kind, number, user in steps:
            await _step(time, both, kind, number, user)
            facts = [one for one in await shifts(both[0], START, time.clock) if one[3]]
            whole(facts)
            assert not facts or facts[0][0] == 0
            assert facts[: max(0, len(past) - 1)] == past[:-1]  # the last one may have grown
            past = facts
        await record.handle_schedule_timer(both[1], Timer("shifts", "main", 0))
        facts = await stored.load_facts(both[0].wire, "main", START, time.clock + 1)
        assert time.clock == START or facts[-1].end == time.clock


async def _step(time: Replicas, both: list[Context], kind: str, number: int, user: str) -> None:
    match kind:
        case "passes":
            await time.passes(number * HOUR, *both)
        case "stop":
            time.clock += number * HOUR
        case "file":
            await changed(*both, to=config(turns(user, "bob", every="5h", seconds=5 * 3600)))
        case "override":
            for context in both:
                context.use_schedule_changes(
                    ManualScheduleChanges(
                        overrides={
                            "main": [
                                by_hand(
                                    user, time.clock - number * HOUR, time.clock + number * HOUR
                                )
                            ]
                        }
                    )
                )
                await record_superseded(context)
