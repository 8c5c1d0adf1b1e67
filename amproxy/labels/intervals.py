"""Time intervals: named periods of the calendar and the day, as Alertmanager has them.

An interval holds if any of its entries does. An entry has ranges on the calendar and the clock of
one location: each field given must hold, and a field holds if any of its ranges does, so that one
given as an empty list never holds.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from calendar import monthrange
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from heapq import merge
from typing import Any, Final

import msgspec

from amproxy.clock import location
from amproxy.times import EARLIEST, LATEST, to_utc

Range = tuple[int, int]  # both ends included; of `times`, the second is excluded
Ranges = tuple[Range, ...] | None  # None: the field is not given

WEEKDAYS: Final = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")

_MINUTE = timedelta(minutes=1)
_DAY = timedelta(days=1)
_MONTHS: Final = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")
_CLOCK_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|(24):(00)")
_SHORTEST_MONTH: Final = 28  # days
_SEARCHED_DAYS: Final = 4 * 366  # ahead: far enough for the next 29 February, except around 2100
_SLACK_DAYS: Final = 2  # a location may already, or still, have another date than UTC


class BadInterval(ValueError):
    """A fault in a time interval.

    fault: the key of its text below `problem.interval_`, with its values. `path` leads to it:
    (0, "weekdays", 1) is the second range of the first entry.
    """

    def __init__(self, fault: str, /, *path: int | str, **values: str | int) -> None:
        super().__init__(fault, path, values)
        self.fault, self.path, self.values = fault, path, values

    def below(self, *above: int | str) -> BadInterval:
        """The same fault, seen from further above."""
        return BadInterval(self.fault, *above, *self.path, **self.values)


class TimeInterval(msgspec.Struct, frozen=True):
    """A named interval; without entries it never holds.

    Moments are aware; those returned have the zone of the argument.
    """

    name: str
    entries: tuple[TimeIntervalEntry, ...] = ()

    def holds(self, at: datetime) -> bool:
        """Return True if it holds at a moment."""
        at = to_utc(at)
        return any(entry.holds(at) for entry in self.entries)

    def opens(self, at: datetime) -> datetime | None:
        """The first moment at or after `at` at which it holds; None = not within four years."""
        return at if self.holds(at) else self.changes(at)

    def changes(self, at: datetime) -> datetime | None:
        """The next moment after `at` at which it begins or ends; None = not within four years."""
        now, today = self.holds(at), to_utc(at).date()
        first, last = _shift_date(today, -_SLACK_DAYS), _shift_date(today, _SEARCHED_DAYS)
        for edge in merge(*(entry.edges(first, last) for entry in self.entries)):
            if edge > at and self.holds(edge) != now:
                return edge.astimezone(at.tzinfo)
        return None

    def edges(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """The moments (UTC, ordered) between `start` and `end` at which it may begin or end.

        At some of them nothing changes.
        """
        first, last = _shift_date(start.date(), -_SLACK_DAYS), _shift_date(end.date(), _SLACK_DAYS)
        return (
            edge
            for edge in merge(*(entry.edges(first, last) for entry in self.entries))
            if start < edge < end
        )


def _shift_date(day: date, days: int) -> date:
    wanted = day.toordinal() + days
    return date.fromordinal(min(max(wanted, EARLIEST.toordinal()), LATEST.toordinal()))


class TimeIntervalEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a time interval."""

    times: Ranges = None  # minutes of the day
    weekdays: Ranges = None  # 0 = Sunday; one that runs backwards goes over the week's end
    days_of_month: Ranges = None  # negative: -1 is the last day of the month
    months: Ranges = None
    years: Ranges = None
    location: str = ""

    def holds(self, at: datetime) -> bool:
        """Return True if a moment (aware) lies inside, by the clock of the entry's location."""
        local = at.astimezone(location(self.location))
        if self.times is not None:
            minute = local.hour * 60 + local.minute
            if not any(start <= minute < end for start, end in self.times):
                return False
        return self.holds_on(local.date())

    def holds_on(self, day: date) -> bool:
        """Return True if a day lies inside, at any time of day."""
        return (
            self._in_month(day)
            and _within_week(self.weekdays, day.isoweekday() % 7)
            and (self.days_of_month is None or _within_month(self.days_of_month, day))
        )

    def edges(self, first: date, last: date) -> Iterator[datetime]:
        """The moments (UTC, ordered) from one day to another at which it may begin or end.

        Some come twice, and at some nothing changes.
        """
        zone = location(self.location)
        day, before = first, False
        while day <= last:
            # Whole months are skipped, but for the first day after a day inside, which has an edge.
            if not before and not self._in_month(day):
                day = _next_month(day)
                continue
            inside = self.holds_on(day)
            if inside and self.times is not None:
                yield from _edges_of_day(day, self.times, zone)
            elif inside != before:
                yield from _utc_times(day, (0,), zone)
            day, before = day + _DAY, inside

    def _in_month(self, day: date) -> bool:
        return _within(self.years, day.year) and _within(self.months, day.month)


