"""The worker of timers: no timer stops the others."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from amproxy.context import LARGE_GROUP, MAX_LARGE_GROUPS, Context
from amproxy.engine import worker
from amproxy.notify.worker import POLL_INTERVAL
from amproxy.store import keys, leases, outbox
from amproxy.store.leases import Timer
from tests.support.waiting import soon


@contextlib.asynccontextmanager
async def at_work(context: Context) -> AsyncIterator[None]:
    task = asyncio.create_task(worker.run_worker(context))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_timers_whose_object_is_gone_are_dropped(context: Context) -> None:
    kinds = ("incident", "flush", "retry", "heartbeat", "shifts", "maintenance", "bundle", "riddle")
    for kind in kinds:
        await leases.restore(context.wire, f"{kind}:x", context.now())

    async def none_left() -> bool:
        return await leases.next_due(context.wire) is None

    async with at_work(context):
        await soon(none_left)


async def test_a_defect_in_one_timer_stops_no_other_and_it_comes_again(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(context: Context, timer: Timer) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(worker, "flush_group", broken)
    await leases.restore(context.wire, "flush:broken", context.now() - 1)
    await leases.restore(context.wire, "incident:x", context.now())

    async def only_the_broken_one_is_left() -> bool:
        return bool(await context.wire.call("ZRANGE", keys.TIMERS, 0, -1) == [b"flush:broken"])

    async with at_work(context):
        await soon(only_the_broken_one_is_left)
    due = await leases.next_due(context.wire)
    assert due is not None and due > context.now(), "its lease is not over yet"


async def test_of_a_thousand_timers_that_are_due_dozens_are_worked_on_together(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease_due, asked = leases.lease_due, 0

    async def counted(*given: Any) -> list[Timer]:
        nonlocal asked
        found = await lease_due(*given)
        asked += bool(found)
        return found

    monkeypatch.setattr(leases, "lease_due", counted)
    words = [word for number in range(1000) for word in (1, f"incident:{number}")]
    await context.wire.call("ZADD", keys.TIMERS, *words)

    async def none_left() -> bool:
        return await leases.next_due(context.wire) is None

    async with at_work(context):
        await soon(none_left)
    assert asked <= 1000 / 50


async def test_few_large_groups_are_held_at_once_and_others_do_not_wait_for_them(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, flushed, release = set[str](), set[str](), asyncio.Event()

    async def flush(context: Context, timer: Timer) -> None:
        held.add(timer.id)
        if timer.id.startswith("large"):
            await release.wait()
        held.remove(timer.id)
        flushed.add(timer.id)
        await context.wire.call("ZREM", keys.TIMERS, f"flush:{timer.id}")

    monkeypatch.setattr(worker, "flush_group", flush)
    leased = [word for number in range(LARGE_GROUP + 1) for word in (number, "lease")]
    for number in range(MAX_LARGE_GROUPS + 4):
        await context.wire.call("HSET", keys.leases(f"large{number}"), *leased)
        await leases.restore(context.wire, f"flush:large{number}", context.now() - 1)
    await leases.restore(context.wire, "flush:small", context.now())
    async with at_work(context):
        await soon(lambda: "small" in flushed and len(held) == MAX_LARGE_GROUPS)
        release.set()
        await soon(lambda: len(flushed) == MAX_LARGE_GROUPS + 5)


async def test_work_that_takes_longer_than_a_lease_is_begun_once(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, over = 0, asyncio.Event()

    async def slow(context: Context, timer: Timer) -> None:
        nonlocal begun
        begun += 1
        await over.wait()
        await leases.drop(context.wire, timer)

    monkeypatch.setattr(leases, "LEASE", 1.0)
    monkeypatch.setattr(worker, "RENEW_INTERVAL", 0.1)
    monkeypatch.setattr(worker, "flush_group", slow)
    await leases.restore(context.wire, "flush:large", context.now())

    async def none_left() -> bool:
        return await leases.next_due(context.wire) is None

    async with at_work(context):
        await asyncio.sleep(3.0)
        over.set()
        await soon(none_left)
    assert begun == 1


def test_what_a_dead_process_had_comes_again_within_five_seconds() -> None:
    assert leases.LEASE + worker.MAX_SLEEP <= 5
    assert outbox.ALIVE_SECONDS + POLL_INTERVAL <= 5
