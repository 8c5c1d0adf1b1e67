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
from amproxy.model import NoticeLog, RecordedPerson, RecordedShift
from amproxy.oncall.notices import due_notices as notices_due
from amproxy.oncall.roster import Roster, Shift
from amproxy.shifts.notify import outgoing_notices
from amproxy.store import shifts, timers
from amproxy.store.commit import Operations, commit
from amproxy.store.incidents import enqueue
from amproxy.store.shifts import ScheduleProgress
from amproxy.store.timers import Timer

MIN_SHIFT_RETENTION = 400 * 86400.0  # seconds that facts are kept at least, however short the retention: pay is reckoned by the year
RECORD_TRIES = 50
SETTLE_SECONDS = 2.0  # seconds after a change until it is looked at: by then all replicas have heard of it


def shift_retention(context: Context) -> float:
    """For how many seconds facts are kept."""
    return max(context.config.store.retention, MIN_SHIFT_RETENTION)


def rosters_between(context: Context, start: float, end: float) -> Iterator[tuple[Roster, float, float]]:
    """Which rosters of this process hold between two moments (Unix seconds). Before the first that is known, that one."""
    for roster, until in context.superseded:
        if start < min(until, end):
            yield roster, start, min(until, end)
            start = until
    if start < end:
        yield context.roster, start, end


def recorded_shifts(context: Context, schedule: str, kept: ScheduleProgress, until: float) -> list[RecordedShift]:
    """What is to be written of a schedule up to a moment (Unix seconds); [] where nothing was written before: it begins now."""
    if kept.until is None:
        return []
    if kept.over:
        return [_no_schedule_shift(kept.until, until)] if kept.until < until else []
    start = max(kept.until, until - shift_retention(context))  # of a long standstill no more than is kept anyway
    found: list[RecordedShift] = []
    for roster, begin, end in rosters_between(context, start, until):
        if schedule in roster.config.schedules:
            found += [to_recorded_shift(roster, shift) for shift in roster.shifts(schedule, utc(begin), utc(end))]
        else:
            found.append(_no_schedule_shift(begin, end))
    return found


def _no_schedule_shift(start: float, end: float) -> RecordedShift:
    start, end = utc(start).timestamp(), utc(end).timestamp()  # to the microsecond, as all others
    return RecordedShift(start=start, end=end, reason="nobody: the schedule was not in the file")


def to_recorded_shift(roster: Roster, shift: Shift) -> RecordedShift:
    """A shift with its people as they are called now."""
    users = roster.config.users
    people = tuple(
        RecordedPerson(user=name, full_name=users[name].full_name, timezone=users[name].timezone)
        if name in users
        else RecordedPerson(user=name)
        for name in shift.users
    )
    return RecordedShift(
        start=shift.start.timestamp(), end=shift.end.timestamp(), people=people, reason=shift.reason, layer=shift.layer,
        override=shift.override,
    )  # fmt: skip


def record_operations(context: Context, schedule: str, kept: ScheduleProgress, until: float, told: NoticeLog | None = None) -> Operations:
    """What writes a schedule up to a moment (Unix seconds), with what people were told; guarded by `kept`."""
    last = max(until, kept.until or 0.0)
    known = context.config.schedules.get(schedule)
    return shifts.write_facts(
        kept, schedule, recorded_shifts(context, schedule, kept, last), until=last, zone=known.timezone if known else kept.zone, over=known is None,
        told=told,
    )  # fmt: skip


async def record_superseded(context: Context) -> None:
    """Write what the rosters before the present one said, up to where they gave way, and have every schedule looked at soon.

    Raises StoreUnavailable; then nothing is forgotten, and it can be done again.
    """
    if context.superseded:
        until = context.superseded[-1].until
        rosters = [*(one.roster for one in context.superseded), context.roster]
        for name in dict.fromkeys(name for roster in rosters for name in roster.config.schedules):
            await _record_schedule(context, name, until)
        while context.superseded and context.superseded[0].until <= until:
            context.superseded.popleft()
    await shifts.schedule_check(context.wire, list(context.config.schedules), context.now() + SETTLE_SECONDS)
    context.wake(timers=True)


