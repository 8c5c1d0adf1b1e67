"""Time intervals: named stretches of the calendar and of the day, with Alertmanager's meaning."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from heapq import merge
from typing import Any

import msgspec

from amproxy.labels.interval_entry import Entry
from amproxy.labels.interval_grammar import BadInterval, parse_entry
from amproxy.zones import EARLIEST, LATEST, instant

__all__ = ["BadInterval", "Entry", "TimeInterval", "parse_time_interval"]

_FOUR_YEARS = 4 * 366  # days that are searched
_SLACK = 2  # days: a place may already, or still, have another date than UTC


class TimeInterval(msgspec.Struct, frozen=True):
    """Holds at a moment if any of its entries does; without entries never. Moments are aware; answers come in the zone of the question."""

    name: str
    entries: tuple[Entry, ...] = ()

    def holds(self, at: datetime) -> bool:
        """Whether it holds at a moment."""
        at = instant(at)
        return any(entry.holds(at) for entry in self.entries)

    def opens(self, at: datetime) -> datetime | None:
        """The first moment at or after `at` at which it holds; None = not within four years."""
        return at if self.holds(at) else self.changes(at)

    def changes(self, at: datetime) -> datetime | None:
        """The next moment after `at` at which it begins or ceases to hold; None = not within four years."""
        now, today = self.holds(at), instant(at).date()
        first, last = _shifted(today, -_SLACK), _shifted(today, _FOUR_YEARS)
        for edge in merge(*(entry.edges(first, last) for entry in self.entries)):
            if edge > at and self.holds(edge) != now:
                return edge.astimezone(at.tzinfo)
        return None

    def edges(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """In order, every moment (UTC) after `start` and before `end` at which it may begin or cease to hold; some needlessly."""
        first, last = _shifted(start.date(), -_SLACK), _shifted(end.date(), _SLACK)
        return (edge for edge in merge(*(entry.edges(first, last) for entry in self.entries)) if start < edge < end)


def parse_time_interval(name: str, value: Any) -> TimeInterval:
    """A name and the list of its entries as loaded (lists, dicts, each scalar as its literal text, null as None) → the interval.

    Raises BadInterval, whose `path` leads from the list to the offending part.
    """
    if not isinstance(value, list | None):
        raise BadInterval("time_intervals must be a list")
    return TimeInterval(name, tuple(_entry(position, part) for position, part in enumerate(value or ())))


def _entry(position: int, part: Any) -> Entry:
    try:
        return parse_entry(part)
    except BadInterval as error:
        raise BadInterval(str(error), position, *error.path) from None


def _shifted(day: date, days: int) -> date:
    wanted = day.toordinal() + days
    return date.fromordinal(min(max(wanted, EARLIEST.toordinal()), LATEST.toordinal()))
