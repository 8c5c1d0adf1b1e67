"""A schedule's calendars in the place of its layers: who is on call by them at a moment."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

from amproxy.config.structs import User
from amproxy.decide.calendar import Calendars, CalendarShift
from amproxy.decide.cover import Absences, Stretch
from amproxy.decide.zones import EARLIEST, LATEST

PRIMARY, OVERRIDES = "calendar", "overrides calendar"


class _Level(NamedTuple):
    """What shifts of one rank say together."""

    layer: str
    users: tuple[str, ...]  # () = empty shifts


class CalendarCover:
    """The overrides calendar beats the primary one, within each a higher priority beats a lower one, and equal ones hold together.

    Where nobody of a rank is known or present, the one below shows through.
    """

    def __init__(self, calendars: Calendars, users: Mapping[str, User], absences: Absences) -> None:
        self._missing, self._absences = calendars.missing if calendars.primary is None else "", absences
        known = calendars.primary or calendars.overrides
        self._start, self._end = (known.start, known.end) if known else (EARLIEST, LATEST)
        self._edges, self._levels = _sweep(calendars.shifts(users))

    def stretch(self, at: datetime) -> Stretch:
        """The answer for a moment in UTC."""
        if not self._start <= at < self._end:
            edge, end = (self._start, self._start) if at < self._start else (self._end, LATEST)
            return Stretch(end, (), f"the calendar is worked out {'from' if at < edge else 'until'} {edge:%Y-%m-%d} only")
        place = bisect_right(self._edges, at)
        until = min(self._edges[place] if place < len(self._edges) else LATEST, self._end)
        why = self._missing
        for level in self._levels[place - 1] if place else ():
            present, absent, until = self._present(level, at, until)
            if present:
                reason = f"{level.layer}, {', '.join(absent)} absent" if absent else level.layer
                return Stretch(until, present, reason, level.layer)
            why = f"everyone in the {level.layer} is absent" if absent else why or f"the {level.layer} names nobody who is known"
        return Stretch(until, (), why)

    def following(self, at: datetime) -> tuple[str, ...]:
        """The next people who are on call after those of a moment (UTC) and are not the same; () = nobody then, or nobody else follows."""
        now = here = self.stretch(at)
        while now.users and here.end < LATEST:
            here = self.stretch(here.end)
            if here.users and set(here.users) != set(now.users):
                return here.users
        return ()

    def _present(self, level: _Level, at: datetime, until: datetime) -> tuple[tuple[str, ...], list[str], datetime]:
        """Who of a level is there and who is absent, and up to when that is known."""
        absent = []
        for name in level.users:
            if name in self._absences:
                away, edge = self._absences[name].at(at)
                until = min(until, edge)
                if away is not None:
                    absent.append(name)
        return tuple(name for name in level.users if name not in absent), absent, until


def _sweep(shifts: Sequence[CalendarShift]) -> tuple[list[datetime], list[tuple[_Level, ...]]]:
    """Moments at which something changes, in order, and what holds from each of them on: its levels from the highest down."""
    bounds = sorted(
        [(shift.start, number, True) for number, shift in enumerate(shifts)]
        + [(shift.end, number, False) for number, shift in enumerate(shifts)]
    )
    edges, held, holding = list[datetime](), list[tuple[_Level, ...]](), set[int]()
    for at, group in groupby(bounds, key=lambda bound: bound[0]):
        for _, number, begins in group:
            if begins:
                holding.add(number)
            else:
                holding.remove(number)
        levels = _levels([shifts[number] for number in sorted(holding)])
        if not held or held[-1] != levels:
            edges.append(at)
            held.append(levels)
    return edges, held


def _levels(shifts: Sequence[CalendarShift]) -> tuple[_Level, ...]:
    ranks: dict[tuple[bool, int], dict[str, None]] = {}
    for shift in shifts:
        ranks.setdefault(shift.rank, {}).update(dict.fromkeys(shift.users))
    return tuple(_Level(OVERRIDES if rank[0] else PRIMARY, tuple(ranks[rank])) for rank in sorted(ranks, reverse=True))
