"""Entries of time intervals as a file has them → Entry. Every scalar comes as its literal text, null as None."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from amproxy.labels.interval_entry import Entry, Range, Ranges
from amproxy.locations import location

_WEEKDAYS: Final = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_MONTHS: Final = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|(24):(00)")
_SHORTEST_MONTH: Final = 28


class BadInterval(ValueError):
    """What is wrong with a time interval. `path` leads to the part: (0, "weekdays", 1) is the second range of the first entry."""

    def __init__(self, message: str, *path: int | str) -> None:
        super().__init__(message)
        self.path = path


def parse_entry(value: Any) -> Entry:
    """One entry: a map of fields, each null or a list. Raises BadInterval with the path inside of the entry."""
    if value is None:
        return Entry()
    if not isinstance(value, dict):
        raise BadInterval("an entry of a time interval must be a map of times, weekdays, days_of_month, months, years and location")
    for key in value:
        if key not in _FIELDS and key != "location":
            raise BadInterval(f"unknown key {key!r}: an entry has times, weekdays, days_of_month, months, years and location", key)
    ranges = {key: _ranges(key, value.get(key), read) for key, read in _FIELDS.items()}
    return Entry(**ranges, location=_location(value.get("location")))


def _location(value: Any) -> str:
    if not isinstance(value, str | None):
        raise BadInterval("location must be a name of the tz database", "location")
    try:
        location(value or "")
    except ValueError as error:
        raise BadInterval(str(error), "location") from None
    return value or ""


def _ranges(key: str, value: Any, read: Callable[[Any], Range]) -> Ranges:
    if value is None:
        return None
    if not isinstance(value, list):
        raise BadInterval(f"{key} must be a list", key)
    return tuple(_at(read, part, key, position) for position, part in enumerate(value))


def _at(read: Callable[[Any], Range], part: Any, key: str, position: int) -> Range:
    try:
        return read(part)
    except BadInterval as error:
        raise BadInterval(str(error), key, position, *error.path) from None


def _times(part: Any) -> Range:
    if not isinstance(part, dict):
        raise BadInterval("a range of times must be a map of start_time and end_time")
    for key in part:
        if key not in ("start_time", "end_time"):
            raise BadInterval(f"unknown key {key!r}: a range of times has start_time and end_time", key)
    start, end = _minute(part, "start_time"), _minute(part, "end_time")
    if start >= end:
        raise BadInterval(f"{part['start_time']} is not before {part['end_time']}; a range over midnight is written as two", "end_time")
    return start, end


def _minute(part: dict[str, Any], key: str) -> int:
    text = part.get(key)
    if not text:
        raise BadInterval("both start_time and end_time must be given", *((key,) if key in part else ()))
    found = _CLOCK.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise BadInterval(f"{text!r} is not a time of day (HH:MM, 00:00 to 24:00)", key)
    hours, minutes = (group for group in found.groups() if group)
    return int(hours) * 60 + int(minutes)


def _weekdays(part: Any) -> Range:
    return _forward(part, *_bounds(part, _weekday))


def _days_of_month(part: Any) -> Range:
    start, end = _bounds(part, _day_of_month)
    if start < 0 < end:
        raise BadInterval(f"{part}: where the first day counts from the end of the month, the last must too")
    # Whatever the month, the end must not lie before the start. The shortest month decides, counted as Alertmanager does.
    first, last = (_SHORTEST_MONTH + day if day < 0 else day for day in (start, end))
    if first > last:
        raise BadInterval(f"{part}: day {end} lies before day {start}")
    return start, end


def _months(part: Any) -> Range:
    return _forward(part, *_bounds(part, _month))


def _years(part: Any) -> Range:
    return _forward(part, *_bounds(part, lambda word: _number(word, "a year")))


_FIELDS: Final[dict[str, Callable[[Any], Range]]] = {
    "times": _times,
    "weekdays": _weekdays,
    "days_of_month": _days_of_month,
    "months": _months,
    "years": _years,
}


def _bounds(part: Any, read: Callable[[str], int]) -> Range:
    """ "a:b" or "a", which is "a:a"."""
    if not isinstance(part, str):
        raise BadInterval("a range must be a text such as monday:friday")
    words = part.lower().split(":")
    if len(words) > 2:
        raise BadInterval(f"{part!r} is not a range: it has more than two ends")
    return read(words[0]), read(words[-1])


def _forward(part: str, start: int, end: int) -> Range:
    if start > end:
        raise BadInterval(f"{part!r} runs backwards (weeks begin on sunday, years in january)")
    return start, end


def _weekday(word: str) -> int:
    if word not in _WEEKDAYS:
        raise BadInterval(f"{word!r} is not a weekday (sunday to saturday, in full)")
    return _WEEKDAYS.index(word)


def _month(word: str) -> int:
    # Alertmanager takes any number here; one that is no month never holds.
    return _MONTHS.index(word) + 1 if word in _MONTHS else _number(word, "a month (january to december in full, or a number)")


def _day_of_month(word: str) -> int:
    day = _number(word, "a day of the month")
    if day == 0 or abs(day) > 31:
        raise BadInterval(f"{day} is not a day of the month (1 to 31, or -1 to -31 from its end)")
    return day


def _number(word: str, what: str) -> int:
    if not _NUMBER.fullmatch(word):
        raise BadInterval(f"{word!r} is not {what}")
    return int(word)
