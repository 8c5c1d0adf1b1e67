"""The worker that runs due timers.

Groups to flush, incidents to advance, messages to try again, pages to bundle, and so on.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from functools import partial
from typing import Any

from amproxy import metrics
from amproxy.apply import apply_event
from amproxy.context import Context, TimerTurns
from amproxy.correlate import heartbeats, muting
from amproxy.correlate.flusher import flush_group
from amproxy.errors import NotFound, StoreUnavailable
from amproxy.log import EventLog
from amproxy.machine import holds
from amproxy.machine.events import Event, time_event
from amproxy.model import Incident
from amproxy.notify import storms
from amproxy.shifts import record
from amproxy.store import groups, leases, outbox
from amproxy.store.commit import commit
from amproxy.store.leases import Timer

log = EventLog(__name__)

# Seconds of the longest sleep: another process may have set an earlier timer and died.
MAX_SLEEP = 1.0
# Timers being worked on. Together they ask Redis, and together they are on its disk: of thousands
# that are due at once the last comes the sooner the more they are. Large groups take turns
# (Context.room_for), and so many small ones hold up the loop for ten milliseconds.
MAX_TIMERS_AT_ONCE = 64
RENEW_INTERVAL = leases.LEASE / 4  # seconds between renewals of the leases of timers under way


async def run_worker(context: Context) -> None:
    """Run due timers for ever; cancel to stop.

    Those under way come again, here or in another process, when their lease is over.
    """
    free, tasks = asyncio.Semaphore(MAX_TIMERS_AT_ONCE), set[asyncio.Task[None]]()
    under_way: dict[Timer, float] = {}  # and when each was leased

    def begin(work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        tasks.add(task)  # asyncio itself holds tasks only weakly
        task.add_done_callback(tasks.discard)

    async def handle(timer: Timer, leased_at: float) -> None:
        under_way[timer] = leased_at
        try:
            if timer.kind == "flush" and context.now() < context.dispatch_from:
                # What is given back is due then.
                await leases.give_back(context.wire, timer, leased_at, context.dispatch_from)
            else:
                await _handle_timer(context, timer)
        except StoreUnavailable as error:
            log.debug("timer comes again", timer=timer, reason=error)
            begin(_give_back(context, timer, under_way[timer]))
        finally:
            under_way.pop(timer, None)
            free.release()

    begin(_renew_leases(context, under_way))
    context.timer_turns = TimerTurns(
        free,
        lambda timer, leased_at: begin(handle(timer, leased_at)),
        lambda timer, leased_at: begin(_give_back(context, timer, leased_at)),
    )
    try:
        while True:
            async with free:  # nothing is leased that would only wait here
                pass
            now = context.now()
            try:
                leased = await leases.lease_due(context.wire, now, MAX_TIMERS_AT_ONCE)
            except StoreUnavailable:
                await asyncio.sleep(MAX_SLEEP / 4)
                continue
            for timer in leased:
                await free.acquire()
                begin(handle(timer, now))
            if not leased:
                await _sleep_until_due(context)
    finally:
        context.timer_turns = None
        for task in tasks:
            task.cancel()


async def _renew_leases(context: Context, under_way: dict[Timer, float]) -> None:
    """Renew for ever the leases of timers whose work takes long, such as large flushes."""
    while True:
        await asyncio.sleep(RENEW_INTERVAL)
        now = context.now()
        for timer, leased_at in [*under_way.items()]:
            if now - leased_at < RENEW_INTERVAL:
                continue
            with contextlib.suppress(StoreUnavailable):
                await leases.renew(context.wire, timer, leased_at, now)
                if timer in under_way:
                    under_way[timer] = now


async def _sleep_until_due(context: Context) -> None:
    """Sleep until the next timer is due, or this process sets an earlier one."""
    try:
        due = await leases.next_due(context.wire)
    except StoreUnavailable:
        due = None
    wait = MAX_SLEEP if due is None else min(max(due - context.now(), 0.0), MAX_SLEEP)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(wait):
            await context.timers_changed.wait()
    context.timers_changed.clear()


async def _give_back(context: Context, timer: Timer, leased_at: float) -> None:
    """Have a timer come again soon, for as long as this process has its lease.

    Within a second of Redis being there again: the lease is there for those who die.
    """
    while context.now() < leased_at + leases.LEASE:
        await asyncio.sleep(MAX_SLEEP / 2)
        try:
            await leases.give_back(context.wire, timer, leased_at, context.now())
        except StoreUnavailable:
            continue
        context.wake(timers=True)
        return


async def _handle_timer(context: Context, timer: Timer) -> None:
    """Do what is due. Raises StoreUnavailable; then it is to be done again."""
    metrics.timer_lateness.observe(max(0.0, context.now() - timer.due))
    try:
        match timer.kind:
            case "flush":
                async with context.room_for(timer.alerts):
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
                log.error("timer of an unknown kind", timer=timer)
                await leases.drop(context.wire, timer)
    except StoreUnavailable:
        raise
    except Exception:
        # A defect in one group or incident must not stop all others. The timer comes again when
        # its lease is over.
        metrics.unexpected_errors.labels("escalate").inc()
        log.exception("timer failed unexpectedly", timer=timer)


async def _advance_incident(context: Context, timer: Timer) -> None:
    try:
        await apply_event(context, timer.id, partial(timer_event, context))
    except NotFound:
        await leases.drop(context.wire, timer)


async def timer_event(context: Context, incident: Incident, now: float) -> Event:
    """The event for an incident whose timer is due at `now` (Unix seconds).

    It needs what only the store knows: the last push, and what mutes the alerts.
    Raises StoreUnavailable.
    """
    end, pushed_at = holds.auto_resolve_due(incident), None
    if end is not None and end <= now:
        pushed_at = await groups.load_last_push(
            context.wire, list(incident.parts) or [incident.group]
        )
    # In every open state: an acknowledgement or a snooze may run out now, and what triggers again
    # must not page either while its alerts are muted.
    hold = await muting.find_hold(context, incident) if incident.state != "resolved" else None
    return time_event(hold, pushed_at)


async def _retry_message(context: Context, timer: Timer) -> None:
    operations = await outbox.requeue(context.wire, timer.id)
    if operations is None:
        await leases.drop(context.wire, timer)
    elif await commit(context.wire, operations):
        context.wake(outbox=True)
