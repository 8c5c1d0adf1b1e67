"""Formats of times for a reader: the hours of their clock, and what of a date comes first. Pure."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final, Literal, NamedTuple, get_args

ClockName = Literal["24", "12"]
CLOCKS: Final = get_args(ClockName)

# Of regions where English is written: CLDR's "hour cycle" h12, and its dates "Dec 1, 2026".
_TWELVE_HOURS: Final = frozenset(["US", "CA", "AU", "NZ", "IN", "PK", "PH", "SG", "MY", "HK", "BD"])
_MONTH_FIRST: Final = frozenset(["US", "CA", "PH"])


class TimeFormat(NamedTuple):
    """By default that of texts whose reader is not known: 1 Dec, 14:05."""

    twelve_hours: bool = False
    month_first: bool = False


DEFAULT_FORMAT: Final = TimeFormat()


def choose_format(language: str, accepted: str, clock: str) -> TimeFormat:
    """The format of a reader: that of the region which their browser names with the language.

    accepted: the header Accept-Language. clock: the one of CLOCKS that the reader has chosen, or
    "". Without a region, and in other languages than English, it is the clock of 24 hours.
    """
    tags = [tag.partition(";")[0].strip().partition("-") for tag in accepted.split(",")]
    regions = [region.upper() for name, _, region in tags if name.lower() == language == "en"]
    region = next(filter(None, regions), "")
    twelve = clock == "12" if clock in CLOCKS else region in _TWELVE_HOURS
    return TimeFormat(twelve, region in _MONTH_FIRST)


def clock_text(at: datetime, times: TimeFormat) -> str:
    """The time on a clock: "14:05", "2:05 PM"."""
    if not times.twelve_hours:
        return f"{at:%H:%M}"
    # a no-break space: a line must not end between the two
    return f"{at.hour % 12 or 12}:{at:%M}\N{NO-BREAK SPACE}{_half(at)}"


def hour_text(at: datetime, times: TimeFormat) -> str:
    """A whole hour on a narrow scale: "14:00", "2 PM"."""
    if not times.twelve_hours or at.minute:
        return clock_text(at, times)
    return f"{at.hour % 12 or 12}\N{NO-BREAK SPACE}{_half(at)}"


def date_text(day: date, month: str, times: TimeFormat) -> str:
    """A day of the year: "5 Jan", "Jan 5". month: its name."""
    return f"{month} {day.day}" if times.month_first else f"{day.day} {month}"


def _half(at: datetime) -> str:
    return "AM" if at.hour < 12 else "PM"
