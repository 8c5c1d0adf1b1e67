"""Calendars in files beside the configuration, and how much of a calendar is worked out."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from amproxy.calendars.sources import LARGEST
from amproxy.errors import BadCalendar
from amproxy.zones import instant

BEHIND, AHEAD = timedelta(days=400), timedelta(days=800)


def window(at: datetime) -> tuple[datetime, datetime]:
    """The time around a moment for which a calendar is worked out, from midnight to midnight in UTC."""
    day = instant(at).replace(hour=0, minute=0, second=0, microsecond=0)
    return instant(day - BEHIND), instant(day + AHEAD)


def read(file: str) -> bytes:
    """The text of a calendar's file, cut off behind the size that is refused. Raises BadCalendar."""
    try:
        with Path(file).open("rb") as opened:
            return opened.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        raise BadCalendar(f"the file cannot be read: {_reason(error)}") from None


def stamp(file: str) -> tuple[int, int] | None:
    """Changes when the file does; None = it is not there."""
    try:
        found = Path(file).stat()
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size


def _reason(error: OSError | ValueError) -> str:
    return (isinstance(error, OSError) and error.strerror) or "it is no usable path"
