"""Hours on call as pay reckons them: nights, weekends and days on a person's own clock. Pure.

A night is 22:00 to 06:00, a weekend Saturday and Sunday, each as the clock of the person's zone shows it; an hour that is
both counts as weekend. What passes is counted, so that the night of a clock change has an hour more or less.

When in a person's life a page comes: by day, in the night, at the weekend.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from amproxy.times import to_utc

HoursKind = Literal["night", "weekend", "day"]

NIGHT_HOURS = (22, 6)  # hours of the clock: from, to
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)


class HoursPeriod(NamedTuple):
    """A stretch of one kind, within one calendar day."""

    start: datetime
    end: datetime  # exclusive
    kind: HoursKind
    of: date  # the evening of the night, the Saturday of the weekend, the day


class Hours(NamedTuple):
    """Seconds by kind, and on how many nights and weekends."""

    night: float = 0.0
    weekend: float = 0.0
    day: float = 0.0
    nights: int = 0
    weekends: int = 0

    @property
    def total(self) -> float:
        return self.night + self.weekend + self.day


def count_hours(spans: Iterable[tuple[datetime, datetime, str]]) -> Hours:
    """The sum of spans (start, end exclusive, zone of the person), moments aware. Spans that overlap count twice."""
    seconds: dict[HoursKind, float] = {"night": 0.0, "weekend": 0.0, "day": 0.0}
    which: dict[HoursKind, set[date]] = {"night": set(), "weekend": set(), "day": set()}
    for start, end, zone in spans:
        for part in split_by_kind(start, end, zone):
            seconds[part.kind] += (part.end - part.start).total_seconds()
            which[part.kind].add(part.of)
    return Hours(seconds["night"], seconds["weekend"], seconds["day"], len(which["night"]), len(which["weekend"]))


def split_by_kind(start: datetime, end: datetime, zone: str) -> Iterator[HoursPeriod]:
    """From `start` to `end` (aware) without gap or overlap, in UTC."""
    at, end, clock = to_utc(start), to_utc(end), ZoneInfo(zone)
    while at < end:
        local = at.astimezone(clock)
        until = min(end, _next_edge(at, local, clock))
        yield HoursPeriod(at, until, *_kind_at(local))
        at = until


def _kind_at(local: datetime) -> tuple[HoursKind, date]:
    day, weekday = local.date(), local.weekday()
    if weekday >= 5:
        return "weekend", day - _DAY * (weekday - 5)
    if local.hour >= NIGHT_HOURS[0]:
        return "night", day
    return ("night", day - _DAY) if local.hour < NIGHT_HOURS[1] else ("day", day)


def _next_edge(at: datetime, local: datetime, clock: ZoneInfo) -> datetime:
    """The next moment (UTC) at which the clock shows the start or end of a night or of a day, or is itself changed."""
    shown = local.replace(tzinfo=None)
    midnight = datetime.combine(shown.date(), time())
    edge = at + next(wall - shown for hour in (NIGHT_HOURS[1], NIGHT_HOURS[0], 24) if (wall := midnight + timedelta(hours=hour)) > shown)
    offset = local.utcoffset()
    if edge.astimezone(clock).utcoffset() == offset:
        return edge
    low, high = at, edge  # the clock is changed after the one and not after the other
    while high - low > _SECOND:
        middle = low + (high - low) // 2
        low, high = (middle, high) if middle.astimezone(clock).utcoffset() == offset else (low, middle)
    return max(high.replace(microsecond=0), at + timedelta(microseconds=1))


Daytime = Literal["day", "night", "weekend"]

DAYTIMES: tuple[Daytime, ...] = ("day", "night", "weekend")
NIGHT_START_HOUR, NIGHT_END_HOUR = 22, 6  # hours on the person's clock
_SATURDAY = 5


def classify_daytime(at: datetime, zone: ZoneInfo) -> Daytime:
    """Which it is at a moment (aware) on the clock of `zone`. The weekend is Saturday and Sunday, and wins over the night."""
    shown = at.astimezone(zone)
    if shown.weekday() >= _SATURDAY:
        return "weekend"
    return "day" if NIGHT_END_HOUR <= shown.hour < NIGHT_START_HOUR else "night"


def night_start_date(at: datetime, zone: ZoneInfo) -> date | None:
    """The day on which the night of a moment began, at the weekend too; None = it is not night."""
    shown = at.astimezone(zone)
    if NIGHT_END_HOUR <= shown.hour < NIGHT_START_HOUR:
        return None
    return shown.date() if shown.hour >= NIGHT_START_HOUR else shown.date() - timedelta(days=1)