def _within(ranges: Ranges, value: int) -> bool:
    return ranges is None or any(start <= value <= end for start, end in ranges)


def _within_week(ranges: Ranges, day: int) -> bool:
    return ranges is None or any((day - start) % 7 <= (end - start) % 7 for start, end in ranges)


def _within_month(ranges: tuple[Range, ...], day: date) -> bool:
    length = monthrange(day.year, day.month)[1]
    return any(
        _day_from_month_start(start, length) <= day.day <= _day_from_month_start(end, length)
        for start, end in ranges
    )


def _day_from_month_start(day: int, length: int) -> int:
    return day if day > 0 else length + 1 + day


def _next_month(day: date) -> date:
    return day.replace(day=1, month=day.month + 1) if day.month < 12 else date(day.year + 1, 1, 1)


def _edges_of_day(day: date, times: tuple[Range, ...], zone: tzinfo) -> list[datetime]:
    edges = _utc_times(day, {0, 24 * 60, *(minute for bounds in times for minute in bounds)}, zone)
    first, last = edges[0], edges[-1]
    after = _utc_offset(last, zone)
    if _utc_offset(first, zone) != after:
        # The clock changes on this day, perhaps into the midst of a range: an edge too.
        minutes = range((last - first) // _MINUTE)
        change = bisect_left(
            minutes, True, key=lambda n: _utc_offset(first + _MINUTE * n, zone) == after
        )
        edges.append(first + _MINUTE * change)
        edges.sort()
    return edges


def _utc_times(day: date, minutes: Iterable[int], zone: tzinfo) -> list[datetime]:
    """The moments (ordered) at which the zone's clock shows these minutes of a day.

    Two each where it shows them twice.
    """
    midnight = datetime.combine(day, time())  # naive: the zone follows
    bounds = [
        wall.replace(tzinfo=zone, fold=fold)
        for wall in (midnight, midnight + _DAY)
        for fold in (0, 1)
    ]
    if len({bound.utcoffset() for bound in bounds}) == 1:
        # Fast for nearly all days: the clock does not change.
        first = bounds[0].astimezone(UTC)
        return [first + _MINUTE * minute for minute in sorted(minutes)]
    walls = [
        (midnight + _MINUTE * minute).replace(tzinfo=zone, fold=fold)
        for minute in minutes
        for fold in (0, 1)
    ]
    return sorted({wall.astimezone(UTC) for wall in walls})


def _utc_offset(at: datetime, zone: tzinfo) -> timedelta | None:
    return at.astimezone(zone).utcoffset()


def parse_time_interval(name: str, value: Any) -> TimeInterval:
    """Build an interval from the list of its entries as loaded.

    That is: lists and dicts, each scalar as its literal text, null as None. Raises BadInterval,
    whose `path` leads from the list to the fault.
    """
    if not isinstance(value, list | None):
        raise BadInterval("list", key="time_intervals")
    return TimeInterval(
        name, tuple(_parse_entry_at(position, entry) for position, entry in enumerate(value or ()))
    )


def _parse_entry_at(position: int, entry: Any) -> TimeIntervalEntry:
    try:
        return parse_entry(entry)
    except BadInterval as error:
        raise error.below(position) from None


def parse_entry(value: Any) -> TimeIntervalEntry:
    """One entry: a map of fields, each null or a list.

    Raises BadInterval with the path inside of the entry.
    """
    if value is None:
        return TimeIntervalEntry()
    if not isinstance(value, dict):
        raise BadInterval("entry")
    for key in value:
        if key not in _FIELD_PARSERS and key != "location":
            raise BadInterval("entry_key", key, key=key)
    ranges = {key: _parse_ranges(key, value.get(key), read) for key, read in _FIELD_PARSERS.items()}
    return TimeIntervalEntry(**ranges, location=_parse_location(value.get("location")))


def _parse_location(value: Any) -> str:
    if not isinstance(value, str | None):
        raise BadInterval("location", "location")
    try:
        location(value or "")
    except ValueError:
        raise BadInterval("zone", "location", location=value or "") from None
    return value or ""


def _parse_ranges(key: str, value: Any, read: Callable[[Any], Range]) -> Ranges:
    if value is None:
        return None
    if not isinstance(value, list):
        raise BadInterval("list", key, key=key)
    return tuple(_parse_range_at(read, item, key, position) for position, item in enumerate(value))


def _parse_range_at(read: Callable[[Any], Range], value: Any, key: str, position: int) -> Range:
    try:
        return read(value)
    except BadInterval as error:
        raise error.below(key, position) from None


def _parse_times(value: Any) -> Range:
    if not isinstance(value, dict):
        raise BadInterval("times")
    for key in value:
        if key not in ("start_time", "end_time"):
            raise BadInterval("times_key", key, key=key)
    start, end = _parse_minute(value, "start_time"), _parse_minute(value, "end_time")
    if start >= end:
        raise BadInterval(
            "times_order", "end_time", start=value["start_time"], end=value["end_time"]
        )
    return start, end


def _parse_minute(value: dict[str, Any], key: str) -> int:
    text = value.get(key)
    if not text:
        raise BadInterval("times_missing", *((key,) if key in value else ()))
    found = _CLOCK_TIME.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise BadInterval("time", key, value=str(text))
    hours, minutes = (group for group in found.groups() if group)
    return int(hours) * 60 + int(minutes)


def _parse_weekdays(value: Any) -> Range:
    return _parse_bounds(value, _parse_weekday)


def _parse_days_of_month(value: Any) -> Range:
    start, end = _parse_bounds(value, _parse_day_of_month)
    if start < 0 < end:
        raise BadInterval("days_mixed", value=value)
    # The end must not lie before the start in any month: the shortest decides, as in Alertmanager.
    first, last = (_SHORTEST_MONTH + day if day < 0 else day for day in (start, end))
    if first > last:
        raise BadInterval("days_order", value=value, end=end, start=start)
    return start, end


def _parse_months(value: Any) -> Range:
    return _check_order(value, *_parse_bounds(value, _parse_month))


def _parse_years(value: Any) -> Range:
    return _check_order(value, *_parse_bounds(value, lambda word: _parse_number(word, "year")))


_FIELD_PARSERS: Final[dict[str, Callable[[Any], Range]]] = {
    "times": _parse_times,
    "weekdays": _parse_weekdays,
    "days_of_month": _parse_days_of_month,
    "months": _parse_months,
    "years": _parse_years,
}


def _parse_bounds(value: Any, read: Callable[[str], int]) -> Range:
    """The ends of "a:b", or of "a", which is "a:a"."""
    if not isinstance(value, str):
        raise BadInterval("range")
    words = value.lower().split(":")
    if len(words) > 2:
        raise BadInterval("range_ends", value=value)
    return read(words[0]), read(words[-1])


def _check_order(value: str, start: int, end: int) -> Range:
    if start > end:
        raise BadInterval("range_order", value=value)
    return start, end


def _parse_weekday(word: str) -> int:
    if word not in WEEKDAYS:
        raise BadInterval("weekday", value=word)
    return WEEKDAYS.index(word)


def _parse_month(word: str) -> int:
    # Alertmanager takes any number here; one that is no month never holds.
    return _MONTHS.index(word) + 1 if word in _MONTHS else _parse_number(word, "month")


def _parse_day_of_month(word: str) -> int:
    day = _parse_number(word, "day")
    if day == 0 or abs(day) > 31:
        raise BadInterval("day_range", value=day)
    return day


def _parse_number(word: str, fault: str) -> int:
    if not _NUMBER.fullmatch(word):
        raise BadInterval(fault, value=word)
    return int(word)
