"""Prometheus durations: "1h30m" ↔ seconds.

Wall-clock time and moments: the two directions between what a zone's clock shows and UTC.

One rule settles both cases of a clock change: a wall-clock time happens at the first moment at which the zone's clock has
reached it. A time in a skipped hour therefore happens at the jump, a time in a repeated hour at its first pass.

The TIME of a command: RFC 3339, or what a clock on the wall shows.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from amproxy.clock import utc

_DURATION_UNITS = (
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
)
_DURATION_GRAMMAR = re.compile("".join(f"(?:(0*[0-9]{{1,19}}){unit})?" for unit, _ in _DURATION_UNITS))
_MAX_DURATION_MS = (2**63 - 1) // 1_000_000  # Prometheus counts nanoseconds in 64 bits: about 292 years
_WHOLE_ONLY_UNITS = ("y", "w")  # printed only where nothing is left over: 90d reads better than 12w6d


def parse_duration(text: str) -> float:
    """A Prometheus duration ("5m", "1h30m", "100ms", "0") in seconds.

    Units are y w d h m s ms, in that order, each at most once, with whole numbers. Raises ValueError with the reason.
    """
    if text == "0":
        return 0.0
    if not text:
        raise ValueError("empty duration")
    found = _DURATION_GRAMMAR.fullmatch(text)
    if found is None:
        raise ValueError(f"not a valid duration: {text!r} (units are y w d h m s ms, in that order, such as 1h30m)")
    total = sum(int(count.lstrip("0") or 0) * size for count, (_, size) in zip(found.groups("0"), _DURATION_UNITS, strict=True))
    if total > _MAX_DURATION_MS:
        raise ValueError(f"duration out of range: {text!r}")
    return total / 1000


def format_duration(seconds: float) -> str:
    """Seconds, to the millisecond, as Prometheus writes them: "1h30m", "90d", "0s"; a negative one has a leading minus."""
    left = round(abs(seconds) * 1000)
    if not left:
        return "0s"
    text = ""
    for unit, size in _DURATION_UNITS:
        if unit in _WHOLE_ONLY_UNITS and left % size:
            continue
        count, left = divmod(left, size)
        if count:
            text += f"{count}{unit}"
    return f"-{text}" if seconds < 0 else text


# Moments are kept between these two, inside of what datetime can hold, so that no offset and no handoff overflows.
EARLIEST = datetime(2, 1, 1, tzinfo=UTC)
LATEST = datetime(9998, 1, 1, tzinfo=UTC)
_LATEST_INPUT = datetime(9996, 1, 1, tzinfo=UTC)  # leaves room to look a year ahead

_SECOND = timedelta(seconds=1)
_MICROSECOND = timedelta(microseconds=1)


def to_utc(at: datetime) -> datetime:
    """An aware datetime in any zone → the same moment in UTC, kept within the years 2 to 9995. Raises ValueError when it is naive."""
    if at.tzinfo is None:
        raise ValueError(f"a moment needs a zone: {at.isoformat()}")
    if not EARLIEST.year <= at.year < _LATEST_INPUT.year:
        return EARLIEST if at.year < EARLIEST.year else _LATEST_INPUT
    return at.astimezone(UTC)


def wall_to_utc(wall: datetime, zone: ZoneInfo) -> datetime:
    """A naive wall-clock time of a zone → the moment in UTC at which it happens."""
    if not EARLIEST.year <= wall.year < LATEST.year:
        return EARLIEST if wall.year < EARLIEST.year else LATEST
    before, after = _zone_offset(wall.replace(tzinfo=zone, fold=0)), _zone_offset(wall.replace(tzinfo=zone, fold=1))
    first = (wall - before).replace(tzinfo=UTC, fold=0)
    if before >= after:  # shown once, or twice: then this is the first pass
        return first
    return _clock_change(zone, (wall - after).replace(tzinfo=UTC, fold=0), first)


def local_to_utc(at: datetime, zone: ZoneInfo) -> datetime:
    """The moment in UTC of a time that is given either aware, or as a naive wall-clock time of a zone."""
    return to_utc(at) if at.tzinfo else wall_to_utc(at, zone)


def utc_to_wall(at: datetime, zone: ZoneInfo) -> datetime:
    """A moment in UTC → the latest wall-clock time that the zone's clock has reached by then, naive.

    That is what the clock shows, except in the second pass of a repeated hour: all of that hour has been reached already.
    `moment(wall, zone) <= at` holds exactly when `wall <= reached(at, zone)`.
    """
    shown = at.astimezone(zone)
    if not shown.fold:
        return shown.replace(tzinfo=None)
    before = _zone_offset(shown.replace(fold=0))
    change = _clock_change(zone, at - (before - _zone_offset(shown)), at)
    return change.replace(tzinfo=None) + before - _MICROSECOND


def _clock_change(zone: ZoneInfo, low: datetime, high: datetime) -> datetime:
    """The moment after `low` and not after `high` at which the zone's clock was changed."""
    low, high = low.replace(microsecond=0), high.replace(microsecond=0)
    changed = _zone_offset(high.astimezone(zone))
    seconds = range((high - low) // _SECOND)
    return low + _SECOND * bisect_left(seconds, True, key=lambda n: _zone_offset((low + _SECOND * n).astimezone(zone)) == changed)


def _zone_offset(at: datetime) -> timedelta:
    offset = at.utcoffset()
    assert offset is not None  # a ZoneInfo always has one
    return offset


_TIME_GRAMMAR = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[-+]\d\d:\d\d)?)?", re.ASCII)


def parse_command_time(text: str | None, zone: str, now: float) -> datetime:
    """The moment that is meant, in UTC; None = now (Unix seconds). A time without offset is of `zone`, a date alone its midnight.

    Raises ValueError with the reason.
    """
    return resolve_command_time(read_command_time(text, now), zone)


def read_command_time(text: str | None, now: float) -> datetime:
    """The same before the zone is known: naive where no offset is written. Raises ValueError with the reason."""
    if text is None:
        return utc(now)
    cleaned = text.strip().upper()
    if not _TIME_GRAMMAR.fullmatch(cleaned):
        raise ValueError(f"{text!r} is no time: expected one such as 2026-01-05T09:00 or 2026-01-05T09:00:00Z")
    try:
        return datetime.fromisoformat(cleaned)
    except ValueError as error:
        raise ValueError(f"{text!r} is no time: {error}") from None


def resolve_command_time(time: datetime, zone: str) -> datetime:
    """A time as `read` gives it → the moment in UTC; one without offset is of `zone`."""
    return to_utc(time) if time.tzinfo else wall_to_utc(time, ZoneInfo(zone))
