"""The quality of a schedule: gaps, hidden shifts, double bookings, and the load of people. Pure.

It judges the plan, as the roster has it. The score, 0 to 100, is the mean of coverage (the share of
time with somebody on call) and balance (for each two people the smaller number of hours by the
larger, on average; 0 where nobody has any).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import combinations, pairwise

import msgspec

from amproxy.oncall.gaps import CoverageGap, candidate_periods, find_gaps
from amproxy.oncall.hours import Hours, count_hours
from amproxy.oncall.roster import Roster, Shift
from amproxy.oncall.timeline import NO_LAYER
from amproxy.text import Words
from amproxy.text.render import english

OVERLOADED_SHARE, IDLE_SHARE = 1.5, 0.5  # times the mean hours: more, or less

TimePeriod = tuple[datetime, datetime]


class HiddenShift(msgspec.Struct, frozen=True, kw_only=True):
    """People who would be on call, but others are instead."""

    start: datetime
    end: datetime
    users: tuple[str, ...]  # the hidden people
    reason: Words  # why they would be on call: their layer or override
    on_call: tuple[str, ...]


class DoubleBooking(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody is on call for another schedule at the same time."""

    start: datetime
    end: datetime
    user: str
    schedule: str


class PersonLoad(msgspec.Struct, frozen=True, kw_only=True):
    """The load of one person."""

    user: str
    hours: Hours
    share: float  # of all hours on call, 0 to 1
    shifts: int  # unbroken periods
    overloaded: bool
    idle: bool
    longest: TimePeriod | None  # the longest unbroken period
    shortest_rest: TimePeriod | None  # the shortest time between two of them


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
    roster: Roster,
    schedule: str,
    start: datetime,
    end: datetime,
    doubles: Iterable[DoubleBooking] | None = None,
) -> ScheduleQuality:
    """Judge a schedule from `start` to `end` (aware).

    doubles: results of `find_double_bookings` for the other schedules, which takes long where there
    are many; None = find them here. Raises KeyError for an unknown schedule, ValueError where the
    end is not after the start.
    """
    if end <= start:
        raise ValueError("the end must lie after the start")
    if doubles is None:
        doubles = [
            one
            for other in roster.config.schedules
            if other != schedule
            for one in find_double_bookings(roster, schedule, other, start, end)
        ]
    shifts = roster.shifts(schedule, start, end)
    uncovered = sum(
        (shift.end - shift.start).total_seconds() for shift in shifts if not shift.users
    )
    people = _person_loads(roster, schedule, shifts)
    return ScheduleQuality(
        schedule=schedule,
        start=start,
        end=end,
        coverage=1 - uncovered / (end - start).total_seconds(),
        balance=_load_balance([one.hours.total for one in people]),
        gaps=find_gaps(roster, schedule, start, end),
        hidden=_hidden_shifts(roster, schedule, start, end),
        doubles=sorted(doubles, key=lambda one: (one.start, one.schedule, one.user)),
        people=people,
    )


def unbroken_periods(
    shifts: Iterable[tuple[datetime, datetime, Sequence[str]]],
) -> dict[str, list[TimePeriod]]:
    """Person → periods on call without a break, whatever the reason.

    shifts: (start, end, users), in order.
    """
    found: dict[str, list[TimePeriod]] = {}
    for start, end, users in shifts:
        for name in users:
            periods = found.setdefault(name, [])
            if periods and periods[-1][1] == start:
                periods[-1] = periods[-1][0], end
            else:
                periods.append((start, end))
    return found


def _person_loads(roster: Roster, schedule: str, shifts: Sequence[Shift]) -> list[PersonLoad]:
    users = roster.config.users
    layers = roster.config.schedules[schedule].layers
    # People of the layers who are never on call count too, with no hours.
    names = dict.fromkeys(name for layer in layers for turn in layer.users for name in turn)
    periods = {name: list[TimePeriod]() for name in names} | unbroken_periods(
        (shift.start, shift.end, shift.users) for shift in shifts
    )
    zones = {name: users[name].timezone if name in users else "UTC" for name in periods}
    hours = {
        name: count_hours((*period, zones[name]) for period in found)
        for name, found in periods.items()
    }
    total = sum(one.total for one in hours.values())
    mean = total / len(hours) if hours else 0.0
    loads = [_person_load(name, hours[name], periods[name], total, mean) for name in periods]
    return sorted(loads, key=lambda load: (-load.hours.total, load.user))


def _person_load(
    name: str, hours: Hours, periods: Sequence[TimePeriod], total: float, mean: float
) -> PersonLoad:
    rests = [(one[1], next_[0]) for one, next_ in pairwise(periods)]
    return PersonLoad(
        user=name,
        hours=hours,
        share=hours.total / total if total else 0.0,
        shifts=len(periods),
        overloaded=hours.total > OVERLOADED_SHARE * mean,
        idle=hours.total < IDLE_SHARE * mean,
        longest=max(periods, key=_period_length, default=None),
        shortest_rest=min(rests, key=_period_length, default=None),
    )


def _period_length(period: TimePeriod) -> timedelta:
    return period[1] - period[0]


def _load_balance(loads: Sequence[float]) -> float:
    if not any(loads):
        return 0.0
    pairs = [min(pair) / max(pair) if max(pair) else 1.0 for pair in combinations(loads, 2)]
    return sum(pairs) / len(pairs) if pairs else 1.0


def _hidden_shifts(
    roster: Roster, schedule: str, start: datetime, end: datetime
) -> list[HiddenShift]:
    # (hidden people, reason, people on call) → the shift that the next period may extend.
    words = english()
    going_on: dict[tuple[tuple[str, ...], Words, tuple[str, ...]], HiddenShift] = {}
    found: list[HiddenShift] = []
    for period in candidate_periods(roster, schedule, start, end):
        hidden = period.hidden_assignments()
        now = {(one.users, one.reason or NO_LAYER, period.on_call) for one in hidden}
        found += [going_on.pop(key) for key in list(going_on) if key not in now]
        for key in now:
            begin = going_on[key].start if key in going_on else period.start
            going_on[key] = HiddenShift(
                start=begin, end=period.end, users=key[0], reason=key[1], on_call=key[2]
            )
    return sorted(
        [*found, *going_on.values()], key=lambda one: (one.start, one.end, words.text(one.reason))
    )


def find_double_bookings(
    roster: Roster, schedule: str, other: str, start: datetime, end: datetime
) -> list[DoubleBooking]:
    """The people on call for both schedules, from `start` to `end` (aware).

    Raises KeyError for an unknown schedule.
    """
    here, there = (
        unbroken_periods((one.start, one.end, one.users) for one in roster.shifts(name, start, end))
        for name in (schedule, other)
    )
    return [
        DoubleBooking(start=begin, end=until, user=name, schedule=other)
        for name in here.keys() & there.keys()
        for begin, until in _common_periods(here[name], there[name])
    ]


def _common_periods(one: Sequence[TimePeriod], other: Sequence[TimePeriod]) -> list[TimePeriod]:
    """The periods that are in both lists; each is in order and without overlap."""
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
