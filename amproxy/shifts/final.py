"""Final shifts: the past as it was written down, then the plan of the roster."""

from __future__ import annotations

from datetime import datetime

import msgspec

from amproxy.clock import utc
from amproxy.context import Context
from amproxy.errors import NotFound
from amproxy.model import RecordedPerson, RecordedShift
from amproxy.oncall.roster import OnCall
from amproxy.shifts.record import rosters_between, to_recorded_shift
from amproxy.store import shifts
from amproxy.text import Phrase, Words


class FinalShift(msgspec.Struct, frozen=True, kw_only=True):
    """A period with the same people for the same reason; times are in UTC."""

    start: datetime
    end: datetime  # exclusive
    people: tuple[RecordedPerson, ...]  # () = a gap
    reason: Words
    layer: str = ""
    override: str = ""  # id of the override by hand
    # It is over and was written down. False = the plan, or from before anything was written down.
    recorded: bool = False


async def schedule_zone(context: Context, schedule: str) -> str:
    """Return the zone of a schedule of the file, or of one that has left it.

    Raises NotFound where nothing is known of it, StoreUnavailable.
    """
    known = context.config.schedules.get(schedule)
    if known is not None:
        return known.timezone
    progress = await shifts.load_progress(context.wire, schedule)
    if progress.until is None:
        raise NotFound(Phrase("refusal.no_schedule", {"schedule": schedule[:60]}))
    return progress.zone


async def final_shifts(
    context: Context, schedule: str, start: datetime, end: datetime
) -> list[FinalShift]:
    """Return the shifts between two times (aware): in order, gaps included, ends clipped.

    The present shift is one shift, not recorded as long as it is not over. A schedule that has left
    the file has only recorded shifts. Raises StoreUnavailable where the past is asked for.
    """
    begin, until = start.timestamp(), end.timestamp()
    recorded: list[RecordedShift] = []
    if begin < context.now():
        recorded = await shifts.load_facts(context.wire, schedule, begin, until)
    # Facts have no gaps between them: what they do not cover lies before the first, which is from
    # before anything was written down, or after the last, which is the plan.
    first, last = begin, begin
    if recorded:
        first, last = max(begin, recorded[0].start), min(until, recorded[-1].end)
    before = _planned_shifts(context, schedule, begin, first)
    after = _planned_shifts(context, schedule, last, until)
    # The last fact grows with every writing; while its shift goes on the two are one.
    if recorded and after and _is_same_shift(recorded[-1], after[0]):
        after[0] = msgspec.structs.replace(after[0], start=recorded.pop().start)
    return [
        *(_to_final_shift(shift, begin, until) for shift in before),
        *(_to_final_shift(shift, begin, until, recorded=True) for shift in recorded),
        *(_to_final_shift(shift, begin, until) for shift in after),
    ]


async def recorded_on_call(context: Context, schedule: str, at: datetime) -> OnCall:
    """Return who is, was or will be on call; of the past as it was written down.

    Raises KeyError for a schedule that the file does not know, StoreUnavailable.
    """
    roster, now = context.roster, context.now()
    moment = at.timestamp()
    facts = await shifts.load_facts(context.wire, schedule, moment, now) if moment < now else []
    if not facts or moment < facts[0].start:
        return roster.on_call(schedule, at)
    until, following = _end_and_following(context, schedule, facts)
    return OnCall(
        schedule=schedule,
        at=at,
        users=_user_names(facts[0]),
        until=until,
        next=following,
        reason=facts[0].reason,
    )


def _end_and_following(
    context: Context, schedule: str, facts: list[RecordedShift]
) -> tuple[datetime | None, tuple[str, ...]]:
    """Return when the people of the first fact change, as in OnCall, and who comes next."""
    then = set(_user_names(facts[0]))
    for fact in facts:
        if set(_user_names(fact)) != then:
            return utc(fact.start), _user_names(fact)
    # Nobody else is on record: the plan goes on from where the record ends.
    end = utc(facts[-1].end)
    planned = context.roster.on_call(schedule, end)
    if set(planned.users) == then:
        return planned.until, planned.next
    return end, planned.users


def _planned_shifts(
    context: Context, schedule: str, start: float, end: float
) -> list[RecordedShift]:
    """Return the plan between two times (Unix seconds), of one roster after the other."""
    planned: list[RecordedShift] = []
    for roster, begin, until in rosters_between(context, start, end):
        if schedule not in roster.config.schedules:
            continue
        for shift in roster.shifts(schedule, utc(begin), utc(until)):
            one = to_recorded_shift(roster, shift)
            # A reload cuts a shift in two although nothing changes for its people.
            if planned and planned[-1].end == one.start and _is_same_shift(planned[-1], one):
                planned[-1] = msgspec.structs.replace(planned[-1], end=one.end)
            else:
                planned.append(one)
    return planned


def _to_final_shift(
    shift: RecordedShift, start: float, end: float, *, recorded: bool = False
) -> FinalShift:
    return FinalShift(
        start=utc(max(shift.start, start)),
        end=utc(min(shift.end, end)),
        people=shift.people,
        reason=shift.reason,
        layer=shift.layer,
        override=shift.override,
        recorded=recorded,
    )


def _user_names(shift: RecordedShift) -> tuple[str, ...]:
    return tuple(person.user for person in shift.people)


def _is_same_shift(one: RecordedShift, other: RecordedShift) -> bool:
    """Check whether both have the same people for the same reason, at whatever times."""
    return msgspec.structs.replace(one, start=other.start, end=other.end) == other
