"""Durations, wall-clock times and times in texts.

One rule settles both cases of a clock change: a wall-clock time happens at the first moment at
which the zone's clock has reached it. A time in a skipped hour happens at the jump, a time in a
repeated hour at its first pass.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

from amproxy.clock import utc

# Moments stay between these two, inside of what datetime can hold, so that no offset and no handoff
# overflows.
EARLIEST = datetime(2, 1, 1, tzinfo=UTC)
LATEST = datetime(9998, 1, 1, tzinfo=UTC)
_LATEST_INPUT = datetime(9996, 1, 1, tzinfo=UTC)  # leaves room to look a year ahead

_SECOND = timedelta(seconds=1)
_MICROSECOND = timedelta(microseconds=1)

_DURATION_UNITS = (  # unit, milliseconds
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
)
_DURATION_GRAMMAR = re.compile(
    "".join(f"(?:(0*[0-9]{{1,19}}){unit})?" for unit, _ in _DURATION_UNITS)
)
_MAX_DURATION_MS = (2**63 - 1) // 1_000_000  # Prometheus counts nanoseconds in 64 bits: 292 years
_WHOLE_ONLY_UNITS = ("y", "w")  # printed only where nothing is left over: 90d, not 12w6d
_ISO_TIME = re.compile(
    r"\d{4}-\d\d-\d\d"
    r"(?P<clock>[T ]\d\d:\d\d(?::\d\d(?P<fraction>\.\d+)?)?(?:Z|[-+]\d\d:\d\d)?)?",
    re.ASCII,
)

_GO_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_GO_DURATION_UNITS: Final = {
    **{"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3},
    **{"s": 1.0, "m": 60.0, "h": 3600.0},
}


class BadDuration(ValueError):
    """A text that is no duration. fault: the kind of its fault."""

    def __init__(self, fault: Literal["empty", "form", "range"], message: str) -> None:
        super().__init__(message)
        self.fault = fault


def parse_duration(text: str) -> float:
    """A Prometheus duration ("5m", "1h30m", "100ms", "0") in seconds.

    Units are y w d h m s ms, in that order, each at most once, with whole numbers. Raises
    BadDuration.
    """
    if text == "0":
        return 0.0
    if not text:
        raise BadDuration("empty", "empty duration")
    found = _DURATION_GRAMMAR.fullmatch(text)
    if found is None:
        raise BadDuration(
            "form",
            f"not a valid duration: {text!r}"
            " (units are y w d h m s ms, in that order, such as 1h30m)",
        )
    total = sum(
        int(count.lstrip("0") or 0) * size
        for count, (_, size) in zip(found.groups("0"), _DURATION_UNITS, strict=True)
    )
    if total > _MAX_DURATION_MS:
        raise BadDuration("range", f"duration out of range: {text!r}")
    return total / 1000


def parse_go_duration(text: str) -> float:
    """A duration as Go writes it (`1m30s`, `1.5h`, `0`) in seconds. Raises ValueError."""
    if text == "0":
        return 0.0
    parts = _GO_DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is no duration such as 30s or 1m30s")
    return sum(float(number) * _GO_DURATION_UNITS[unit] for number, unit in parts)


def format_duration(seconds: float) -> str:
    """Seconds, to the millisecond, as Prometheus writes them: "1h30m", "90d", "0s", "-5m"."""
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


def to_utc(at: datetime) -> datetime:
    """An aware datetime in any zone → the same moment in UTC, limited to the years 2 to 9995.

    Raises ValueError for a naive one.
    """
    if at.tzinfo is None:
        raise ValueError(f"a moment needs a zone: {at.isoformat()}")
    if not EARLIEST.year <= at.year < _LATEST_INPUT.year:
        return EARLIEST if at.year < EARLIEST.year else _LATEST_INPUT
    return at.astimezone(UTC)


def wall_to_utc(wall: datetime, zone: ZoneInfo) -> datetime:
    """A naive wall-clock time of a zone → its moment in UTC."""
    if not EARLIEST.year <= wall.year < LATEST.year:
        return EARLIEST if wall.year < EARLIEST.year else LATEST
    before, after = (_zone_offset(wall.replace(tzinfo=zone, fold=fold)) for fold in (0, 1))
    first = (wall - before).replace(tzinfo=UTC, fold=0)
    if before >= after:  # the clock shows it once, or twice: then this is the first pass
        return first
    # The clock skips it: it happens at the jump.
    return _clock_change(zone, (wall - after).replace(tzinfo=UTC, fold=0), first)


def local_to_utc(at: datetime, zone: ZoneInfo) -> datetime:
    """An aware datetime, or a naive wall-clock time of a zone → its moment in UTC."""
    return to_utc(at) if at.tzinfo else wall_to_utc(at, zone)


def utc_to_wall(at: datetime, zone: ZoneInfo) -> datetime:
    """A moment in UTC → the latest wall-clock time, naive, that the zone's clock has reached.

    It is the time on the clock, except in the second pass of a repeated hour, all of which has been
    reached already. `wall_to_utc(wall, zone) <= at` is true exactly when
    `wall <= utc_to_wall(at, zone)`.
    """
    shown = at.astimezone(zone)
    if not shown.fold:
        return shown.replace(tzinfo=None)
    before = _zone_offset(shown.replace(fold=0))
    change = _clock_change(zone, at - (before - _zone_offset(shown)), at)
    return change.replace(tzinfo=None) + before - _MICROSECOND


def _clock_change(zone: ZoneInfo, low: datetime, high: datetime) -> datetime:
    """The moment after `low` and not after `high` at which the zone's clock changed."""
    low, high = low.replace(microsecond=0), high.replace(microsecond=0)
    changed = _zone_offset(high.astimezone(zone))
    seconds = range((high - low) // _SECOND)
    return low + _SECOND * bisect_left(
        seconds, True, key=lambda n: _zone_offset((low + _SECOND * n).astimezone(zone)) == changed
    )


def _zone_offset(at: datetime) -> timedelta:
    offset = at.utcoffset()
    assert offset is not None  # a ZoneInfo always has one
    return offset


def parse_iso_time(text: str, *, date_alone: bool = True, fraction: bool = True) -> datetime:
    """Read `2026-01-05T09:00`, with or without seconds, a fraction of them, or an offset.

    A blank may stand for T; letters are capitals. Naive where no offset is written; a date alone is
    its midnight. Raises ValueError with the reason.
    """
    # datetime.fromisoformat alone would take weeks, hours alone and times without separators.
    found = _ISO_TIME.fullmatch(text)
    if not found or not (found["clock"] or date_alone) or (found["fraction"] and not fraction):
        raise ValueError("expected one such as 2026-01-05T09:00 or 2026-01-05T09:00:00Z")
    return datetime.fromisoformat(text)


def parse_command_time(text: str | None, zone: str, now: float) -> datetime:
    """The moment in UTC of a command's TIME; None = now (Unix seconds).

    A time without offset is of `zone`, a date alone is its midnight. Raises ValueError with the
    reason.
    """
    return resolve_command_time(read_command_time(text, now), zone)


def read_command_time(text: str | None, now: float) -> datetime:
    """A command's TIME before its zone is known: naive without an offset. Raises ValueError."""
    if text is None:
        return utc(now)
    try:
        return parse_iso_time(text.strip().upper())
    except ValueError as error:
        raise ValueError(f"{text!r} is no time: {error}") from None


def resolve_command_time(time: datetime, zone: str) -> datetime:
    """A time of `read_command_time` → its moment in UTC; one without offset is of `zone`."""
    return local_to_utc(time, ZoneInfo(zone))
