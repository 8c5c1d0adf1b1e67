"""The one place where the time of day is read. Everything that decides takes `now` as an argument.

Names of places in the tz database → zones, as Alertmanager reads the `location` of a time interval.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo


def now() -> float:
    """Unix seconds."""
    return time.time()


def utc(seconds: float) -> datetime:
    """Unix seconds → aware datetime in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def rfc3339(seconds: float | None) -> str | None:
    """Unix seconds → RFC 3339 text in UTC with milliseconds ("2026-01-05T09:00:00.000Z"); None stays None."""
    return None if seconds is None else utc(seconds).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_LOCALTIME = Path("/etc/localtime")


@lru_cache(maxsize=1024)
def location(name: str) -> tzinfo:
    """A name of the tz database → its zone; "" is UTC, "Local" the zone of this machine. Raises ValueError for other names."""
    if name == "":
        return UTC
    return _machine_zone() if name == "Local" else _named_zone(name)


def _named_zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown; not a name at all; a folder of the database, such as "Europe"
        raise ValueError(f"unknown location: {name!r} (expected a name of the tz database, such as Europe/Berlin)") from None


def _machine_zone() -> tzinfo:
    """What the environment variable TZ names, else /etc/localtime, else UTC."""
    try:
        if "TZ" in os.environ:
            return location(os.environ["TZ"].removeprefix(":"))
        with _LOCALTIME.open("rb") as file:
            return ZoneInfo.from_file(file)
    except (ValueError, OSError):
        return UTC
