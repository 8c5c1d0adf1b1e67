"""Quiet hours: when a person's ordinary pages wait, and until when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache

from msgspec.structs import replace

from amproxy.config.structs import User
from amproxy.labels.intervals import TimeInterval
from amproxy.oncall.spells import spells
from amproxy.zones import instant

_SOME_TIME = datetime(2025, 1, 1, tzinfo=UTC)


def quiet_until(user: User, intervals: Mapping[str, TimeInterval], at: datetime) -> datetime | None:
    """The moment (UTC) at which the quiet hours that hold at `at` are over; None = there is none to wait for.

    A person's quiet hours are on the person's own clock: an entry of a time interval without `location` is read there, not in
    UTC. Of several that overlap or touch, the end is when none holds any more. Quiet hours that do not end within four years
    count as none, because a page must not wait for ever. `at` must have a zone (ValueError).
    """
    if not user.quiet_hours:
        return None
    hours = _together(tuple(intervals[name] for name in user.quiet_hours), user.timezone)
    holds, end = spells(hours).at(instant(at))
    # A spell that was found without an end is good for some time and holds after that too.
    return None if not holds or hours.holds(end) else end


def endless(user: User, intervals: Mapping[str, TimeInterval]) -> bool:
    """Whether a person's quiet hours hold at every moment of four years. Which four does not matter, unless an interval names years."""
    hours = _together(tuple(intervals[name] for name in user.quiet_hours), user.timezone)
    return hours.holds(_SOME_TIME) and hours.changes(_SOME_TIME) is None


@lru_cache(maxsize=1024)
def _together(intervals: tuple[TimeInterval, ...], zone: str) -> TimeInterval:
    """One interval that holds while any of these does, on the clock of a zone where they name no place of their own."""
    entries = (entry if entry.location else replace(entry, location=zone) for interval in intervals for entry in interval.entries)
    return TimeInterval("quiet hours", tuple(entries))
