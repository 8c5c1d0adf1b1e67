"""A value for every moment, made of spans that may overlap: overrides, absences.

Time intervals with a memory, because a look-up asks again and again when the one that holds now will change.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import lru_cache
from operator import itemgetter
from typing import Generic, TypeVar

from amproxy.labels.intervals import TimeInterval
from amproxy.times import LATEST

T = TypeVar("T")


class Piecewise(Generic[T]):
    """Spans (start, end exclusive, value), moments in UTC; where two overlap the one given later wins. Look-ups bisect."""

    def __init__(self, spans: Iterable[tuple[datetime, datetime, T]]) -> None:
        ranked = [span for span in spans if span[0] < span[1]]
        edges = sorted(
            [(start, rank, True) for rank, (start, _, _) in enumerate(ranked)] + [(e, r, False) for r, (_, e, _) in enumerate(ranked)]
        )
        holding: set[int] = set()
        self._starts: list[datetime] = []
        self._values: list[T | None] = []
        for at, rank, begins in edges:
            if begins:
                holding.add(rank)
            else:
                holding.remove(rank)
            if not self._starts or self._starts[-1] != at:
                self._starts.append(at)
                self._values.append(None)
            self._values[-1] = ranked[max(holding)][2] if holding else None

    def at(self, at: datetime) -> tuple[T | None, datetime]:
        """The value that holds at a moment (None = no span does), and the moment up to which this answer is good."""
        after = bisect_right(self._starts, at)
        return self._values[after - 1] if after else None, self._starts[after] if after < len(self._starts) else LATEST


_SEARCH_AHEAD = timedelta(days=4 * 365)  # `changes` answers None where nothing changes for at least so long
_MAX_CACHED = 2048  # more than two years of two changes a day
_BATCH = timedelta(days=14)  # a look ahead costs little more than one that stops at the next change


class CachedInterval:
    """A time interval as stretches of holding and not holding. Those found are remembered: an interval never changes."""

    def __init__(self, interval: TimeInterval) -> None:
        self._interval = interval
        self._found: list[tuple[datetime, datetime, bool]] = []  # by start; they may overlap, which does no harm

    def at(self, at: datetime) -> tuple[bool, datetime]:
        """Whether the interval holds at a moment (UTC), and the moment (UTC) up to which this answer is good."""
        place = bisect_right(self._found, at, key=itemgetter(0))
        if place and at < self._found[place - 1][1]:
            return self._found[place - 1][2], self._found[place - 1][1]
        if len(self._found) >= _MAX_CACHED:
            self._found, place = [], 0
        found = self._ahead(at)
        following = self._found[place][0] if place < len(self._found) else LATEST
        self._found[place:place] = [spell for spell in found if spell[0] < following]
        return found[0][2], found[0][1]

    def _ahead(self, at: datetime) -> list[tuple[datetime, datetime, bool]]:
        """The spells from a moment on that end within the next days; where none does, the one that holds."""
        found, holds, since = list[tuple[datetime, datetime, bool]](), self._interval.holds(at), at
        for edge in self._interval.edges(at, min(at + _BATCH, LATEST)):
            if self._interval.holds(edge) != holds:
                found.append((since, edge, holds))
                since, holds = edge, not holds
        return found or [(at, self._interval.changes(at) or at + _SEARCH_AHEAD, holds)]


@lru_cache(maxsize=256)
def cached_interval(interval: TimeInterval) -> CachedInterval:
    """The same memory for equal intervals, so that a new roster or a reloaded file does not begin anew."""
    return CachedInterval(interval)
