"""A schedule's calendars in the place of its layers: who is on call by them at a moment."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Mapping
from datetime import datetime

from amproxy.config.structs import User
from amproxy.oncall.calendars import Calendars, Level
from amproxy.oncall.layers import Absences, Stretch
from amproxy.zones import EARLIEST, LATEST


class CalendarCover:
    """The overrides calendar beats the primary one, within each a higher priority beats a lower one, and equal ones hold together.

    Where nobody of a rank is known or present, the one below shows through.
    """

    def __init__(self, calendars: Calendars, users: Mapping[str, User], absences: Absences) -> None:
        self._missing, self._absences = calendars.missing if calendars.primary is None else "", absences
        known = calendars.primary or calendars.overrides
        self._start, self._end = (known.start, known.end) if known else (EARLIEST, LATEST)
        self._edges, self._levels = calendars.told(users).edges, calendars.told(users).levels

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

    def following(self, at: datetime, besides: Collection[str] = ()) -> tuple[str, ...]:
        """The next people who are on call after those of a moment (UTC) and are not the same; () = nobody then, or nobody else follows."""
        now = here = self.stretch(at)
        first: tuple[str, ...] = ()
        while now.users and here.end < LATEST:
            here = self.stretch(here.end)
            if here.users and set(here.users) != set(now.users):
                if not set(here.users).issubset(besides):
                    return here.users
                first = first or here.users
        return first

    def _present(self, level: Level, at: datetime, until: datetime) -> tuple[tuple[str, ...], list[str], datetime]:
        """Who of a level is there and who is absent, and up to when that is known."""
        absent = []
        for name in level.users:
            if name in self._absences:
                away, edge = self._absences[name].at(at)
                until = min(until, edge)
                if away is not None:
                    absent.append(name)
        return tuple(name for name in level.users if name not in absent), absent, until
