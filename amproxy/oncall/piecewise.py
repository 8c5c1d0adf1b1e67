"""A value for every moment, made of spans that may overlap: overrides, absences."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from datetime import datetime
from typing import Generic, TypeVar

from amproxy.zones import LATEST

T = TypeVar("T")


class Steps(Generic[T]):
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
