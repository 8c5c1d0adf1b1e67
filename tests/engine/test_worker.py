"""The worker of timers: no timer stops the others."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from amproxy.context import Context
from amproxy.engine import worker
from amproxy.store import keys, leases
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
