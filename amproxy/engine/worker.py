"""What a due timer means to an incident, from what only the store knows: its alerts are muted, or were pushed again.

The worker that takes up timers: groups to flush, incidents to advance, messages to try again, pages to bundle.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from functools import partial

from amproxy import metrics
from amproxy.apply import apply_event
from amproxy.context import Context
from amproxy.correlate import heartbeats, muting
from amproxy.correlate.flusher import flush_group
from amproxy.errors import NotFound, StoreUnavailable
from amproxy.machine import holds
from amproxy.machine.events import Event, Hold, TimerTick
from amproxy.model import Incident
from amproxy.notify import storms
from amproxy.shifts import record
from amproxy.store import groups, outbox, timers
from amproxy.store.commit import commit
from amproxy.store.timers import Timer


async def timer_event(context: Context, incident: Incident, now: float) -> Event:
    """The event for an incident whose timer is due at `now` (Unix seconds). Raises StoreUnavailable."""
    end, heard = holds.auto_resolve_due(incident), None
    if end is not None and end <= now:
        heard = await groups.load_last_push(context.wire, list(incident.parts) or [incident.group])
    # An answer or a snooze may run out now: what triggers again must not page either while its alerts are muted.
    held = await muting.find_hold(context, incident) if incident.state != "resolved" else None
    return TimerTick(heard=heard) if held is None else Hold(reason=held[0], until=held[1], heard=heard)


log = logging.getLogger(__name__)

MAX_SLEEP = 1.0  # seconds: the longest sleep, because another process may have set an earlier timer and died
MAX_TIMERS_AT_ONCE = 16  # timers being worked on: each may hold a whole group in memory


async def run_worker(context: Context) -> None:
    """Take up timers for ever; cancel to stop. What was claimed then comes again when its lease is over."""
    free, tasks = asyncio.Semaphore(MAX_TIMERS_AT_ONCE), set[asyncio.Task[None]]()

    async def take_up(timer: Timer) -> None:
        try:
            await _handle_timer(context, timer)
        finally:
            free.release()

    try:
        while True:
            async with free:  # nothing is claimed that would only wait here
                pass
            try:
                claimed = await timers.claim(context.wire, context.now(), MAX_TIMERS_AT_ONCE)
            except StoreUnavailable:
                await asyncio.sleep(MAX_SLEEP / 4)
                continue
            for timer in claimed:
                await free.acquire()
                task = asyncio.create_task(take_up(timer))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            if not claimed:
                await _sleep_until_due(context)
    finally:
        for task in tasks:
            task.cancel()


async def _sleep_until_due(context: Context) -> None:
    """Until the next timer is due, or somebody of this process sets an earlier one."""
    try:
        due = await timers.next_due(context.wire)
    except StoreUnavailable:
        due = None
    wait = MAX_SLEEP if due is None else min(max(due - context.now(), 0.0), MAX_SLEEP)
    with contextlib.suppress(TimeoutError):
        # not wait_for: in Python 3.11 that may swallow the cancellation that ends us
        async with asyncio.timeout(wait):
            await context.timers_changed.wait()
    context.timers_changed.clear()


async def _handle_timer(context: Context, timer: Timer) -> None:
    metrics.timer_lateness.observe(max(0.0, context.now() - timer.due))
    try:
        match timer.kind:
            case "flush":
                await flush_group(context, timer)
            case "incident":
                await _advance_incident(context, timer)
            case "heartbeat":
                await heartbeats.handle_heartbeat_timer(context, timer)
            case "bundle":
                await storms.release_bundle(context, timer.id)
            case "shifts":
                await record.handle_schedule_timer(context, timer)
            case "maintenance":
                await muting.handle_window_timer(context, timer)
            case "retry":
                await _retry_message(context, timer)
            case _:
                log.error("timer of an unknown kind: %s", timer)
                await timers.drop(context.wire, timer)
    except StoreUnavailable:
        log.debug("Redis is away; %s comes again", timer)
    except Exception:
        # a defect in one group or incident must not stop all others; the timer comes again when its lease is over
        metrics.unexpected_errors.labels("escalate").inc()
        log.exception("timer %s failed unexpectedly", timer)


async def _advance_incident(context: Context, timer: Timer) -> None:
    try:
        await apply_event(context, timer.id, partial(timer_event, context))
    except NotFound:
        await timers.drop(context.wire, timer)


async def _retry_message(context: Context, timer: Timer) -> None:
    operations = await outbox.requeue(context.wire, timer.id)
    if operations is None:
        await timers.drop(context.wire, timer)
    elif await commit(context.wire, operations):
        context.wake(outbox=True)
