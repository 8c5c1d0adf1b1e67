"""Whether amproxy does its work, and what is wrong where it does not."""

from __future__ import annotations

import asyncio

from amproxy.context import Context
from amproxy.errors import StoreUnavailable
from amproxy.store import health, outbox, timers
from amproxy.store.wire import RedisRefused
from amproxy.times import format_duration

STORE_TIMEOUT = 5.0  # seconds for Redis to answer
TIMER_LATE_SECONDS = 60.0  # seconds that a timer may be overdue
PAGE_STUCK_SECONDS = 300.0  # seconds that a page may wait without any attempt


async def find_problems(context: Context, *, ready: bool) -> list[str]:
    """What is wrong, in words; [] = all is well. ready: whether this process's parts run."""
    try:
        async with asyncio.timeout(STORE_TIMEOUT):
            found = await _find_store_problems(context)
    except (StoreUnavailable, RedisRefused, TimeoutError):
        found = ["Redis is away, or takes no writes"]
    return found if ready else ["a part of this process does not run", *found]


async def _find_store_problems(context: Context) -> list[str]:
    now, found = context.now(), []
    await health.probe_write(context.wire, now)
    due = await timers.next_due(context.wire)
    if due is not None and now - due > TIMER_LATE_SECONDS:
        found.append(f"a timer is overdue by {format_duration(round(now - due))}")
    waiting = await outbox.longest_wait(context.wire, now)
    if waiting > PAGE_STUCK_SECONDS:
        found.append(f"a page has waited for {format_duration(round(waiting))} without an attempt")
    return found
