"""How good a schedule is: gaps, people hidden beneath others or on call twice, and who carries how much. Pure.

It judges the plan, as the roster has it. The score, 0 to 100, is the mean of coverage (the share of time with somebody on call)
and balance (how evenly hours are shared: for each two people the smaller part by the larger, on average; 0 where nobody has any).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import combinations, pairwise

import msgspec

from amproxy.oncall.gaps import CoverageGap, candidate_periods, find_gaps
from amproxy.oncall.hours import Hours, count_hours
from amproxy.oncall.roster import Roster, Shift

OVERLOADED_SHARE = 1.5  # times the mean hours
IDLE_SHARE = 0.5

TimePeriod = tuple[datetime, datetime]


class HiddenShift(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who would be on call is hidden by those who are."""

    start: datetime
    end: datetime
    users: tuple[str, ...]  # who is hidden
    reason: str  # by what they would be on call
    on_call: tuple[str, ...]


class DoubleBooking(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody is on call for another schedule at the same time."""

    start: datetime
    end: datetime
    user: str
    schedule: str


class PersonLoad(msgspec.Struct, frozen=True, kw_only=True):
    """What one person carries."""

    user: str
    hours: Hours
    share: float  # of all hours on call, 0 to 1
    shifts: int  # stretches without a break
    overloaded: bool
    idle: bool
    longest: TimePeriod | None  # the longest stretch without a break
    shortest_rest: TimePeriod | None  # the shortest time between two stretches


class ScheduleQuality(msgspec.Struct, frozen=True, kw_only=True):
    schedule: str
    start: datetime
    end: datetime
    coverage: float  # 0 to 1
    balance: float  # 0 to 1
    gaps: list[CoverageGap]
    hidden: list[HiddenShift]
    doubles: list[DoubleBooking]
    people: list[PersonLoad]  # by hours, most first

    @property
    def score(self) -> int:
        """0 to 100."""
        return int((self.coverage + self.balance) * 50)


def assess_quality(
    roster: Roster, schedule: str, start: datetime, end: datetime, found: Iterable[DoubleBooking] | None = None
) -> ScheduleQuality:
    """Judge a schedule between two moments (aware). Raises KeyError for an unknown one, ValueError where the end is not after the start.

    found: what `doubles` found in the other schedules, which takes long where there are many; None = look for it here.
    """
    if end <= start:
        raise ValueError("the end must lie after the start")
    if found is None:
        found = [
            one
            for other in roster.config.schedules
            if other != schedule
            for one in find_double_bookings(roster, schedule, other, start, end)
        ]
    shifts = roster.shifts(schedule, start, end)
    uncovered = sum((shift.end - shift.start).total_seconds() for shift in shifts if not shift.users)
    people = _person_loads(roster, schedule, shifts)
    return ScheduleQuality(
        schedule=schedule,
        start=start,
        end=end,
        coverage=1 - uncovered / (end - start).total_seconds(),
        balance=_load_balance([one.hours.total for one in people]),
        gaps=find_gaps(roster, schedule, start, end),
        hidden=_hidden_shifts(roster, schedule, start, end),
        doubles=sorted(found, key=lambda one: (one.start, one.schedule, one.user)),
        people=people,
    )


def unbroken_periods(shifts: Iterable[tuple[datetime, datetime, Sequence[str]]]) -> dict[str, list[TimePeriod]]:
    """Person → when they are on call without a break, whatever the reason; of shifts (start, end, users) in order."""
    found: dict[str, list[TimePeriod]] = {}
    for start, end, users in shifts:
        for name in users:
            spans = found.setdefault(name, [])
            if spans and spans[-1][1] == start:
                spans[-1] = spans[-1][0], end
            else:
                spans.append((start, end))
    return found


def _person_loads(roster: Roster, schedule: str, shifts: Sequence[Shift]) -> list[PersonLoad]:
    users = roster.config.users
    names = dict.fromkeys(name for layer in roster.config.schedules[schedule].layers for turn in layer.users for name in turn)
    spans = {name: list[TimePeriod]() for name in names} | unbroken_periods((shift.start, shift.end, shift.users) for shift in shifts)
    zones = {name: users[name].timezone if name in users else "UTC" for name in spans}
    worked = {name: count_hours((*span, zones[name]) for span in found) for name, found in spans.items()}
    total = sum(one.total for one in worked.values())
    mean = total / len(worked) if worked else 0.0
    loads = [
        PersonLoad(
            user=name,
            hours=worked[name],
            share=worked[name].total / total if total else 0.0,
            shifts=len(found),
            overloaded=worked[name].total > OVERLOADED_SHARE * mean,
            idle=worked[name].total < IDLE_SHARE * mean,
            longest=max(found, key=_period_length, default=None),
            shortest_rest=min(((one[1], next_[0]) for one, next_ in pairwise(found)), key=_period_length, default=None),
        )
        for name, found in spans.items()
    ]
    return sorted(loads, key=lambda load: (-load.hours.total, load.user))


def _period_length(span: TimePeriod) -> timedelta:
    return span[1] - span[0]


def _load_balance(loads: Sequence[float]) -> float:
    if not any(loads):
        return 0.0
    pairs = [min(pair) / max(pair) if max(pair) else 1.0 for pair in combinations(loads, 2)]
    return sum(pairs) / len(pairs) if pairs else 1.0


def _hidden_shifts(roster: Roster, schedule: str, start: datetime, end: datetime) -> list[HiddenShift]:
    going_on: dict[tuple[tuple[str, ...], str, tuple[str, ...]], HiddenShift] = {}
    found: list[HiddenShift] = []
    for piece in candidate_periods(roster, schedule, start, end):
        now = {(one.users, one.reason, piece.on_call) for one in piece.hidden()}
        found += [going_on.pop(key) for key in list(going_on) if key not in now]
        for key in now:
            begun = going_on[key].start if key in going_on else piece.start
            going_on[key] = HiddenShift(start=begun, end=piece.end, users=key[0], reason=key[1], on_call=key[2])
    return sorted([*found, *going_on.values()], key=lambda one: (one.start, one.end, one.reason))


def find_double_bookings(roster: Roster, schedule: str, other: str, start: datetime, end: datetime) -> list[DoubleBooking]:
    """Who is on call for both between two moments (aware). Raises KeyError for an unknown schedule."""
    here, there = (
        unbroken_periods((one.start, one.end, one.users) for one in roster.shifts(name, start, end)) for name in (schedule, other)
    )
    return [
        DoubleBooking(start=begin, end=until, user=name, schedule=other)
        for name in here.keys() & there.keys()
        for begin, until in _common_periods(here[name], there[name])
    ]


def _common_periods(one: Sequence[TimePeriod], other: Sequence[TimePeriod]) -> list[TimePeriod]:
    """When spans of both hold; each list is in order and without overlap."""
    found, i, j = list[TimePeriod](), 0, 0
    while i < len(one) and j < len(other):
        start, end = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if start < end:
            found.append((start, end))
        if one[i][1] <= other[j][1]:
            i += 1
        else:
            j += 1
    return found
