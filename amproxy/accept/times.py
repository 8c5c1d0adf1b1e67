"""RFC 3339 as Alertmanager reads it, to nanoseconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

_FORM = re.compile(r"(\d{4}-\d\d-\d\d)([Tt ])(\d\d:\d\d:\d\d)(?:[.,](\d+))?([Zz]|[+-]\d\d:?\d\d)?", re.ASCII)
FURTHEST_NS = 2**63 - 1
ZERO = "0001-01-01T00:00:00"  # Go's zero time: "not given"


class BadTime(ValueError):
    """Not a moment that can be read; the text is for the sender."""


@lru_cache(maxsize=65536)
def parse_time(text: str | None) -> tuple[int, int] | None:
    """Nanoseconds since 1970 and the sender's offset in minutes; None where no time is given (null, Go's zero time).

    An empty text is the year 1970, a time without zone is UTC, a blank instead of T is allowed only there: all as
    Alertmanager has it. Raises BadTime.
    """
    if text is None or text.startswith(ZERO):
        return None
    if text == "":
        return 1, 0
    found = _FORM.fullmatch(text)
    if found is None:
        raise BadTime(f"{text!r} is not an RFC 3339 time")
    day, between, clock, fraction, zone = found.groups()
    if between == " " and zone:
        raise BadTime(f"{text!r} is not an RFC 3339 time: a blank may stand for T only without a zone")
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=UTC)
    except ValueError as error:
        raise BadTime(f"{text!r}: {error}") from None
    offset = _minutes(zone)
    nanoseconds = int((fraction or "0")[:9].ljust(9, "0"))
    return (int(moment.timestamp()) - offset * 60) * 10**9 + nanoseconds or 1, offset


def bounded(time: tuple[int, int] | None) -> tuple[int, int] | None:
    """Times beyond what 64 bits of nanoseconds hold (the years 1678 to 2262) count as the nearest that they do."""
    return None if time is None else (max(-FURTHEST_NS, min(time[0], FURTHEST_NS)), time[1])


def _minutes(zone: str | None) -> int:
    if zone is None or zone in "Zz":
        return 0
    hours, minutes = int(zone[1:3]), int(zone[-2:])
    if hours > 23 or minutes > 59:
        raise BadTime(f"there is no offset {zone}")
    return (hours * 60 + minutes) * (-1 if zone[0] == "-" else 1)
