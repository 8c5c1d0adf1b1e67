"""One entry of a time interval: ranges on the calendar and the clock of one place.

Every field that is given must hold; a field holds if any of its ranges does, so one given as an empty list never holds.
"""

from __future__ import annotations

from bisect import bisect_left
from calendar import monthrange
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo

import msgspec

from amproxy.locations import location

Range = tuple[int, int]  # both ends included; of `times`, the second is excluded
Ranges = tuple[Range, ...] | None  # None: the field is not given

_MINUTE = timedelta(minutes=1)
_DAY = timedelta(days=1)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    times: Ranges = None  # minutes of the day
    weekdays: Ranges = None  # 0 = Sunday
    days_of_month: Ranges = None  # negative: from the end of the month, -1 is its last day
    months: Ranges = None
    years: Ranges = None
    location: str = ""

    def holds(self, at: datetime) -> bool:
        """Whether a moment (aware) lies inside, by the clock of the entry's place."""
        local = at.astimezone(location(self.location))
        if self.times is not None:
            minute = local.hour * 60 + local.minute
            if not any(start <= minute < end for start, end in self.times):
                return False
        return self.holds_on(local.date())

    def holds_on(self, day: date) -> bool:
        """Whether a day lies inside, whatever the time of day."""
        return (
            self._in_month(day)
            and _within(self.weekdays, day.isoweekday() % 7)
            and (self.days_of_month is None or _within_month(self.days_of_month, day))
        )

    def edges(self, first: date, last: date) -> Iterator[datetime]:
        """Every moment (UTC, in order, some twice or needlessly) from one day to another at which it may begin or cease to hold."""
        zone = location(self.location)
        day, before = first, False
        while day <= last:
            if not before and not self._in_month(day):
                day = _next_month(day)
                continue
            inside = self.holds_on(day)
            if inside and self.times is not None:
                yield from _edges_of_day(day, self.times, zone)
            elif inside != before:
                yield from _moments(day, (0,), zone)
            day, before = day + _DAY, inside

    def _in_month(self, day: date) -> bool:
        return _within(self.years, day.year) and _within(self.months, day.month)


def _within(ranges: Ranges, value: int) -> bool:
    return ranges is None or any(start <= value <= end for start, end in ranges)


def _within_month(ranges: tuple[Range, ...], day: date) -> bool:
    length = monthrange(day.year, day.month)[1]
    return any(_from_start(start, length) <= day.day <= _from_start(end, length) for start, end in ranges)


def _from_start(day: int, length: int) -> int:
    return day if day > 0 else length + 1 + day


def _next_month(day: date) -> date:
    return day.replace(day=1, month=day.month + 1) if day.month < 12 else date(day.year + 1, 1, 1)


def _edges_of_day(day: date, times: tuple[Range, ...], zone: tzinfo) -> list[datetime]:
    edges = _moments(day, {0, 24 * 60, *(minute for bounds in times for minute in bounds)}, zone)
    first, last = edges[0], edges[-1]
    if _offset(first, zone) != _offset(last, zone):  # the clock is changed on this day, perhaps into the midst of a range
        minutes = range((last - first) // _MINUTE)
        edges.append(first + _MINUTE * bisect_left(minutes, True, key=lambda n: _offset(first + _MINUTE * n, zone) == _offset(last, zone)))
        edges.sort()
    return edges


def _moments(day: date, minutes: Iterable[int], zone: tzinfo) -> list[datetime]:
    """The moments, in order, at which the zone's clock shows these minutes of a day: two each where it shows them twice."""
    midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 the zone follows
    bounds = [wall.replace(tzinfo=zone, fold=fold) for wall in (midnight, midnight + _DAY) for fold in (0, 1)]
    if len({bound.utcoffset() for bound in bounds}) == 1:  # the clock is not changed on this day, as on nearly all
        first = bounds[0].astimezone(UTC)
        return [first + _MINUTE * minute for minute in sorted(minutes)]
    walls = [(midnight + _MINUTE * minute).replace(tzinfo=zone, fold=fold) for minute in minutes for fold in (0, 1)]
    return sorted({wall.astimezone(UTC) for wall in walls})


def _offset(at: datetime, zone: tzinfo) -> timedelta | None:
    return at.astimezone(zone).utcoffset()
