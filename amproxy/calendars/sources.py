"""Where the calendars of the file come from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

from amproxy.config.structs import Config
from amproxy.secret import Secret

LARGEST = 10 * 1024 * 1024  # bytes of a calendar's text


class Source(NamedTuple):
    """One calendar of one schedule: at an address or in a file."""

    schedule: str
    is_override: bool  # the overrides calendar
    url: Secret
    file: str
    zone: str  # the schedule's
    refresh: float  # seconds between two looks

    @property
    def id(self) -> str:
        """What it is called in Redis: the address itself is a secret. Schedules with the same address share its text."""
        return hashlib.sha256((self.url.reveal() or f"file {self.file}").encode()).hexdigest()[:32]

    @property
    def key(self) -> tuple[str, str]:
        """Two with the same key are worked out to the same."""
        return self.id, self.zone

    def __str__(self) -> str:
        return f"the {'overrides ' if self.is_override else ''}calendar of schedule {self.schedule}"


def sources(config: Config) -> Iterator[Source]:
    """All calendars of the file, in its order."""
    for name, schedule in config.schedules.items():
        if schedule.ical is None:
            continue
        ical = schedule.ical
        yield Source(name, False, ical.url, ical.file, schedule.timezone, ical.refresh)
        if ical.overrides_url or ical.overrides_file:
            yield Source(name, True, ical.overrides_url, ical.overrides_file, schedule.timezone, ical.refresh)
