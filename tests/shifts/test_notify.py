"""Notices about shifts go out once, whatever restarts and whosever clock is ahead."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from amproxy.oncall.notice import Notice
from amproxy.shifts.record import (
    handle_schedule_timer,
    outgoing_notices,
    record_all_schedules,
    record_operations,
)
from amproxy.store import keys
from amproxy.store import shifts as stored
from amproxy.store.commit import commit
from amproxy.store.leases import Timer
from tests.support.integration.on_duty import (
    DAY,
    HOUR,
    KINDS,
    START,
    Replicas,
    config,
    people,
    replicas,
    shifts,
    turns,
)

FOUND = config(turns("ann", "bob"), users=people(*KINDS))
HANDOFF = [("going_on_call", "bob"), ("leaving", "ann")]
MAIN = Timer("shifts", "main", 0.0)


@pytest.fixture
async def time(redis_url: str) -> AsyncIterator[Replicas]:
    async with replicas(redis_url) as found:
        yield found


async def test_a_timer_that_comes_twice_sends_nothing_twice(time: Replicas) -> None:
    one = await time.started(FOUND)
    await time.passes(DAY, one)
    for _ in range(3):
        await handle_schedule_timer(one, MAIN)
    assert await time.told() == HANDOFF


async def test_a_restart_sends_nothing_again(time: Replicas) -> None:
    one = await time.started(FOUND)
    await time.passes(DAY, one)
    await record_all_schedules(one)
    two = await time.started(FOUND)
    await handle_schedule_timer(two, MAIN)
    await time.passes(2 * HOUR, two)
    assert await time.told() == HANDOFF


async def test_a_restart_around_the_handoff_does_not_lose_it(time: Replicas) -> None:
    one = await time.started(FOUND)
    await time.passes(DAY - 60, one)
    await record_all_schedules(one)
    time.clock += 120
    two = await time.started(FOUND)
    await handle_schedule_timer(two, MAIN)
    assert await time.told() == HANDOFF


async def test_a_replica_whose_clock_is_behind_sends_nothing_again(time: Replicas) -> None:
    ahead, behind = await time.started(FOUND), await time.started(FOUND)
    late = 90.0
    behind.now = lambda: time.clock - late
    await time.passes(DAY, ahead, behind)
    await handle_schedule_timer(behind, MAIN)
    await time.passes(HOUR, behind, ahead)
    assert await time.told() == HANDOFF
    found = await shifts(ahead, START, START + DAY + HOUR)
    assert [(start, end, who) for start, end, who, _ in found] == [(0, 24, "ann"), (24, 25, "bob")]


async def test_whoever_writes_second_writes_nothing_and_sends_nothing(time: Replicas) -> None:
    one, two = await time.started(FOUND), await time.started(FOUND)
    await time.looks(one)
    time.clock += HOUR
    progress = await stored.load_progress(two.wire, "main")
    late = record_operations(two, "main", progress, time.clock)
    await handle_schedule_timer(one, MAIN)
    assert not await commit(two.wire, late)


async def test_the_next_timer_is_set_with_what_was_sent(time: Replicas) -> None:
    one = await time.started(FOUND)
    time.clock += DAY - 600
    await handle_schedule_timer(one, MAIN)
    [(name, due)] = await _timers(time)
    assert (name, due) == ("shifts:main", START + DAY)


async def test_the_timer_of_a_schedule_that_was_never_written_ends_with_it(time: Replicas) -> None:
    one = await time.started(FOUND)
    one.use_config(replace(FOUND, schedules={}))
    await handle_schedule_timer(one, MAIN)
    assert await _timers(time) == []
    assert not await one.wire.call("EXISTS", keys.shifts("main"))


async def test_a_notice_becomes_a_message_for_each_channel_with_an_address(time: Replicas) -> None:
    channels = ("console", "phone_call", "email")
    one = await time.started(replace(FOUND, users=people("leaving", channels=channels)))
    notice = Notice(kind="leaving", user="ann", subject="You are off call", text="…")
    sent = outgoing_notices(one, [notice, replace(notice, kind="gap_ahead")])
    assert [(message.channel, message.address) for message in sent] == [
        ("console", "ann"),
        ("email", "ann@example.org"),
    ]
    assert {(message.kind, message.reason, message.due) for message in sent} == {
        ("notice", "leaving", START)
    }
    assert len({message.id for message in sent}) == 2


async def _timers(time: Replicas) -> list[tuple[str, float]]:
    flat = await time.wires[0].call("ZRANGE", keys.TIMERS, 0, -1, "WITHSCORES")
    return [
        (name.decode(), float(due) / 1000) for name, due in zip(flat[::2], flat[1::2], strict=True)
    ]
