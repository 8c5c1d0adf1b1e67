"""The timer of each schedule: at every change of who is on call, and half-hourly, its past is written and its people are told."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime

from amproxy.clock import utc
from amproxy.context import Context
from amproxy.errors import StoreUnavailable
from amproxy.oncall.notices import due as notices_due
from amproxy.oncall.roster import Roster
from amproxy.shifts.notify import outgoing
from amproxy.shifts.recording import settle, written
from amproxy.store import shifts, timers
from amproxy.store.commit import commit
from amproxy.store.incidents import enqueue
from amproxy.store.timers import Timer

log = logging.getLogger(__name__)

EVERY = 1800.0  # seconds between two looks at most: half of what counts as old news
AGAIN = 1.0  # seconds until another attempt when Redis is away


async def keep(context: Context) -> None:
    """Write down what a roster said when another takes its place, for ever; cancel to stop.

    Begin once what is known of overrides and the like is in force: what a process held for true before that never counted.
    """
    context.superseded.clear()
    while True:
        context.roster_changed.clear()
        try:
            await settle(context)
        except StoreUnavailable:
            log.debug("Redis is away; past shifts wait to be written")
            await asyncio.sleep(AGAIN)
            continue
        await context.roster_changed.wait()


async def restore(context: Context) -> None:
    """Give every schedule without a timer one. Raises StoreUnavailable."""
    for name in context.config.schedules:
        await timers.restore(context.wire, f"shifts:{name}", context.now())


async def look(context: Context, timer: Timer) -> None:
    """The timer of a schedule is due: write, tell, and set the next; nothing where another replica did so meanwhile.

    Raises StoreUnavailable.
    """
    schedule, roster = timer.id, context.roster
    kept = await shifts.load(context.wire, schedule)
    if schedule not in roster.config.schedules:
        await _over(context, schedule, kept)
        return
    now = max(context.now(), kept.until or 0.0)
    due = notices_due(roster, schedule, utc(now), kept.told)
    operations = written(context, schedule, kept, now, due.told)
    messages = outgoing(context, due.notices)
    for message in messages:
        enqueue(operations, message)
    shifts.timer(operations, schedule, next_look(roster, schedule, utc(now)).timestamp())
    if await commit(context.wire, operations):
        context.wake(timers=True, outbox=bool(messages))


def next_look(roster: Roster, schedule: str, now: datetime) -> datetime:
    """The next change of who is on call; EVERY from now at the latest."""
    limit = utc(now.timestamp() + EVERY)
    people = roster.shifts(schedule, now, limit)
    return next((shift.start for shift in people if set(shift.users) != set(people[0].users)), limit)


async def _over(context: Context, schedule: str, kept: shifts.Kept) -> None:
    """The schedule is not in the file any more: its facts stay as they are."""
    if kept.until is None or kept.over:
        await timers.drop(context.wire, Timer("shifts", schedule, 0.0))
        return
    operations = shifts.write(kept, schedule, (), until=kept.until, zone=kept.zone, over=True)
    shifts.forget_timer(operations, schedule)
    await commit(context.wire, operations)
