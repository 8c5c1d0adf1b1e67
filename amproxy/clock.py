"""The one place where the time of day is read. Everything that decides takes `now` as an argument."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now() -> float:
    """Unix seconds."""
    return time.time()


def utc(seconds: float) -> datetime:
    """Unix seconds → aware datetime in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def rfc3339(seconds: float | None) -> str | None:
    """Unix seconds → RFC 3339 text in UTC with milliseconds ("2026-01-05T09:00:00.000Z"); None stays None."""
    return None if seconds is None else utc(seconds).isoformat(timespec="milliseconds").replace("+00:00", "Z")
