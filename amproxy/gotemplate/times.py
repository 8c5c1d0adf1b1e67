"""Go's time.Time, with nanoseconds, any year, and a place that it is told in."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from amproxy.gotemplate.durations import (
    DURATION,
    SECOND,
    bounded,
    rounded,
    wrapped,
)
from amproxy.gotemplate.errors import GoCallError
from amproxy.gotemplate.layouts import MONTHS, WEEKDAYS, format_time
from amproxy.gotemplate.values import (
    INT,
    STRING,
    Function,
    GoType,
    Int64,
    Pointer,
    TypeKind,
    pointer_to,
)

_DAY = 86_400
# Days from 1 January of the year 1 to 1 January 1970; 400 years have always as many days.
_EPOCH_DAYS = 719_162
_CYCLE_DAYS, _CYCLE_YEARS = 146_097, 400
_ZERO_SECONDS = -_EPOCH_DAYS * _DAY
_FIRST = datetime(1, 1, 2, tzinfo=UTC)
_LAST = datetime(9999, 12, 30, tzinfo=UTC)
_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:(Z)|([+-])(\d\d):(\d\d))"
)


@dataclass(frozen=True, slots=True)
class GoLocation:
    """A place: its name, and its rules or its fixed abbreviation and offset in seconds."""

    name: str
    rules: tzinfo | None = field(default=None, repr=False)
    abbreviation: str = ""
    seconds: int = 0
    go_type: ClassVar[GoType]

    def at(self, unix: int) -> tuple[str, int, bool]:
        """Abbreviation, offset and summer time at a moment in seconds since 1970."""
        if self.rules is None:
            return self.abbreviation, self.seconds, False
        # Beyond the years of datetime the rules of its ends hold.
        inside = min(max(unix, int(_FIRST.timestamp())), int(_LAST.timestamp()))
        local = datetime.fromtimestamp(inside, UTC).astimezone(self.rules)
        offset = local.utcoffset() or timedelta()
        return local.tzname() or "", int(offset.total_seconds()), bool(local.dst())


GO_UTC = GoLocation("UTC", abbreviation="UTC")
GO_LOCAL = GoLocation("Local", abbreviation="UTC")


@lru_cache(maxsize=256)
def location(name: str) -> GoLocation:
    """The place of a name of the time zone database. Raises GoCallError."""
    if name in ("", "UTC"):
        return GO_UTC
    if name == "Local":
        return GO_LOCAL
    if ".." in name or name[0] in "/\\":
        raise GoCallError("time: invalid location name")
    try:
        return GoLocation(name, ZoneInfo(name))
    except (KeyError, ValueError, OSError):
        # ZoneInfoNotFoundError is a KeyError; OSError comes of a name that is a folder.
        raise GoCallError(f"unknown time zone {name}") from None


class GoMonth(int):
    """Go's time.Month, from 1."""

    go_type: ClassVar[GoType]

    def __str__(self) -> str:
        return MONTHS[self - 1] if 1 <= self <= 12 else f"%!Month({int(self)})"


class GoWeekday(int):
    """Go's time.Weekday, from 0 for Sunday."""

    go_type: ClassVar[GoType]

    def __str__(self) -> str:
        return WEEKDAYS[self] if 0 <= self <= 6 else f"%!Weekday({int(self)})"


