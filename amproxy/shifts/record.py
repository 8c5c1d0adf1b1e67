"""Record who was on call, as each roster had it while in force, and notify those concerned.

No later file and no later override changes what is written. The timer of a schedule is due at
every change of who is on call, and every half hour: its past is written then, and its notices go
out over the channels that each person named.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

import msgspec

from amproxy.clock import utc
from amproxy.config.channels import contact_address
from amproxy.context import Context
from amproxy.errors import StoreUnavailable
from amproxy.log import EventLog
from amproxy.machine.draft import new_id
from amproxy.model import NoticeLog, OutgoingMessage, RecordedPerson, RecordedShift, Swap
from amproxy.oncall.moves import removed_schedule_notices
from amproxy.oncall.notice import Notice, notice_channels
from amproxy.oncall.notices import due_notices, swap_request_notices
from amproxy.oncall.roster import Roster, Shift
from amproxy.oncall.timeline import nobody_reason
from amproxy.store import leases, shifts
from amproxy.store.commit import Operations, commit, commit_decided
from amproxy.store.incidents import enqueue
from amproxy.store.leases import Timer
from amproxy.store.shifts import ScheduleProgress
from amproxy.text import phrase

log = EventLog(__name__)

# Seconds that facts are kept at least, however short the retention: pay is reckoned by the year.
MIN_SHIFT_RETENTION: Final = 400 * 86400.0
# Seconds from a change of the roster to the check of its notices: by then all replicas have loaded
# the change, so that none notifies by the roster before.
SETTLE_SECONDS: Final = 2.0
SCHEDULE_CHECK_EVERY: Final = 1800.0  # seconds at most: half of HANDOFF_STALE_AFTER
STORE_RETRY_SECONDS: Final = 1.0  # until another attempt when Redis is away


async def run_recorder(context: Context) -> None:
    """Write down what a roster said when another takes its place, for ever; cancel to stop.

    To be started once overrides, absences and calendars are loaded.
    """
    # What was in force during the start was incomplete, and so no fact.
    context.superseded.clear()
    while True:
        # Cleared before the work: a change that comes in the middle of it is not lost.
        context.roster_changed.clear()
        try:
            await record_superseded(context)
        except StoreUnavailable:
            log.debug("Redis is away; past shifts wait to be written")
            await asyncio.sleep(STORE_RETRY_SECONDS)
            continue
        await context.roster_changed.wait()


async def record_superseded(context: Context) -> None:
    """Write what earlier rosters said, up to their end, and check each schedule soon.

    Only schedules of which something changed: the roster in force says of others what the earlier
    ones said. Raises StoreUnavailable; then nothing is forgotten, and it can be done again.
    """
    roster = context.roster
    if context.superseded:
        until = context.superseded[-1].until
        rosters = [one.roster for one in context.superseded]
        for name in _changed_schedules(roster, rosters):
            await _record_schedule(context, name, until)
        # Only what was written goes: another roster may have given way during the writing.
        while context.superseded and context.superseded[0].until <= until:
            context.superseded.popleft()
    checked = context.checked_roster
    changed = _changed_schedules(roster, [checked]) if checked else roster.config.schedules
    known = [name for name in changed if name in roster.config.schedules]
    await shifts.schedule_check(context.wire, known, context.now() + SETTLE_SECONDS)
    context.checked_roster = roster
    context.wake(timers=True)


def _changed_schedules(roster: Roster, earlier: Sequence[Roster]) -> list[str]:
    """The schedules of which a roster may say something else than one of the earlier ones."""
    names = dict.fromkeys(name for one in (*earlier, roster) for name in one.config.schedules)
    return [name for name in names if not all(roster.plans_as(one, name) for one in earlier)]


async def record_all_schedules(context: Context) -> None:
    """Write every schedule up to now: the next start may have another file.

    Raises StoreUnavailable.
    """
    for name in context.config.schedules:
        progress = await shifts.load_progress(context.wire, name)
        # Not tried again: a replica that writes meanwhile writes as much.
        await commit(context.wire, record_operations(context, name, progress, context.now()))


async def _record_schedule(context: Context, schedule: str, until: float) -> None:
    gone = schedule not in context.config.schedules

    async def decide() -> tuple[Operations | None, bool]:
        progress = await shifts.load_progress(context.wire, schedule)
        if gone and (progress.over or progress.until is None):
            return None, False
        log = _told_it_is_gone(progress) if gone else None
        operations = record_operations(context, schedule, progress, until, log)
        told = _end_operations(context, operations, schedule, progress) if gone else False
        return operations, told

    told = await commit_decided(context.wire, f"the record of {schedule}", decide)
    context.wake(outbox=told)


async def restore_schedule_timers(context: Context) -> None:
    """Give every schedule without a timer one. Raises StoreUnavailable."""
    for name in context.config.schedules:
        await leases.restore(context.wire, f"shifts:{name}", context.now())


async def handle_schedule_timer(context: Context, timer: Timer) -> None:
    """Write a schedule whose timer is due, notify its people, and set the next timer.

    All of it in one commit, or nothing where another replica did so meanwhile: so no notice is
    sent twice. Raises StoreUnavailable.
    """
    schedule, roster = timer.id, context.roster
    progress = await shifts.load_progress(context.wire, schedule)
    if schedule not in roster.config.schedules:
        await _end_schedule(context, schedule, progress)
        return
    # The clock of the replica that wrote last may be ahead of ours.
    now = max(context.now(), progress.until or 0.0)
    due = due_notices(roster, schedule, utc(now), progress.notices, context.in_force_since)
    operations = record_operations(context, schedule, progress, now, due.log)
    messages = outgoing_notices(context, due.notices)
    for message in messages:
        enqueue(operations, message)
    next_check = next_schedule_check(roster, schedule, utc(now))
    shifts.set_timer(operations, schedule, next_check.timestamp())
    if await commit(context.wire, operations):
        context.wake(timers=True, outbox=bool(messages))


async def _end_schedule(context: Context, schedule: str, progress: ScheduleProgress) -> None:
    """Mark that a schedule has left the file, once, and notify those who had shifts ahead.

    Its facts stay as they are.
    """
    if progress.until is None or progress.over:
        await leases.drop(context.wire, Timer("shifts", schedule, 0.0))
        return
    operations = shifts.write_facts(
        progress,
        schedule,
        (),
        until=progress.until,
        zone=progress.zone,
        over=True,
        notices=_told_it_is_gone(progress),
    )
    told = _end_operations(context, operations, schedule, progress)
    if await commit(context.wire, operations):
        context.wake(outbox=told)


def _end_operations(
    context: Context, operations: Operations, schedule: str, progress: ScheduleProgress
) -> bool:
    """End the checks of a schedule that has left the file. Return True where people are told."""
    shifts.delete_timer(operations, schedule)
    plan = progress.notices.plan if progress.notices else None
    gone = removed_schedule_notices(context.roster, schedule, utc(context.now()), plan)
    messages = outgoing_notices(context, gone)
    for message in messages:
        enqueue(operations, message)
    return bool(messages)


def _told_it_is_gone(progress: ScheduleProgress) -> NoticeLog | None:
    """The log of a schedule whose people know that they have no shifts of it any more."""
    return msgspec.structs.replace(progress.notices, plan=None) if progress.notices else None


def next_schedule_check(roster: Roster, schedule: str, now: datetime) -> datetime:
    """Return the next change of who is on call; SCHEDULE_CHECK_EVERY from now at the latest."""
    limit = utc(now.timestamp() + SCHEDULE_CHECK_EVERY)
    planned = roster.shifts(schedule, now, limit)
    changes = (shift.start for shift in planned if set(shift.users) != set(planned[0].users))
    return next(changes, limit)


def shift_retention(context: Context) -> float:
    """Return the seconds for which facts are kept."""
    return max(context.config.store.retention, MIN_SHIFT_RETENTION)


def record_operations(
    context: Context,
    schedule: str,
    progress: ScheduleProgress,
    until: float,
    notices: NoticeLog | None = None,
) -> Operations:
    """Write a schedule up to a time (Unix seconds), with the notices that were sent.

    Guarded by `progress`: the commit fails where somebody wrote since it was loaded.
    """
    last = max(until, progress.until or 0.0)  # never back before what is written already
    known = context.config.schedules.get(schedule)
    return shifts.write_facts(
        progress,
        schedule,
        recorded_shifts(context, schedule, progress, last),
        until=last,
        zone=known.timezone if known else progress.zone,
        over=known is None,
        notices=notices,
    )


def recorded_shifts(
    context: Context, schedule: str, progress: ScheduleProgress, until: float
) -> list[RecordedShift]:
    """Return what is to be written of a schedule up to a time (Unix seconds).

    [] where nothing was written before: the record begins now, since no process can vouch for the
    time before.
    """
    if progress.until is None:
        return []
    if progress.over:
        return [_no_schedule_shift(progress.until, until)] if progress.until < until else []
    # After a long standstill no more is written than would be kept anyway.
    start = max(progress.until, until - shift_retention(context))
    recorded: list[RecordedShift] = []
    for roster, begin, end in rosters_between(context, start, until):
        if schedule in roster.config.schedules:
            planned = roster.shifts(schedule, utc(begin), utc(end))
            recorded += [to_recorded_shift(roster, shift) for shift in planned]
        else:
            recorded.append(_no_schedule_shift(begin, end))
    return recorded


def rosters_between(
    context: Context, start: float, end: float
) -> Iterator[tuple[Roster, float, float]]:
    """Yield the rosters of this process between two times, each with its period (Unix seconds).

    The first that is known also stands for the time before it.
    """
    for roster, until in context.superseded:
        if start < min(until, end):
            yield roster, start, min(until, end)
            start = until
    if start < end:
        yield context.roster, start, end


def to_recorded_shift(roster: Roster, shift: Shift) -> RecordedShift:
    """Return a shift with the names and zones that its people have now."""
    users = roster.config.users
    people = tuple(
        RecordedPerson(user=name, full_name=users[name].full_name, timezone=users[name].timezone)
        if name in users
        else RecordedPerson(user=name)
        for name in shift.users
    )
    return RecordedShift(
        start=shift.start.timestamp(),
        end=shift.end.timestamp(),
        people=people,
        reason=shift.reason,
        layer=shift.layer,
        override=shift.override,
    )


NO_SCHEDULE: Final = nobody_reason(phrase("on_call.no_schedule"))


def _no_schedule_shift(start: float, end: float) -> RecordedShift:
    # Rounded to the microsecond by `utc`, as the ends of all others are: they must meet exactly.
    start, end = utc(start).timestamp(), utc(end).timestamp()
    return RecordedShift(start=start, end=end, reason=NO_SCHEDULE)


def outgoing_notices(context: Context, notices: Iterable[Notice]) -> list[OutgoingMessage]:
    """Return one message for each channel that reaches the person of a notice."""
    users, now = context.config.users, context.now()
    return [
        OutgoingMessage(
            id=new_id(),
            kind="notice",
            channel=channel,
            user=notice.user,
            due=now,
            address=address,
            subject=notice.subject,
            text=notice.text,
            reason=notice.kind,
        )
        for notice in notices
        for channel in notice_channels(context.config, users[notice.user], notice.kind)
        # A channel without an address of the person is left out: `amproxy check` warns of it.
        if (address := contact_address(users[notice.user], channel)) is not None
    ]


def swap_request_operations(context: Context, swap: Swap) -> Operations:
    """Notify those of a schedule that somebody asks for a swap.

    To be committed together with the swap, and then `context.wake(outbox=True)`. Nothing for a
    schedule that the file does not know.
    """
    result = Operations()
    if swap.schedule in context.config.schedules:
        notices = swap_request_notices(context.roster, swap)
        for message in outgoing_notices(context, notices):
            enqueue(result, message)
    return result
