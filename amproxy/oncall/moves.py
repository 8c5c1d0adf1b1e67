"""The notices to those whose shifts a change of the file moves. Pure.

What people know is the plan of the file that was in force before, which the log of notices keeps:
so a change is noticed after a restart too, and by one replica only.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from msgspec.structs import replace

from amproxy.clock import utc
from amproxy.model import FilePlan
from amproxy.oncall.notice import Notice, filter_subscribed, format_local_time
from amproxy.oncall.roster import Roster
from amproxy.text import ScheduleName, phrase

PLAN_AHEAD: Final = timedelta(days=28)
MAX_PLANNED_SHIFTS: Final = 200  # a plan with more covers less time
MAX_MOVES_LISTED: Final = 3  # in one notice, of each kind

_Periods = tuple[tuple[float, float], ...]  # starts and ends, Unix seconds, in order


def moved_shift_notices(
    roster: Roster, schedule: str, now: datetime, known: FilePlan | None, loaded_at: float
) -> tuple[list[Notice], FilePlan]:
    """The notices due, and the plan that people know of once they are sent.

    known: the plan before. loaded_at: when the roster's file was loaded, Unix seconds. A replica
    that still has an older file neither tells nor notes what it says.
    """
    plan = _file_plan(roster, schedule, now, loaded_at)
    if known is None:
        return [], plan
    changes = _changes(known, plan, now)
    if loaded_at < known.loaded_at:
        return [], known if changes else replace(plan, loaded_at=known.loaded_at)
    notices = [
        _moved_notice(roster, schedule, user, *changes[user])
        for user in filter_subscribed(roster, changes, "shift_moved")
    ]
    return notices, plan


def removed_schedule_notices(
    roster: Roster, schedule: str, now: datetime, known: FilePlan | None
) -> list[Notice]:
    """The notices due where a schedule has left the file.

    None to those who have the same shifts in another one: that is a new name.
    """
    if known is None:
        return []
    others = [_file_plan(roster, other, now, 0.0) for other in roster.config.schedules]
    empty = replace(known, shifts=())
    gone = _changes(known, empty, now)
    for other in others:
        moved = _changes(known, other, now)
        gone = {user: periods for user, periods in gone.items() if user in moved}
    return [
        _moved_notice(roster, schedule, user, *gone[user])
        for user in filter_subscribed(roster, gone, "shift_moved")
    ]


def _changes(
    known: FilePlan, plan: FilePlan, now: datetime
) -> dict[str, tuple[_Periods, _Periods]]:
    """Person → the periods before and after, of those for whom they differ."""
    start, end = now.timestamp(), min(known.until, plan.until)
    names = dict.fromkeys(name for one in (known, plan) for _, _, who in one.shifts for name in who)
    pairs = {
        user: (_periods_of(known, user, start, end), _periods_of(plan, user, start, end))
        for user in names
    }
    return {user: pair for user, pair in pairs.items() if pair[0] != pair[1]}


def _file_plan(roster: Roster, schedule: str, now: datetime, loaded_at: float) -> FilePlan:
    """The plan of the file from a time on. Of a calendar nothing: it is no part of the file."""
    until = now + PLAN_AHEAD
    shifts = roster.of_file.shifts(schedule, now, until)
    if roster.config.schedules[schedule].ical:
        shifts = []
    if len(shifts) > MAX_PLANNED_SHIFTS:
        until = shifts[MAX_PLANNED_SHIFTS].start
    return FilePlan(
        loaded_at=loaded_at,
        until=until.timestamp(),
        shifts=tuple(
            (one.start.timestamp(), one.end.timestamp(), one.users)
            for one in shifts[:MAX_PLANNED_SHIFTS]
        ),
    )


def _periods_of(plan: FilePlan, user: str, start: float, end: float) -> _Periods:
    """A person's periods on call between two times; those that follow each other count as one."""
    found: list[tuple[float, float]] = []
    for since, until, users in plan.shifts:
        first, last = max(since, start), min(until, end)
        if user not in users or first >= last:
            continue
        if found and found[-1][1] == first:
            found[-1] = found[-1][0], last
        else:
            found.append((first, last))
    return tuple(found)


def _moved_notice(
    roster: Roster, schedule: str, user: str, before: _Periods, after: _Periods
) -> Notice:
    lines = [f"A change of the file moves your shifts of {schedule} in the next weeks."]
    for word, periods, others in (("New", after, before), ("No longer", before, after)):
        listed = [one for one in periods if one not in others]
        lines += [f"{word}: {text}." for text in _texts(roster, user, listed)]
    return Notice(
        kind="shift_moved",
        user=user,
        subject=phrase("notice.shift_moved", schedule=ScheduleName(schedule)),
        text="\n".join(lines),
    )


def _texts(roster: Roster, user: str, periods: list[tuple[float, float]]) -> Iterator[str]:
    for start, end in periods[:MAX_MOVES_LISTED]:
        first, last = (format_local_time(roster, utc(at), user) for at in (start, end))
        yield f"{first} until {last}"
    if len(periods) > MAX_MOVES_LISTED:
        yield f"and {len(periods) - MAX_MOVES_LISTED} more"
