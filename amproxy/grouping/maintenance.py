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
from amproxy.times import EARLIEST, LATEST, instant, moment

State = Literal["pending", "open", "closed", "expired"]
Intervals = Mapping[str, TimeInterval]


def is_open(window: Maintenance, intervals: Intervals, at: datetime) -> bool:
    """Whether alerts that match are held back at a moment."""
    start, end = bounds(window)
    return start <= instant(at) < end and (not window.active_time_intervals or _together(window, intervals).holds(at))


def open_at(window: Maintenance, intervals: Intervals, at: datetime) -> datetime | None:
    """Until when a window that is open at `at` stays so; LATEST = no end is known. None = it is not open."""
    if not is_open(window, intervals, at):
        return None
    _, end = bounds(window)
    if not window.active_time_intervals:
        return end
    return min(end, _together(window, intervals).changes(instant(at)) or LATEST)


def next_opening(window: Maintenance, intervals: Intervals, at: datetime) -> datetime | None:
    """The first moment after `at` at which a window that is not open then opens; None = never, or not within four years."""
    start, end = bounds(window)
    opens: datetime | None = start
    if window.active_time_intervals:
        opens = _together(window, intervals).opens(max(start, instant(at)))
    return opens if opens is not None and instant(at) < opens < end else None


def next_change(window: Maintenance, intervals: Intervals, at: datetime) -> datetime | None:
    """The next moment after `at` at which a window opens or is over; None = never, or not within four years."""
    until = open_at(window, intervals, at)
    if until is not None:
        return until if until < LATEST else None
    return next_opening(window, intervals, at)


def state(window: Maintenance, intervals: Intervals, at: datetime) -> State:
    """pending: before its start. closed: between two openings. expired: past its end."""
    start, end = bounds(window)
    if instant(at) >= end:
        return "expired"
    if is_open(window, intervals, at):
        return "open"
    return "pending" if instant(at) < start else "closed"


def bounds(window: Maintenance) -> tuple[datetime, datetime]:
    """Its start and its end in UTC; EARLIEST and LATEST where it has none."""
    return _bound(window, window.start) or EARLIEST, _bound(window, window.end) or LATEST


def ended_warnings(config: Config, now: datetime) -> list[ConfigProblem]:
    """A warning of kind `past` for each window of the file that is over for good."""
    warnings = []
    for position, window in enumerate(config.maintenance.values()):
        place, (_, end) = window.place, bounds(window)
        if end <= instant(now):
            shown = end.astimezone(ZoneInfo(window.timezone)).strftime("%Y-%m-%d %H:%M")
            text = f"the maintenance window {window.name!r} is over since {shown} ({window.timezone}): it can go"
            path = f"maintenance_windows[{position}]"
            warnings.append(ConfigProblem(text, file=place.file, line=place.line, column=place.column, path=path, kind="past"))
    return warnings


def _bound(window: Maintenance, at: datetime | None) -> datetime | None:
    if at is None:
        return None
    return instant(at) if at.tzinfo else moment(at, ZoneInfo(window.timezone))


def _together(window: Maintenance, intervals: Intervals) -> TimeInterval:
    """Its intervals as one that holds while any of them does, each entry with a place."""
    named = [intervals[name] for name in window.active_time_intervals if name in intervals]
    entries = [
        entry if entry.location else msgspec.structs.replace(entry, location=window.timezone)
        for interval in named
        for entry in interval.entries
    ]
    return TimeInterval(window.name, tuple(entries))


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
