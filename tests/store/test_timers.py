"""Timers: each is leased to one worker, and comes again where that worker dies."""

from __future__ import annotations

import pytest

from amproxy.model import Group
from amproxy.store import groups, keys, leases
from amproxy.store.groups import GroupWrite
from amproxy.store.leases import LEASE, Timer
from amproxy.store.wire import Wire

NOW = 1_000_000.0


async def test_a_due_timer_comes_to_one_worker_and_again_when_its_lease_is_over(wire: Wire) -> None:
    assert await leases.restore(wire, "incident:i", NOW)
    assert await leases.lease_due(wire, NOW - 1, 10) == []
    assert await leases.lease_due(wire, NOW, 10) == [Timer("incident", "i", NOW)]
    assert await leases.lease_due(wire, NOW + LEASE - 0.1, 10) == [], "another worker has it"
    assert await leases.lease_due(wire, NOW + LEASE, 10) == [Timer("incident", "i", NOW + LEASE)]


async def test_a_timer_that_was_handled_does_not_come_again(wire: Wire) -> None:
    await leases.restore(wire, "retry:m", NOW)
    [timer] = await leases.lease_due(wire, NOW, 10)
    await leases.drop(wire, timer)
    assert await leases.lease_due(wire, NOW + 10 * LEASE, 10) == []
    assert await leases.next_due(wire) is None


async def test_a_worker_gets_no_more_than_it_wants_by_due_time(wire: Wire) -> None:
    for number in range(5):
        await leases.restore(wire, f"flush:{number}", NOW - number)
    assert [timer.id for timer in await leases.lease_due(wire, NOW, 4)] == ["4", "3", "1", "0"]
    assert [timer.id for timer in await leases.lease_due(wire, NOW, 10)] == ["2"]


async def test_what_is_due_last_does_not_wait_for_a_backlog_and_the_backlog_goes_on(
    wire: Wire,
) -> None:
    for number in range(100):
        await leases.restore(wire, f"flush:old{number:02}", NOW - 100 + number / 2)
    await leases.restore(wire, "flush:new", NOW)
    leased = [timer.id for timer in await leases.lease_due(wire, NOW, 6)]
    assert leased == ["old00", "old01", "old02", "old98", "old99", "new"]


async def test_a_timer_that_is_there_is_not_restored(wire: Wire) -> None:
    await leases.restore(wire, "incident:i", NOW)
    assert not await leases.restore(wire, "incident:i", NOW - 100)
    assert await leases.next_due(wire) == NOW


async def test_the_rest_of_a_name_may_hold_any_sign(wire: Wire) -> None:
    await wire.call("ZADD", keys.TIMERS, 1, "heartbeat:a:b é")
    assert await leases.lease_due(wire, NOW, 10) == [Timer("heartbeat", "a:b é", 0.001)]


async def test_a_timer_whose_work_could_not_be_done_comes_again_at_once(wire: Wire) -> None:
    await leases.restore(wire, "incident:i", NOW)
    [timer] = await leases.lease_due(wire, NOW, 10)
    await leases.give_back(wire, timer, NOW, NOW + 1)
    assert await leases.lease_due(wire, NOW + 1, 10) == [Timer("incident", "i", NOW + 1)]


async def test_a_timer_that_was_set_meanwhile_is_not_given_back(wire: Wire) -> None:
    await leases.restore(wire, "incident:i", NOW)
    [timer] = await leases.lease_due(wire, NOW, 10)
    await wire.call("ZADD", keys.TIMERS, int((NOW + 600) * 1000), "incident:i")
    await leases.give_back(wire, timer, NOW, NOW + 1)
    assert await leases.next_due(wire) == NOW + 600
    await wire.call("ZREM", keys.TIMERS, "incident:i")
    await leases.give_back(wire, timer, NOW, NOW + 1)
    assert await leases.next_due(wire) is None


@pytest.mark.parametrize(
    ("timer", "key", "name"),
    [
        ("flush:g", keys.group("g"), "meta"),
        ("incident:i", keys.incident("i"), "v"),
        ("retry:m", keys.RETRIES, "m"),
    ],
)
async def test_the_timer_of_what_has_come_back_is_not_dropped(
    wire: Wire, timer: str, key: str, name: str
) -> None:
    await leases.restore(wire, timer, NOW)
    [leased] = await leases.lease_due(wire, NOW, 10)
    await wire.call("HSET", key, name, "x")
    await leases.drop(wire, leased)
    assert await leases.next_due(wire) is not None
    await wire.call("DEL", key)
    await leases.drop(wire, leased)
    assert await leases.next_due(wire) is None


async def test_a_push_leases_the_timer_that_it_sets_and_none_that_somebody_takes_up(
    wire: Wire,
) -> None:
    now_ms, end = int(NOW * 1000), leases.lease_end(NOW)
    meta = groups.encode_group(Group(id="g", key="k", receiver="r", route_key="{}"))

    async def push(due_ms: int | None, *, hurry: bool) -> tuple[list[str] | None, bytes | None]:
        """Push where the group's timer stands so; returns what was leased, and the timer."""
        await wire.call("DEL", keys.TIMERS)
        if due_ms is not None:
            await wire.call("ZADD", keys.TIMERS, due_ms, "flush:g")
        write = GroupWrite("g", meta, now_ms, hurry, [], [], [], [], [], end)
        leased = await groups.ingest(wire, [write])
        return leased, await wire.call("ZSCORE", keys.TIMERS, "flush:g")

    mine, later = str(end).encode(), now_ms + 60_000
    for hurry in (True, False):
        assert await push(None, hurry=hurry) == (["g"], mine)
        [timer] = await leases.lease_due(wire, NOW + LEASE, 10)
        assert timer.id == "g", "another one takes it up where this process dies"
    assert await push(later, hurry=True) == (["g"], mine)
    assert await push(later, hurry=False) == ([], str(later).encode())
    assert await push(now_ms - 5, hurry=True) == ([], str(now_ms - 5).encode())
    assert await push(now_ms - 5, hurry=False) == ([], str(now_ms - 5).encode())
    # leased by another, whose flush will be refused: the push has news
    assert await push(now_ms + 5000, hurry=True) == (["g"], mine)
