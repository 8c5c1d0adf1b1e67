"""How good a schedule is: gaps, people hidden beneath others or on call twice, and who carries how much. Pure.

It judges the plan, as the roster has it. The score, 0 to 100, is the mean of coverage (the share of time with somebody on call)
and balance (how evenly hours are shared: for each two people the smaller part by the larger, on average; 0 where nobody has any).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import combinations, pairwise

import msgspec

from amproxy.oncall.gaps import Hole, claims, gaps
from amproxy.oncall.hours import Hours, hours
from amproxy.oncall.roster import Roster, Shift

OVERLOADED = 1.5  # times the mean hours
IDLE = 0.5

Span = tuple[datetime, datetime]


class Hidden(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who would be on call is hidden by those who are."""

    start: datetime
    end: datetime
    users: tuple[str, ...]  # who is hidden
    reason: str  # by what they would be on call
    on_call: tuple[str, ...]


class Double(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody is on call for another schedule at the same time."""

    start: datetime
    end: datetime
    user: str
    schedule: str


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What one person carries."""

    user: str
    hours: Hours
    share: float  # of all hours on call, 0 to 1
    shifts: int  # stretches without a break
    overloaded: bool
    idle: bool
    longest: Span | None  # the longest stretch without a break
    shortest_rest: Span | None  # the shortest time between two stretches


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    schedule: str
    start: datetime
    end: datetime
    coverage: float  # 0 to 1
    balance: float  # 0 to 1
    gaps: list[Hole]
    hidden: list[Hidden]
    doubles: list[Double]
    people: list[Load]  # by hours, most first

    @property
    def score(self) -> int:
        """0 to 100."""
        return int((self.coverage + self.balance) * 50)


def quality(roster: Roster, schedule: str, start: datetime, end: datetime, found: Iterable[Double] | None = None) -> Quality:
    """Judge a schedule between two moments (aware). Raises KeyError for an unknown one, ValueError where the end is not after the start.

    found: what `doubles` found in the other schedules, which takes long where there are many; None = look for it here.
    """
    if end <= start:
        raise ValueError("the end must lie after the start")
    if found is None:
        found = [one for other in roster.config.schedules if other != schedule for one in doubles(roster, schedule, other, start, end)]
    shifts = roster.shifts(schedule, start, end)
    uncovered = sum((shift.end - shift.start).total_seconds() for shift in shifts if not shift.users)
    people = _loads(roster, schedule, shifts)
    return Quality(
        schedule=schedule,
        start=start,
        end=end,
        coverage=1 - uncovered / (end - start).total_seconds(),
        balance=_balance([one.hours.total for one in people]),
        gaps=gaps(roster, schedule, start, end),
        hidden=_hidden(roster, schedule, start, end),
        doubles=sorted(found, key=lambda one: (one.start, one.schedule, one.user)),
        people=people,
    )


def stretches(shifts: Iterable[tuple[datetime, datetime, Sequence[str]]]) -> dict[str, list[Span]]:
    """Person → when they are on call without a break, whatever the reason; of shifts (start, end, users) in order."""
    found: dict[str, list[Span]] = {}
    for start, end, users in shifts:
        for name in users:
            spans = found.setdefault(name, [])
            if spans and spans[-1][1] == start:
                spans[-1] = spans[-1][0], end
            else:
                spans.append((start, end))
    return found


def _loads(roster: Roster, schedule: str, shifts: Sequence[Shift]) -> list[Load]:
    users = roster.config.users
    names = dict.fromkeys(name for layer in roster.config.schedules[schedule].layers for turn in layer.users for name in turn)
    spans = {name: list[Span]() for name in names} | stretches((shift.start, shift.end, shift.users) for shift in shifts)
    zones = {name: users[name].timezone if name in users else "UTC" for name in spans}
    worked = {name: hours((*span, zones[name]) for span in found) for name, found in spans.items()}
    total = sum(one.total for one in worked.values())
    mean = total / len(worked) if worked else 0.0
    loads = [
        Load(
            user=name,
            hours=worked[name],
            share=worked[name].total / total if total else 0.0,
            shifts=len(found),
            overloaded=worked[name].total > OVERLOADED * mean,
            idle=worked[name].total < IDLE * mean,
            longest=max(found, key=_length, default=None),
            shortest_rest=min(((one[1], next_[0]) for one, next_ in pairwise(found)), key=_length, default=None),
        )
        for name, found in spans.items()
    ]
    return sorted(loads, key=lambda load: (-load.hours.total, load.user))


def _length(span: Span) -> timedelta:
    return span[1] - span[0]


def _balance(loads: Sequence[float]) -> float:
    if not any(loads):
        return 0.0
    pairs = [min(pair) / max(pair) if max(pair) else 1.0 for pair in combinations(loads, 2)]
    return sum(pairs) / len(pairs) if pairs else 1.0


def _hidden(roster: Roster, schedule: str, start: datetime, end: datetime) -> list[Hidden]:
    going_on: dict[tuple[tuple[str, ...], str, tuple[str, ...]], Hidden] = {}
    found: list[Hidden] = []
    for piece in claims(roster, schedule, start, end):
        now = {(one.users, one.reason, piece.on_call) for one in piece.hidden()}
        found += [going_on.pop(key) for key in list(going_on) if key not in now]
        for key in now:
            begun = going_on[key].start if key in going_on else piece.start
            going_on[key] = Hidden(start=begun, end=piece.end, users=key[0], reason=key[1], on_call=key[2])
    return sorted([*found, *going_on.values()], key=lambda one: (one.start, one.end, one.reason))


def doubles(roster: Roster, schedule: str, other: str, start: datetime, end: datetime) -> list[Double]:
    """Who is on call for both between two moments (aware). Raises KeyError for an unknown schedule."""
    here, there = (stretches((one.start, one.end, one.users) for one in roster.shifts(name, start, end)) for name in (schedule, other))
    return [
        Double(start=begin, end=until, user=name, schedule=other)
        for name in here.keys() & there.keys()
        for begin, until in _common(here[name], there[name])
    ]


def _common(one: Sequence[Span], other: Sequence[Span]) -> list[Span]:
    """When spans of both hold; each list is in order and without overlap."""
    found, i, j = list[Span](), 0, 0
    while i < len(one) and j < len(other):
        start, end = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if start < end:
            found.append((start, end))
        if one[i][1] <= other[j][1]:
            i += 1
        else:
            j += 1
    return found