class GoTime:
    """A moment in nanoseconds since 1970, told in a place."""

    __slots__ = (
        *("_days", "abbreviation", "date", "hour", "is_summer", "minute", "nanoseconds"),
        *("offset", "place", "second"),
    )
    go_type: ClassVar[GoType]
    hour: int
    minute: int
    second: int

    def __init__(self, nanoseconds: int, place: GoLocation = GO_UTC) -> None:
        self.nanoseconds = nanoseconds
        self.place = place
        unix = nanoseconds // SECOND
        self.abbreviation, self.offset, self.is_summer = place.at(unix)
        self._days, clock = divmod(unix + self.offset, _DAY)
        self.hour, clock = divmod(clock, 3600)
        self.minute, self.second = divmod(clock, 60)
        self.date = _date_of(self._days)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, GoTime)
            and self.nanoseconds == other.nanoseconds
            and self.place == other.place
        )

    def __hash__(self) -> int:
        return hash((self.nanoseconds, self.place))

    def __str__(self) -> str:
        return format_time(self, "2006-01-02 15:04:05.999999999 -0700 MST")

    def __repr__(self) -> str:
        return f"GoTime({self})"

    @property
    def year(self) -> int:
        return self.date[0]

    @property
    def month(self) -> int:
        return self.date[1]

    @property
    def day(self) -> int:
        return self.date[2]

    @property
    def weekday(self) -> int:
        return (self._days + 4) % 7

    @property
    def year_day(self) -> int:
        return self._days - days_of(self.date[0], 1, 1) + 1

    @property
    def nanosecond(self) -> int:
        return self.nanoseconds % SECOND

    def moved(self, nanoseconds: int) -> GoTime:
        """The time that much later."""
        return GoTime(self.nanoseconds + nanoseconds, self.place)

    def told_in(self, place: GoLocation) -> GoTime:
        """The same moment in another place."""
        return GoTime(self.nanoseconds, place)


def _date_of(days: int) -> tuple[int, int, int]:
    """Year, month and day of a number of days since 1970."""
    ordinal = days + _EPOCH_DAYS
    cycles, rest = (0, ordinal) if 0 <= ordinal < 3_652_059 else divmod(ordinal, _CYCLE_DAYS)
    day = date.fromordinal(rest + 1)
    return day.year + cycles * _CYCLE_YEARS, day.month, day.day


def days_of(year: int, month: int, day: int) -> int:
    """Days since 1970 of a date; months and days beyond their ends run on."""
    years, month = divmod(month - 1, 12)
    year += years
    cycles, rest = divmod(year - 1, _CYCLE_YEARS)
    first = date(rest + 1, month + 1, 1).toordinal() - 1
    return first + cycles * _CYCLE_DAYS - _EPOCH_DAYS + day - 1


def local_time(days: int, seconds: int, nanoseconds: int, place: GoLocation) -> GoTime:
    """The time at which clocks of a place show a moment: days since 1970, and seconds of it."""
    unix = days * _DAY + seconds
    # Near a change of the offset the guess by the offset of one side is tried on the other.
    offset = place.at(unix)[1]
    other = place.at(unix - offset)[1]
    if other != offset:
        offset = other
    return GoTime((unix - offset) * SECOND + nanoseconds, place)


ZERO_TIME = GoTime(_ZERO_SECONDS * SECOND)


def from_rfc3339(text: str) -> GoTime:
    """The time of a text as JSON has it. Raises ValueError."""
    found = _RFC3339.fullmatch(text)
    if found is None:
        raise ValueError(f"no time as RFC 3339 has it: {text!r}")
    year, month, day, hour, minute, second = (int(found[number]) for number in range(1, 7))
    date(year or 4, month, day)  # refuses days that the month does not have
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError(f"no time of a day: {text!r}")
    nanoseconds = int((found[7] or "0")[:9].ljust(9, "0"))
    offset = 0
    if not found[8]:
        offset = (int(found[10]) * 60 + int(found[11])) * (60 if found[9] == "+" else -60)
    unix = days_of(year, month, day) * _DAY + hour * 3600 + minute * 60 + second - offset
    place = GoLocation("", seconds=offset) if offset else GO_UTC
    return GoTime(unix * SECOND + nanoseconds, place)


def _go_string(moment: GoTime) -> str:
    place = {"UTC": "time.UTC", "Local": "time.Local"}.get(
        moment.place.name, f'time.Location("{moment.place.name}")'
    )
    return (
        f"time.Date({moment.year}, time.{MONTHS[moment.month - 1]}, {moment.day}, {moment.hour},"
        f" {moment.minute}, {moment.second}, {moment.nanosecond}, {place})"
    )


def _add_date(moment: GoTime, years: int, months: int, days: int) -> GoTime:
    try:
        day = days_of(moment.year + years, moment.month + months, moment.day + days)
        clock = moment.hour * 3600 + moment.minute * 60 + moment.second
        return local_time(day, clock, moment.nanosecond, moment.place)
    except (OverflowError, ValueError) as error:
        raise GoCallError("time out of range") from error


