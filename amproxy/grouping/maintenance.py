"""Maintenance windows: when one is open, and when that changes. Pure: every moment is an argument, and is aware.

A window is open from `start` to `end` (not included), while one of its time intervals holds; what is not given does not bound
it. Time intervals are read on the clock of the window's zone where they name no place themselves. One whose name is not in the
file any more never holds: a window that has lost its interval hides nothing.

Which maintenance windows are open, worked out anew only when one of them changes: every flush asks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from amproxy.clock import utc
from amproxy.config.structs import Config, Maintenance
from amproxy.errors import ConfigProblem
from amproxy.labels.intervals import TimeInterval
from amproxy.times import EARLIEST, LATEST, to_utc, wall_to_utc

WindowState = Literal["pending", "open", "closed", "expired"]
IntervalsByName = Mapping[str, TimeInterval]


def is_open(window: Maintenance, intervals: IntervalsByName, at: datetime) -> bool:
    """Whether alerts that match are held back at a moment."""
    start, end = window_bounds(window)
    return start <= to_utc(at) < end and (not window.active_time_intervals or _combined_interval(window, intervals).holds(at))


def open_until(window: Maintenance, intervals: IntervalsByName, at: datetime) -> datetime | None:
    """Until when a window that is open at `at` stays so; LATEST = no end is known. None = it is not open."""
    if not is_open(window, intervals, at):
        return None
    _, end = window_bounds(window)
    if not window.active_time_intervals:
        return end
    return min(end, _combined_interval(window, intervals).changes(to_utc(at)) or LATEST)


def next_opening(window: Maintenance, intervals: IntervalsByName, at: datetime) -> datetime | None:
    """The first moment after `at` at which a window that is not open then opens; None = never, or not within four years."""
    start, end = window_bounds(window)
    opens: datetime | None = start
    if window.active_time_intervals:
        opens = _combined_interval(window, intervals).opens(max(start, to_utc(at)))
    return opens if opens is not None and to_utc(at) < opens < end else None


def next_change(window: Maintenance, intervals: IntervalsByName, at: datetime) -> datetime | None:
    """The next moment after `at` at which a window opens or is over; None = never, or not within four years."""
    until = open_until(window, intervals, at)
    if until is not None:
        return until if until < LATEST else None
    return next_opening(window, intervals, at)


def window_state(window: Maintenance, intervals: IntervalsByName, at: datetime) -> WindowState:
    """pending: before its start. closed: between two openings. expired: past its end."""
    start, end = window_bounds(window)
    if to_utc(at) >= end:
        return "expired"
    if is_open(window, intervals, at):
        return "open"
    return "pending" if to_utc(at) < start else "closed"


def window_bounds(window: Maintenance) -> tuple[datetime, datetime]:
    """Its start and its end in UTC; EARLIEST and LATEST where it has none."""
    return _bound_in_utc(window, window.start) or EARLIEST, _bound_in_utc(window, window.end) or LATEST


def expired_window_warnings(config: Config, now: datetime) -> list[ConfigProblem]:
    """A warning of kind `past` for each window of the file that is over for good."""
    warnings = []
    for position, window in enumerate(config.maintenance.values()):
        place, (_, end) = window.place, window_bounds(window)
        if end <= to_utc(now):
            shown = end.astimezone(ZoneInfo(window.timezone)).strftime("%Y-%m-%d %H:%M")
            text = f"the maintenance window {window.name!r} is over since {shown} ({window.timezone}): it can go"
            path = f"maintenance_windows[{position}]"
            warnings.append(ConfigProblem(text, file=place.file, line=place.line, column=place.column, path=path, kind="past"))
    return warnings


def _bound_in_utc(window: Maintenance, at: datetime | None) -> datetime | None:
    if at is None:
        return None
    return to_utc(at) if at.tzinfo else wall_to_utc(at, ZoneInfo(window.timezone))


def _combined_interval(window: Maintenance, intervals: IntervalsByName) -> TimeInterval:
    """Its intervals as one that holds while any of them does, each entry with a place."""
    named = [intervals[name] for name in window.active_time_intervals if name in intervals]
    entries = [
        entry if entry.location else msgspec.structs.replace(entry, location=window.timezone)
        for interval in named
        for entry in interval.entries
    ]
    return TimeInterval(window.name, tuple(entries))


class OpenWindow(NamedTuple):
    """A window that is open, and until when (Unix seconds)."""

    window: Maintenance
    until: float


class OpenWindows:
    """Of one configuration; a reload makes a new one. Windows made by hand come with each question: id → window."""

    def __init__(self, config: Config) -> None:
        self._file, self._intervals = tuple(config.maintenance.values()), config.time_intervals
        self._by_hand: Mapping[str, Maintenance] | None = None
        self._open: tuple[OpenWindow, ...] = ()
        self._good = (math.inf, -math.inf)  # Unix seconds from and up to which `_open` is right

    def all(self, by_hand: Mapping[str, Maintenance]) -> tuple[Maintenance, ...]:
        """Every window that is known, those of the file first."""
        return (*self._file, *by_hand.values())

    def now(self, by_hand: Mapping[str, Maintenance], now: float) -> tuple[OpenWindow, ...]:
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
        found = [(window, open_until(window, self._intervals, at)) for window in windows]
        changes = [change.timestamp() for window in windows if (change := next_change(window, self._intervals, at))]
        self._open = tuple(OpenWindow(window, until.timestamp()) for window, until in found if until is not None)
        self._by_hand, self._good = by_hand, (now, min(changes, default=math.inf))
