"""What a due timer means to an incident, from what only the store knows: its alerts are muted, or were pushed again.

The worker that takes up timers: groups to flush, incidents to advance, messages to try again, pages to bundle.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from functools import partial

from amproxy import metrics
from amproxy.apply import apply
from amproxy.context import Context
from amproxy.correlate import heartbeats, muting
from amproxy.correlate.flusher import flush_group
from amproxy.errors import NotFound, StoreUnavailable
from amproxy.machine import holds
from amproxy.machine.events import Event, Hold, Tick
from amproxy.model import Incident
from amproxy.notify import storms
from amproxy.shifts import record
from amproxy.store import groups, outbox, timers
from amproxy.store.commit import commit
from amproxy.store.timers import Timer


async def tick(context: Context, incident: Incident, now: float) -> Event:
    """The event for an incident whose timer is due at `now` (Unix seconds). Raises StoreUnavailable."""
    end, heard = holds.due(incident), None
    if end is not None and end <= now:
        heard = await groups.last_push(context.wire, list(incident.parts) or [incident.group])
    # An answer or a snooze may run out now: what triggers again must not page either while its alerts are muted.
    held = await muting.held(context, incident) if incident.state != "resolved" else None
    return Tick(heard=heard) if held is None else Hold(reason=held[0], until=held[1], heard=heard)


log = logging.getLogger(__name__)

LOOK = 1.0  # seconds: the longest sleep, because another process may have set an earlier timer and died
AT_ONCE = 16  # timers being worked on: each may hold a whole group in memory


async def work(context: Context) -> None:
    """Take up timers for ever; cancel to stop. What was claimed then comes again when its lease is over."""
    free, tasks = asyncio.Semaphore(AT_ONCE), set[asyncio.Task[None]]()

    async def take_up(timer: Timer) -> None:
        try:
            await _take_up(context, timer)
        finally:
            free.release()

    try:
        while True:
            async with free:  # nothing is claimed that would only wait here
                pass
            try:
                claimed = await timers.claim(context.wire, context.now(), AT_ONCE)
            except StoreUnavailable:
                await asyncio.sleep(LOOK / 4)
                continue
            for timer in claimed:
                await free.acquire()
                task = asyncio.create_task(take_up(timer))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            if not claimed:
                await _sleep(context)
    finally:
        for task in tasks:
            task.cancel()


async def _sleep(context: Context) -> None:
    """Until the next timer is due, or somebody of this process sets an earlier one."""
    try:
        due = await timers.next_due(context.wire)
    except StoreUnavailable:
        due = None
    wait = LOOK if due is None else min(max(due - context.now(), 0.0), LOOK)
    with contextlib.suppress(TimeoutError):
        # not wait_for: in Python 3.11 that may swallow the cancellation that ends us
        async with asyncio.timeout(wait):
            await context.timers_changed.wait()
    context.timers_changed.clear()


async def _take_up(context: Context, timer: Timer) -> None:
    metrics.timer_lateness.observe(max(0.0, context.now() - timer.due))
    try:
        match timer.kind:
            case "flush":
                await flush_group(context, timer)
            case "incident":
                await _advance(context, timer)
            case "heartbeat":
                await heartbeats.due(context, timer)
            case "bundle":
                await storms.release(context, timer.id)
            case "shifts":
                await record.look(context, timer)
            case "maintenance":
                await muting.due(context, timer)
            case "retry":
                await _retry(context, timer)
            case _:
                log.error("timer of an unknown kind: %s", timer)
                await timers.drop(context.wire, timer)
    except StoreUnavailable:
        log.debug("Redis is away; %s comes again", timer)
    except Exception:
        # a defect in one group or incident must not stop all others; the timer comes again when its lease is over
        metrics.unexpected_errors.labels("escalate").inc()
        log.exception("timer %s failed unexpectedly", timer)


async def _advance(context: Context, timer: Timer) -> None:
    try:
        await apply(context, timer.id, partial(tick, context))
    except NotFound:
        await timers.drop(context.wire, timer)


async def _retry(context: Context, timer: Timer) -> None:
    operations = await outbox.again(context.wire, timer.id)
    if operations is None:
        await timers.drop(context.wire, timer)
    elif await commit(context.wire, operations):
        context.wake(outbox=True)
