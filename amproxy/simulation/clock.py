"""A virtual clock for many lanes: what is planned and what they have due happens in order of time."""

from __future__ import annotations

import math
from collections.abc import Callable
from heapq import heappop, heappush
from typing import NamedTuple

from amproxy.simulation.group import Lane


class _Coming(NamedTuple):
    """Ordered by time, then by rank, then as it was put in."""

    at: float
    rank: int
    number: int
    lane: Lane
    do: Callable[[float], object] | None  # None: what the lane itself has due


class Timetable:
    """Knows no end: `run` goes as far as it is asked to."""

    def __init__(self) -> None:
        self._coming: list[_Coming] = []
        self._number = 0

    def plan(self, at: float, rank: int, lane: Lane, do: Callable[[float], object]) -> None:
        """Let something happen to a lane at a time (Unix seconds); `do` is given that time."""
        self._put(at, rank, lane, do)

    def follow(self, lane: Lane) -> None:
        """Let happen what the lane has due."""
        if due := lane.due():
            self._put(*due, lane, None)

    def run(self, end: float = math.inf) -> None:
        """Let everything happen up to and with `end` (Unix seconds)."""
        while self._coming and self._coming[0].at <= end:
            at, rank, _, lane, do = heappop(self._coming)
            if do is not None:
                do(at)
            elif lane.due() != (at, rank):  # it has other things due by now, which stand further on
                continue
            else:
                lane.happen(at)
            self.follow(lane)

    def _put(self, at: float, rank: int, lane: Lane, do: Callable[[float], object] | None) -> None:
        self._number += 1
        heappush(self._coming, _Coming(at, rank, self._number, lane, do))
