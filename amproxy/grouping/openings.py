"""Which maintenance windows are open, worked out anew only when one of them changes: every flush asks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from amproxy.clock import utc
from amproxy.config.structs import Config, Maintenance
from amproxy.grouping.maintenance import is_open, next_change, open_at


class Opening(NamedTuple):
    """A window that is open, and until when (Unix seconds)."""

    window: Maintenance
    until: float


class Openings:
    """Of one configuration; a reload makes a new one. Windows made by hand come with each question: id → window."""

    def __init__(self, config: Config) -> None:
        self._file, self._intervals = tuple(config.maintenance.values()), config.time_intervals
        self._by_hand: Mapping[str, Maintenance] | None = None
        self._open: tuple[Opening, ...] = ()
        self._good = (math.inf, -math.inf)  # Unix seconds from and up to which `_open` is right

    def all(self, by_hand: Mapping[str, Maintenance]) -> tuple[Maintenance, ...]:
        """Every window that is known, those of the file first."""
        return (*self._file, *by_hand.values())

    def now(self, by_hand: Mapping[str, Maintenance], now: float) -> tuple[Opening, ...]:
        """The windows that are open at `now` (Unix seconds)."""
        if not self._file and not by_hand:
            return ()
        if by_hand is not self._by_hand or not self._good[0] <= now < self._good[1]:
            self._look(by_hand, now)
        return self._open

    def was_open(self, window: Maintenance, at: float) -> bool:
        """Whether a window was open at a moment of the past."""
        return is_open(window, self._intervals, utc(at))

    def _look(self, by_hand: Mapping[str, Maintenance], now: float) -> None:
        at, windows = utc(now), self.all(by_hand)
        found = [(window, open_at(window, self._intervals, at)) for window in windows]
        changes = [change.timestamp() for window in windows if (change := next_change(window, self._intervals, at))]
        self._open = tuple(Opening(window, until.timestamp()) for window, until in found if until is not None)
        self._by_hand, self._good = by_hand, (now, min(changes, default=math.inf))