async def record_all_schedules(context: Context) -> None:
    """Write every schedule up to now: the next start may have another file. Raises StoreUnavailable."""
    for name in context.config.schedules:
        kept = await shifts.load_progress(context.wire, name)
        await commit(
            context.wire, record_operations(context, name, kept, context.now())
        )  # where another writes meanwhile, it writes no less


async def _record_schedule(context: Context, schedule: str, until: float) -> None:
    for _ in range(RECORD_TRIES):
        kept = await shifts.load_progress(context.wire, schedule)
        if schedule not in context.config.schedules and (kept.over or kept.until is None):
            return
        operations = record_operations(context, schedule, kept, until)
        if schedule not in context.config.schedules:
            shifts.delete_timer(operations, schedule)
        if await commit(context.wire, operations):
            return
    raise StoreUnavailable(f"the shifts of {schedule} keep changing")


log = logging.getLogger(__name__)

SCHEDULE_CHECK_EVERY = 1800.0  # seconds between two looks at most: half of what counts as old news
STORE_RETRY_SECONDS = 1.0  # seconds until another attempt when Redis is away


async def run_recorder(context: Context) -> None:
    """Write down what a roster said when another takes its place, for ever; cancel to stop.

    Begin once what is known of overrides and the like is in force: what a process held for true before that never counted.
    """
    context.superseded.clear()
    while True:
        context.roster_changed.clear()
        try:
            await record_superseded(context)
        except StoreUnavailable:
            log.debug("Redis is away; past shifts wait to be written")
            await asyncio.sleep(STORE_RETRY_SECONDS)
            continue
        await context.roster_changed.wait()


async def restore_schedule_timers(context: Context) -> None:
    """Give every schedule without a timer one. Raises StoreUnavailable."""
    for name in context.config.schedules:
        await timers.restore(context.wire, f"shifts:{name}", context.now())


async def handle_schedule_timer(context: Context, timer: Timer) -> None:
    """The timer of a schedule is due: write, tell, and set the next; nothing where another replica did so meanwhile.

    Raises StoreUnavailable.
    """
    schedule, roster = timer.id, context.roster
    kept = await shifts.load_progress(context.wire, schedule)
    if schedule not in roster.config.schedules:
        await _end_schedule(context, schedule, kept)
        return
    now = max(context.now(), kept.until or 0.0)
    due = notices_due(roster, schedule, utc(now), kept.told)
    operations = record_operations(context, schedule, kept, now, due.told)
    messages = outgoing_notices(context, due.notices)
    for message in messages:
        enqueue(operations, message)
    shifts.set_timer(operations, schedule, next_schedule_check(roster, schedule, utc(now)).timestamp())
    if await commit(context.wire, operations):
        context.wake(timers=True, outbox=bool(messages))


def next_schedule_check(roster: Roster, schedule: str, now: datetime) -> datetime:
    """The next change of who is on call; EVERY from now at the latest."""
    limit = utc(now.timestamp() + SCHEDULE_CHECK_EVERY)
    people = roster.shifts(schedule, now, limit)
    return next((shift.start for shift in people if set(shift.users) != set(people[0].users)), limit)


async def _end_schedule(context: Context, schedule: str, kept: shifts.ScheduleProgress) -> None:
    """The schedule is not in the file any more: its facts stay as they are."""
    if kept.until is None or kept.over:
        await timers.drop(context.wire, Timer("shifts", schedule, 0.0))
        return
    operations = shifts.write_facts(kept, schedule, (), until=kept.until, zone=kept.zone, over=True)
    shifts.delete_timer(operations, schedule)
    await commit(context.wire, operations)
