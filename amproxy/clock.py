"""The clock and the zone of this machine, read only here; decisions take `now` as an argument.

Also the conversions of Unix seconds, and zones by name, as Alertmanager's `location` has them.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

_LOCALTIME = Path("/etc/localtime")


def now() -> float:
    """The current time in Unix seconds."""
    return time.time()


def utc(seconds: float) -> datetime:
    """Unix seconds → aware datetime in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def rfc3339(seconds: float | None) -> str | None:
    """Unix seconds → RFC 3339 in UTC, such as "2026-01-05T09:00:00.000Z"; None stays None."""
    if seconds is None:
        return None
    return utc(seconds).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@lru_cache(maxsize=1024)
def location(name: str) -> tzinfo:
    """The zone with a name of the tz database; "" is UTC, "Local" the zone of this machine.

    Raises ValueError for any other name.
    """
    if name == "":
        return UTC
    return _machine_zone() if name == "Local" else _named_zone(name)


def _named_zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        # In this order: unknown; not a name at all; a folder of the database, such as "Europe".
        raise ValueError(
            f"unknown location: {name!r}"
            " (expected a name of the tz database, such as Europe/Berlin)"
        ) from None


def _machine_zone() -> tzinfo:
    """The zone of the environment variable TZ, else of /etc/localtime, else UTC, as in Go."""
    try:
        if "TZ" in os.environ:
            return location(os.environ["TZ"].removeprefix(":"))
        with _LOCALTIME.open("rb") as file:
            return ZoneInfo.from_file(file)
    except (ValueError, OSError):
        return UTC
