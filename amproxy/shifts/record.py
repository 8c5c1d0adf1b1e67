"""Who was on call is written down: what each roster said while it was in force, and never what a later file says of it.

The timer of each schedule: at every change of who is on call, and half-hourly, its past is written and its people are told.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from datetime import datetime

from amproxy.clock import utc
from amproxy.context import Context
from amproxy.errors import StoreUnavailable
from amproxy.model import Fact, OnDuty, Told
from amproxy.oncall.notices import due as notices_due
from amproxy.oncall.roster import Roster, Shift
from amproxy.shifts.notify import outgoing
from amproxy.store import shifts, timers
from amproxy.store.commit import Operations, commit
from amproxy.store.incidents import enqueue
from amproxy.store.shifts import Kept
from amproxy.store.timers import Timer

KEPT = 400 * 86400.0  # seconds that facts are kept at least, however short the retention: pay is reckoned by the year
TRIES = 50
SETTLED = 2.0  # seconds after a change until it is looked at: by then all replicas have heard of it


def keeping(context: Context) -> float:
    """For how many seconds facts are kept."""
    return max(context.config.store.retention, KEPT)


def in_force(context: Context, start: float, end: float) -> Iterator[tuple[Roster, float, float]]:
    """Which rosters of this process hold between two moments (Unix seconds). Before the first that is known, that one."""
    for roster, until in context.superseded:
        if start < min(until, end):
            yield roster, start, min(until, end)
            start = until
    if start < end:
        yield context.roster, start, end


def facts(context: Context, schedule: str, kept: Kept, until: float) -> list[Fact]:
    """What is to be written of a schedule up to a moment (Unix seconds); [] where nothing was written before: it begins now."""
    if kept.until is None:
        return []
    if kept.over:
        return [_no_schedule(kept.until, until)] if kept.until < until else []
    start = max(kept.until, until - keeping(context))  # of a long standstill no more than is kept anyway
    found: list[Fact] = []
    for roster, begin, end in in_force(context, start, until):
        if schedule in roster.config.schedules:
            found += [fact(roster, shift) for shift in roster.shifts(schedule, utc(begin), utc(end))]
        else:
            found.append(_no_schedule(begin, end))
    return found


def _no_schedule(start: float, end: float) -> Fact:
    start, end = utc(start).timestamp(), utc(end).timestamp()  # to the microsecond, as all others
    return Fact(start=start, end=end, reason="nobody: the schedule was not in the file")


def fact(roster: Roster, shift: Shift) -> Fact:
    """A shift with its people as they are called now."""
    users = roster.config.users
    people = tuple(
        OnDuty(user=name, full_name=users[name].full_name, timezone=users[name].timezone) if name in users else OnDuty(user=name)
        for name in shift.users
    )
    return Fact(
        start=shift.start.timestamp(), end=shift.end.timestamp(), people=people, reason=shift.reason, layer=shift.layer,
        override=shift.override,
    )  # fmt: skip


def written(context: Context, schedule: str, kept: Kept, until: float, told: Told | None = None) -> Operations:
    """What writes a schedule up to a moment (Unix seconds), with what people were told; guarded by `kept`."""
    last = max(until, kept.until or 0.0)
    known = context.config.schedules.get(schedule)
    return shifts.write(
        kept, schedule, facts(context, schedule, kept, last), until=last, zone=known.timezone if known else kept.zone, over=known is None,
        told=told,
    )  # fmt: skip


async def settle(context: Context) -> None:
    """Write what the rosters before the present one said, up to where they gave way, and have every schedule looked at soon.

    Raises StoreUnavailable; then nothing is forgotten, and it can be done again.
    """
    if context.superseded:
        until = context.superseded[-1].until
        rosters = [*(one.roster for one in context.superseded), context.roster]
        for name in dict.fromkeys(name for roster in rosters for name in roster.config.schedules):
            await _settle(context, name, until)
        while context.superseded and context.superseded[0].until <= until:
            context.superseded.popleft()
    await shifts.look_soon(context.wire, list(context.config.schedules), context.now() + SETTLED)
    context.wake(timers=True)


async def write_all(context: Context) -> None:
    """Write every schedule up to now: the next start may have another file. Raises StoreUnavailable."""
    for name in context.config.schedules:
        kept = await shifts.load(context.wire, name)
        await commit(context.wire, written(context, name, kept, context.now()))  # where another writes meanwhile, it writes no less


async def _settle(context: Context, schedule: str, until: float) -> None:
    for _ in range(TRIES):
        kept = await shifts.load(context.wire, schedule)
        if schedule not in context.config.schedules and (kept.over or kept.until is None):
            return
        operations = written(context, schedule, kept, until)
        if schedule not in context.config.schedules:
            shifts.forget_timer(operations, schedule)
        if await commit(context.wire, operations):
            return
    raise StoreUnavailable(f"the shifts of {schedule} keep changing")


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
