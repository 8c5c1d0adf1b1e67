"""Wall-clock time and moments: the two directions between what a zone's clock shows and UTC.

One rule settles both cases of a clock change: a wall-clock time happens at the first moment at which the zone's clock has
reached it. A time in a skipped hour therefore happens at the jump, a time in a repeated hour at its first pass.
"""

from __future__ import annotations

from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

# Moments are kept between these two, inside of what datetime can hold, so that no offset and no handoff overflows.
EARLIEST = datetime(2, 1, 1, tzinfo=UTC)
LATEST = datetime(9998, 1, 1, tzinfo=UTC)
_LATEST_ASKED = datetime(9996, 1, 1, tzinfo=UTC)  # leaves room to look a year ahead

_SECOND = timedelta(seconds=1)
_INSTANT = timedelta(microseconds=1)


def instant(at: datetime) -> datetime:
    """An aware datetime in any zone → the same moment in UTC, kept within the years 2 to 9995. Raises ValueError when it is naive."""
    if at.tzinfo is None:
        raise ValueError(f"a moment needs a zone: {at.isoformat()}")
    if not EARLIEST.year <= at.year < _LATEST_ASKED.year:
        return EARLIEST if at.year < EARLIEST.year else _LATEST_ASKED
    return at.astimezone(UTC)


def moment(wall: datetime, zone: ZoneInfo) -> datetime:
    """A naive wall-clock time of a zone → the moment in UTC at which it happens."""
    if not EARLIEST.year <= wall.year < LATEST.year:
        return EARLIEST if wall.year < EARLIEST.year else LATEST
    before, after = _offset(wall.replace(tzinfo=zone, fold=0)), _offset(wall.replace(tzinfo=zone, fold=1))
    first = (wall - before).replace(tzinfo=UTC, fold=0)
    if before >= after:  # shown once, or twice: then this is the first pass
        return first
    return _change(zone, (wall - after).replace(tzinfo=UTC, fold=0), first)


def happens(at: datetime, zone: ZoneInfo) -> datetime:
    """The moment in UTC of a time that is given either aware, or as a naive wall-clock time of a zone."""
    return instant(at) if at.tzinfo else moment(at, zone)


def reached(at: datetime, zone: ZoneInfo) -> datetime:
    """A moment in UTC → the latest wall-clock time that the zone's clock has reached by then, naive.

    That is what the clock shows, except in the second pass of a repeated hour: all of that hour has been reached already.
    `moment(wall, zone) <= at` holds exactly when `wall <= reached(at, zone)`.
    """
    shown = at.astimezone(zone)
    if not shown.fold:
        return shown.replace(tzinfo=None)
    before = _offset(shown.replace(fold=0))
    change = _change(zone, at - (before - _offset(shown)), at)
    return change.replace(tzinfo=None) + before - _INSTANT


def _change(zone: ZoneInfo, low: datetime, high: datetime) -> datetime:
    """The moment after `low` and not after `high` at which the zone's clock was changed."""
    low, high = low.replace(microsecond=0), high.replace(microsecond=0)
    changed = _offset(high.astimezone(zone))
    seconds = range((high - low) // _SECOND)
    return low + _SECOND * bisect_left(seconds, True, key=lambda n: _offset((low + _SECOND * n).astimezone(zone)) == changed)


def _offset(at: datetime) -> timedelta:
    offset = at.utcoffset()
    assert offset is not None  # a ZoneInfo always has one
    return offset
