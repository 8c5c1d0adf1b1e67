"""Readers of wall-clock times, time zones and Go's durations."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from amproxy.config.read.cursor import Cursor, hint
from amproxy.config.read.quantities import Duration
from amproxy.config.read.values import name, shown, text

_MOMENT = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?(?:Z|[-+]\d\d:\d\d)?)?")
_GO = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_GO_UNITS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


class GoDuration(Duration):
    """Seconds that print as a Go duration."""

    def __str__(self) -> str:
        return f"{float(self):g}s"


def moment(at: Cursor) -> datetime | None:
    """`2026-01-05T09:00`, with or without seconds or an offset, or a date alone. Naive where no offset is written."""
    found = text(at)
    if found is None:
        return None
    try:
        if not _MOMENT.fullmatch(found):
            raise ValueError
        return datetime.fromisoformat(found)
    except ValueError:
        at.error(f"expected a date and time such as 2026-01-05T09:00, found {shown(at)}")
        return None


def wall(found: datetime, zone: str) -> datetime:
    """A moment as the clock of a zone shows it, naive; a naive one is that already."""
    return found if found.tzinfo is None else found.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def timezone(at: Cursor) -> str | None:
    """A name of the tz database."""
    found = name(at)
    if found is None:
        return None
    try:
        ZoneInfo(found)
    except (KeyError, ValueError, OSError):  # unknown; not a name at all; a folder of the database, such as "Europe"
        at.error(f"there is no time zone {shown(at)}{hint(found, frozenset(available_timezones()))}")
        return None
    return found


def go_duration(at: Cursor) -> GoDuration | None:
    """A duration as Go writes it (`1m30s`, `1.5h`), which Alertmanager takes in a few places; a number alone is nanoseconds."""
    found = text(at)
    if found is None:
        return None
    if found.isdecimal() and found.isascii():
        return GoDuration(int(found) / 1e9)
    parts = _GO.findall(found)
    if not parts or "".join(number + unit for number, unit in parts) != found:
        at.error(f"expected a duration such as 10s or 1m30s, found {shown(at)}")
        return None
    return GoDuration(sum(float(number) * _GO_UNITS[unit] for number, unit in parts))
