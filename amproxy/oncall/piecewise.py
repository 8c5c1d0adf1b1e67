"""Values that change at known times: periods that may overlap, and time intervals with a cache."""

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

# `TimeInterval.changes` returns None where nothing changes for at least so long.
_SEARCH_AHEAD = timedelta(days=4 * 365)
_MAX_CACHED = 2048  # more than two years of two changes a day
_BATCH = timedelta(days=14)  # finding all changes of it costs little more than the next one alone


class Piecewise(Generic[T]):
    """A value for every time, from periods (start, end exclusive, value) in UTC.

    Where two periods overlap the later one in the list wins.
    """

    def __init__(self, periods: Iterable[tuple[datetime, datetime, T]]) -> None:
        ranked = [period for period in periods if period[0] < period[1]]
        edges = sorted(
            [(start, rank, True) for rank, (start, _, _) in enumerate(ranked)]
            + [(end, rank, False) for rank, (_, end, _) in enumerate(ranked)]
        )
        active: set[int] = set()
        self._starts: list[datetime] = []
        self._values: list[T | None] = []
        for at, rank, begins in edges:
            if begins:
                active.add(rank)
            else:
                active.remove(rank)
            if not self._starts or self._starts[-1] != at:
                self._starts.append(at)
                self._values.append(None)
            self._values[-1] = ranked[max(active)][2] if active else None

    def at(self, at: datetime) -> tuple[T | None, datetime]:
        """The value at a time (None = no period), and the time until which the answer is valid."""
        after = bisect_right(self._starts, at)
        value = self._values[after - 1] if after else None
        return value, self._starts[after] if after < len(self._starts) else LATEST


class CachedInterval:
    """A time interval as periods in which it is active or not.

    A look-up asks again and again when the present period ends, and an interval never changes: the
    periods once found are cached.
    """

    def __init__(self, interval: TimeInterval) -> None:
        self._interval = interval
        # (start, end, active), by start; they may overlap, which does no harm.
        self._found: list[tuple[datetime, datetime, bool]] = []

    def at(self, at: datetime) -> tuple[bool, datetime]:
        """True if active at a time (UTC), and the time (UTC) until which the answer is valid."""
        place = bisect_right(self._found, at, key=itemgetter(0))
        if place and at < self._found[place - 1][1]:
            return self._found[place - 1][2], self._found[place - 1][1]
        if len(self._found) >= _MAX_CACHED:
            self._found, place = [], 0
        found = self._search_ahead(at)
        next_start = self._found[place][0] if place < len(self._found) else LATEST
        # Only those before the next cached one, so that the list stays in order of starts.
        self._found[place:place] = [period for period in found if period[0] < next_start]
        return found[0][2], found[0][1]

    def _search_ahead(self, at: datetime) -> list[tuple[datetime, datetime, bool]]:
        """The periods from a time on that end within _BATCH; if none does, the present one."""
        found, active, since = list[tuple[datetime, datetime, bool]](), self._interval.holds(at), at
        for edge in self._interval.edges(at, min(at + _BATCH, LATEST)):
            if self._interval.holds(edge) != active:
                found.append((since, edge, active))
                since, active = edge, not active
        return found or [(at, self._interval.changes(at) or at + _SEARCH_AHEAD, active)]


@lru_cache(maxsize=256)
def cached_interval(interval: TimeInterval) -> CachedInterval:
    """Return the same cache for equal intervals, so that a reloaded file does not begin anew."""
    return CachedInterval(interval)
