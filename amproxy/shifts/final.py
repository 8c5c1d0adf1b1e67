"""Final shifts: what is written down of the past, and what the roster plans for the future."""

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


class FinalShift(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of time with the same people for the same reason. Moments are in UTC."""

    start: datetime
    end: datetime  # exclusive
    people: tuple[RecordedPerson, ...]  # () = a gap
    reason: str
    layer: str = ""
    override: str = ""  # id of the override by hand
    recorded: bool = False  # it is over and was written down; False = the plan, or from before anything was written down


async def schedule_zone(context: Context, schedule: str) -> str:
    """The zone of a schedule of the file, or of one that has left it. Raises NotFound where nothing is known, StoreUnavailable."""
    known = context.config.schedules.get(schedule)
    if known is not None:
        return known.timezone
    kept = await shifts.load_progress(context.wire, schedule)
    if kept.until is None:
        raise NotFound(f"there is no schedule {schedule[:60]}")
    return kept.zone


async def final_shifts(context: Context, schedule: str, start: datetime, end: datetime) -> list[FinalShift]:
    """What is final between two moments (aware): no overlaps, in order, gaps included, ends clipped.

    A shift that is going on is one, and not recorded as long as it is not over. A schedule that has left the file has no shifts but
    those written down. Raises StoreUnavailable where the past is asked for.
    """
    begin, until = start.timestamp(), end.timestamp()
    facts = await shifts.load_facts(context.wire, schedule, begin, until) if begin < context.now() else []
    written = (max(begin, facts[0].start), min(until, facts[-1].end)) if facts else (begin, begin)
    before, after = _upcoming_shifts(context, schedule, begin, written[0]), _upcoming_shifts(context, schedule, written[1], until)
    if facts and after and _is_same_shift(facts[-1], after[0]):
        after[0] = msgspec.structs.replace(after[0], start=facts.pop().start)
    found = [(one, False) for one in before] + [(one, True) for one in facts] + [(one, False) for one in after]
    return [_to_final_shift(one, begin, until, recorded=recorded) for one, recorded in found]


async def recorded_on_call(context: Context, schedule: str, at: datetime) -> OnCall:
    """Who is, was or will be on call: a moment of the past as it was written down. Raises KeyError, StoreUnavailable."""
    roster, now = context.roster, context.now()
    moment = at.timestamp()
    facts = await shifts.load_facts(context.wire, schedule, moment, now) if moment < now else []
    if not facts or moment < facts[0].start:
        return roster.on_call(schedule, at)
    then = _user_names(facts[0])
    changed = next((one for one in facts if set(_user_names(one)) != set(then)), None)
    if changed is not None:
        return OnCall(schedule=schedule, at=at, users=then, until=utc(changed.start), next=_user_names(changed), reason=facts[0].reason)
    going_on = roster.on_call(schedule, utc(facts[-1].end))
    if set(going_on.users) == set(then):
        return msgspec.structs.replace(going_on, at=at, users=then, reason=facts[0].reason)
    return OnCall(schedule=schedule, at=at, users=then, until=utc(facts[-1].end), next=going_on.users, reason=facts[0].reason)


def _upcoming_shifts(context: Context, schedule: str, start: float, end: float) -> list[RecordedShift]:
    """What the rosters say between two moments, one roster after the other."""
    found: list[RecordedShift] = []
    for roster, begin, until in rosters_between(context, start, end):
        if schedule in roster.config.schedules:
            for one in (to_recorded_shift(roster, shift) for shift in roster.shifts(schedule, utc(begin), utc(until))):
                if found and found[-1].end == one.start and _is_same_shift(found[-1], one):
                    found[-1] = msgspec.structs.replace(found[-1], end=one.end)
                else:
                    found.append(one)
    return found


def _to_final_shift(one: RecordedShift, start: float, end: float, *, recorded: bool) -> FinalShift:
    return FinalShift(
        start=utc(max(one.start, start)), end=utc(min(one.end, end)), people=one.people, reason=one.reason, layer=one.layer,
        override=one.override, recorded=recorded,
    )  # fmt: skip


def _user_names(one: RecordedShift) -> tuple[str, ...]:
    return tuple(person.user for person in one.people)


def _is_same_shift(one: RecordedShift, other: RecordedShift) -> bool:
    """The same people for the same reason, whenever."""
    return msgspec.structs.replace(one, start=other.start, end=other.end) == other
