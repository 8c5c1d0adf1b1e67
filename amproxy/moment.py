"""The TIME of a command: RFC 3339, or what a clock on the wall shows."""

from __future__ import annotations

import re
from datetime import datetime
from zoneinfo import ZoneInfo

from amproxy import zones
from amproxy.clock import utc

_GRAMMAR = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[-+]\d\d:\d\d)?)?", re.ASCII)


def parse(text: str | None, zone: str, now: float) -> datetime:
    """The moment that is meant, in UTC; None = now (Unix seconds). A time without offset is of `zone`, a date alone its midnight.

    Raises ValueError with the reason.
    """
    return fixed(read(text, now), zone)


def read(text: str | None, now: float) -> datetime:
    """The same before the zone is known: naive where no offset is written. Raises ValueError with the reason."""
    if text is None:
        return utc(now)
    cleaned = text.strip().upper()
    if not _GRAMMAR.fullmatch(cleaned):
        raise ValueError(f"{text!r} is no time: expected one such as 2026-01-05T09:00 or 2026-01-05T09:00:00Z")
    try:
        return datetime.fromisoformat(cleaned)
    except ValueError as error:
        raise ValueError(f"{text!r} is no time: {error}") from None


def fixed(time: datetime, zone: str) -> datetime:
    """A time as `read` gives it → the moment in UTC; one without offset is of `zone`."""
    return zones.instant(time) if time.tzinfo else zones.moment(time, ZoneInfo(zone))