def _since_zero(moment: GoTime) -> int:
    return moment.nanoseconds - _ZERO_SECONDS * SECOND


def _round(moment: GoTime, step: int) -> GoTime:
    since = _since_zero(moment)
    return moment.moved(rounded(since, step) - since)


def _truncate(moment: GoTime, step: int) -> GoTime:
    return moment if step <= 0 else moment.moved(-(_since_zero(moment) % step))


def _compare(moment: GoTime, other: GoTime) -> int:
    return (moment.nanoseconds > other.nanoseconds) - (moment.nanoseconds < other.nanoseconds)


MONTH = GoMonth.go_type = GoType("time.Month", TypeKind.INT, make=GoMonth)
WEEKDAY = GoWeekday.go_type = GoType("time.Weekday", TypeKind.INT, make=GoWeekday)
LOCATION = GoLocation.go_type = GoType("time.Location", TypeKind.STRUCT)
TIME = GoTime.go_type = GoType("time.Time", TypeKind.STRUCT, zero=lambda: ZERO_TIME)
MONTH.methods["String"] = Function("String", str)
WEEKDAY.methods["String"] = Function("String", str)
LOCATION.methods["String"] = Function("String", lambda place: place.name)


def _unix(divisor: int) -> Callable[[GoTime], Int64]:
    return lambda moment: Int64(wrapped(moment.nanoseconds // divisor))


def _refused(name: str, results: int, second: str = "") -> Function:
    reason = f"function {name} has {results} return values; should be 1 or 2"
    if results == 2:
        reason = (
            f"invalid function signature for {name}: second return value should be error;"
            f" is {second}"
        )
    return Function(name, lambda moment: None, refusal=reason)


def _in(moment: GoTime, place: Any) -> GoTime:
    if place is None:
        raise GoCallError("time: missing Location in call to Time.In")
    return moment.told_in(place.target)


TIME.methods |= {
    method.name: method
    for method in (
        Function("String", str),
        Function("GoString", _go_string),
        Function("Format", format_time, (STRING,)),
        Function("Unix", _unix(SECOND)),
        Function("UnixMilli", _unix(1_000_000)),
        Function("UnixMicro", _unix(1000)),
        Function("UnixNano", _unix(1)),
        Function("UTC", lambda moment: moment.told_in(GO_UTC)),
        Function("Local", lambda moment: moment.told_in(GO_LOCAL)),
        Function("In", _in, (pointer_to(LOCATION),)),
        Function("Location", lambda moment: Pointer(moment.place)),
        Function("IsDST", lambda moment: moment.is_summer),
        Function("IsZero", lambda moment: moment.nanoseconds == ZERO_TIME.nanoseconds),
        Function("Add", lambda moment, length: moment.moved(length), (DURATION,)),
        Function("AddDate", _add_date, (INT, INT, INT)),
        Function(
            "Sub",
            lambda moment, other: bounded(moment.nanoseconds - other.nanoseconds),
            (TIME,),
        ),
        Function("After", lambda moment, other: _compare(moment, other) > 0, (TIME,)),
        Function("Before", lambda moment, other: _compare(moment, other) < 0, (TIME,)),
        Function("Equal", lambda moment, other: _compare(moment, other) == 0, (TIME,)),
        Function("Compare", _compare, (TIME,)),
        Function("Round", _round, (DURATION,)),
        Function("Truncate", _truncate, (DURATION,)),
        Function("Year", lambda moment: moment.year),
        Function("Month", lambda moment: GoMonth(moment.month)),
        Function("Day", lambda moment: moment.day),
        Function("Weekday", lambda moment: GoWeekday(moment.weekday)),
        Function("YearDay", lambda moment: moment.year_day),
        Function("Hour", lambda moment: moment.hour),
        Function("Minute", lambda moment: moment.minute),
        Function("Second", lambda moment: moment.second),
        Function("Nanosecond", lambda moment: moment.nanosecond),
        _refused("Date", 3),
        _refused("Clock", 3),
        _refused("ISOWeek", 2, "int"),
        _refused("Zone", 2, "int"),
    )
}
