"""Hours on call and times of pages as day, night or weekend, on a person's own clock. Pure.

A night is 22:00 to 06:00, a weekend Saturday and Sunday; what is both counts as weekend. Elapsed
time is counted, so that the night of a clock change has an hour more or less.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from amproxy.times import to_utc

Daytime = Literal["day", "night", "weekend"]

DAYTIMES: tuple[Daytime, ...] = ("day", "night", "weekend")
NIGHT_START_HOUR, NIGHT_END_HOUR = 22, 6  # hours on the person's clock
_SATURDAY = 5
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)


class HoursPeriod(NamedTuple):
    """A period of one kind, within one calendar day."""

    start: datetime
    end: datetime  # exclusive
    kind: Daytime
    date: date  # the evening of the night, the Saturday of the weekend, the day


class Hours(NamedTuple):
    """Seconds by kind, and the number of nights and weekends."""

    night: float = 0.0
    weekend: float = 0.0
    day: float = 0.0
    nights: int = 0
    weekends: int = 0

    @property
    def total(self) -> float:
        return self.night + self.weekend + self.day


def count_hours(periods: Iterable[tuple[datetime, datetime, str]]) -> Hours:
    """The sum of periods (start, end exclusive, zone of the person), with aware times.

    Periods that overlap count twice.
    """
    seconds: dict[Daytime, float] = dict.fromkeys(DAYTIMES, 0.0)
    dates: dict[Daytime, set[date]] = {kind: set() for kind in DAYTIMES}
    for start, end, zone in periods:
        for period in split_by_kind(start, end, zone):
            seconds[period.kind] += (period.end - period.start).total_seconds()
            dates[period.kind].add(period.date)
    return Hours(**seconds, nights=len(dates["night"]), weekends=len(dates["weekend"]))


def split_by_kind(start: datetime, end: datetime, zone: str) -> Iterator[HoursPeriod]:
    """From `start` to `end` (aware) without gap or overlap, in UTC."""
    at, end, clock = to_utc(start), to_utc(end), ZoneInfo(zone)
    while at < end:
        local = at.astimezone(clock)
        until = min(end, _next_edge(at, local, clock))
        yield HoursPeriod(at, until, *_kind_and_date(local))
        at = until


def classify_daytime(at: datetime, zone: ZoneInfo) -> Daytime:
    """Return the kind of a time (aware) on the clock of `zone`."""
    return _kind_and_date(at.astimezone(zone))[0]


def night_start_date(at: datetime, zone: ZoneInfo) -> date | None:
    """The day on which the night of a time began, at the weekend too; None = it is not night."""
    local = at.astimezone(zone)
    if NIGHT_END_HOUR <= local.hour < NIGHT_START_HOUR:
        return None
    return local.date() if local.hour >= NIGHT_START_HOUR else local.date() - _DAY


def _kind_and_date(local: datetime) -> tuple[Daytime, date]:
    """The kind of a time on the person's clock, and its HoursPeriod.date."""
    day, weekday = local.date(), local.weekday()
    if weekday >= _SATURDAY:
        return "weekend", day - _DAY * (weekday - _SATURDAY)
    if local.hour >= NIGHT_START_HOUR:
        return "night", day
    return ("night", day - _DAY) if local.hour < NIGHT_END_HOUR else ("day", day)


def _next_edge(at: datetime, local: datetime, clock: ZoneInfo) -> datetime:
    """The next time (UTC) at which a night or a day starts or ends, or the clock changes."""
    wall = local.replace(tzinfo=None)
    midnight = datetime.combine(wall.date(), time())
    edge = at + next(
        then - wall
        for hour in (NIGHT_END_HOUR, NIGHT_START_HOUR, 24)
        if (then := midnight + timedelta(hours=hour)) > wall
    )
    offset = local.utcoffset()
    if edge.astimezone(clock).utcoffset() == offset:
        return edge
    # The clock changes between `at` and the edge: bisect, as zoneinfo has no list of changes.
    low, high = at, edge
    while high - low > _SECOND:
        middle = low + (high - low) // 2
        if middle.astimezone(clock).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return max(high.replace(microsecond=0), at + timedelta(microseconds=1))
