"""When a layer's time intervals let it be active."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta
from operator import itemgetter

from amproxy.decide.intervals import TimeInterval
from amproxy.decide.zones import LATEST

_SEARCHED = timedelta(days=4 * 365)  # `changes` answers None where nothing changes for at least so long
_REMEMBERED = 1024  # spans: more than a year of two changes a day

Span = tuple[datetime, datetime, bool]


class Window:
    """Open while one of the active intervals holds (or there are none) and none of the mute intervals does.

    Spans that were found are remembered: intervals never change, and asking for the next change of one costs far more
    than all the rest of a look-up.
    """

    def __init__(self, active: Sequence[TimeInterval], mute: Sequence[TimeInterval]) -> None:
        self._active, self._mute = active, mute
        self._spans: list[Span] = []  # by start; they may overlap, which does no harm

    def at(self, at: datetime) -> tuple[bool, datetime]:
        """Whether it is open at a moment (UTC), and the moment up to which this answer is good."""
        if not self._active and not self._mute:
            return True, LATEST
        place = bisect_right(self._spans, at, key=itemgetter(0))
        if place and at < self._spans[place - 1][1]:
            return self._spans[place - 1][2], self._spans[place - 1][1]
        is_open = not self._active or any(interval.holds(at) for interval in self._active)
        is_open = is_open and not any(interval.holds(at) for interval in self._mute)
        end = min(interval.changes(at) or at + _SEARCHED for interval in (*self._active, *self._mute))
        if len(self._spans) >= _REMEMBERED:
            self._spans, place = [], 0
        self._spans.insert(place, (at, end, is_open))
        return is_open, end
