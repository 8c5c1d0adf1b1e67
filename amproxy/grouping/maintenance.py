"""Maintenance windows: the times at which one opens and closes, and those open now.

Pure: every time is an argument, and is aware. A window is open from `start` to `end` (not
included) while one of its time intervals is active; what is not given does not bound it. Time
intervals are read in the window's zone where they name none themselves. One that is not in the
file any more is never active: a window that has lost its interval mutes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from amproxy.clock import utc
from amproxy.config.structs import Config, Maintenance
from amproxy.errors import ConfigProblem
from amproxy.labels.intervals import TimeInterval
from amproxy.labels.matchers import all_match
from amproxy.model import Alert
from amproxy.text import Phrase
from amproxy.times import EARLIEST, LATEST, to_utc, wall_to_utc

WindowState = Literal["pending", "open", "closed", "expired"]
IntervalsByName = Mapping[str, TimeInterval]


def is_open(window: Maintenance, intervals: IntervalsByName, at: datetime) -> bool:
    """Decide whether a window mutes the alerts that match it at a time."""
    start, end = window_bounds(window)
    return start <= to_utc(at) < end and (
        not window.active_time_intervals or _combined_interval(window, intervals).holds(at)
    )


def open_until(window: Maintenance, intervals: IntervalsByName, at: datetime) -> datetime | None:
    """The end of the opening at `at`; LATEST = none is known, None = the window is not open."""
    if not is_open(window, intervals, at):
        return None
    _, end = window_bounds(window)
    if not window.active_time_intervals:
        return end
    return min(end, _combined_interval(window, intervals).changes(to_utc(at)) or LATEST)


def next_opening(window: Maintenance, intervals: IntervalsByName, at: datetime) -> datetime | None:
    """The first opening after `at` of a window that is closed then; None = none in four years."""
    start, end = window_bounds(window)
    opens: datetime | None = start
    if window.active_time_intervals:
        opens = _combined_interval(window, intervals).opens(max(start, to_utc(at)))
    return opens if opens is not None and to_utc(at) < opens < end else None


def next_change(window: Maintenance, intervals: IntervalsByName, at: datetime) -> datetime | None:
    """The time after `at` at which a window next opens or closes; None = none in four years."""
    until = open_until(window, intervals, at)
    if until is not None:
        return until if until < LATEST else None
    return next_opening(window, intervals, at)


def next_change_at(window: Maintenance, intervals: IntervalsByName, at: float) -> float | None:
    """The same in Unix seconds."""
    change = next_change(window, intervals, utc(at))
    return None if change is None else change.timestamp()


def is_told_at_close(window: Maintenance, alerts: Iterable[Alert], now_ns: int) -> bool:
    """Decide whether a window that closes has a group flushed: an alert still fires."""
    return any(
        not alert.resolved(now_ns) and all_match(window.matchers, alert.labels) for alert in alerts
    )


def window_state(window: Maintenance, intervals: IntervalsByName, at: datetime) -> WindowState:
    """The state at a time.

    pending: before its start. closed: between two openings. expired: past its end.
    """
    start, end = window_bounds(window)
    if to_utc(at) >= end:
        return "expired"
    if is_open(window, intervals, at):
        return "open"
    return "pending" if to_utc(at) < start else "closed"


def window_bounds(window: Maintenance) -> tuple[datetime, datetime]:
    """The start and the end in UTC; EARLIEST and LATEST where it has none."""
    start, end = _bound_in_utc(window, window.start), _bound_in_utc(window, window.end)
    return start or EARLIEST, end or LATEST


def expired_window_warnings(config: Config, now: datetime) -> list[ConfigProblem]:
    """A warning of kind `past` for each window of the file that is over for good."""
    return [
        _expired_warning(window, position, end)
        for position, window in enumerate(config.maintenance.values())
        if (end := window_bounds(window)[1]) <= to_utc(now)
    ]


def _expired_warning(window: Maintenance, position: int, end: datetime) -> ConfigProblem:
    zone, place = window.timezone, window.place
    shown = end.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")
    return ConfigProblem(
        Phrase("problem.window_over", {"window": window.name, "end": shown, "zone": zone}),
        file=place.file,
        line=place.line,
        column=place.column,
        path=f"maintenance_windows[{position}]",
        kind="past",
    )


def _bound_in_utc(window: Maintenance, at: datetime | None) -> datetime | None:
    if at is None:
        return None
    return to_utc(at) if at.tzinfo else wall_to_utc(at, ZoneInfo(window.timezone))


def _combined_interval(window: Maintenance, intervals: IntervalsByName) -> TimeInterval:
    """One interval that is active while any of the window's is, each entry with a zone."""
    named = [intervals[name] for name in window.active_time_intervals if name in intervals]
    entries = [
        entry if entry.location else msgspec.structs.replace(entry, location=window.timezone)
        for interval in named
        for entry in interval.entries
    ]
    return TimeInterval(window.name, tuple(entries))


class OpenWindow(NamedTuple):
    """A window that is open, and its end (Unix seconds)."""

    window: Maintenance
    until: float


class OpenWindows:
    """The open windows of one configuration and of those made by hand; a reload makes a new one.

    Worked out anew only when a window opens, closes or changes, because every flush asks.
    Windows made by hand are passed with each call, as id → window.
    """

    def __init__(self, config: Config) -> None:
        self._file, self._intervals = tuple(config.maintenance.values()), config.time_intervals
        self._by_hand: Mapping[str, Maintenance] | None = None
        self._open: tuple[OpenWindow, ...] = ()
        self._valid = (math.inf, -math.inf)  # Unix seconds from and up to which `_open` is right

    def all(self, by_hand: Mapping[str, Maintenance]) -> tuple[Maintenance, ...]:
        """Every window, open or not, those of the file first."""
        return (*self._file, *by_hand.values())

    def open_now(self, by_hand: Mapping[str, Maintenance], now: float) -> tuple[OpenWindow, ...]:
        """The windows that are open at `now` (Unix seconds)."""
        if not self._file and not by_hand:
            return ()
        # by identity: the cache hands out the same dict as long as nothing has changed
        if by_hand is not self._by_hand or not self._valid[0] <= now < self._valid[1]:
            self._refresh(by_hand, now)
        return self._open

    def was_open(self, window: Maintenance, at: float) -> bool:
        """Decide whether a window was open at a time of the past (Unix seconds)."""
        return is_open(window, self._intervals, utc(at))

    def _refresh(self, by_hand: Mapping[str, Maintenance], now: float) -> None:
        at, windows = utc(now), self.all(by_hand)
        found = [(window, open_until(window, self._intervals, at)) for window in windows]
        changes = [
            change.timestamp()
            for window in windows
            if (change := next_change(window, self._intervals, at))
        ]
        self._open = tuple(
            OpenWindow(window, until.timestamp()) for window, until in found if until is not None
        )
        self._by_hand, self._valid = by_hand, (now, min(changes, default=math.inf))
