"""The calendars of one process as they are worked out: what its roster goes by."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import NamedTuple

from amproxy.calendars.files import window
from amproxy.calendars.sources import Source, sources
from amproxy.calendars.worker import worked_out
from amproxy.clock import utc
from amproxy.context import Context
from amproxy.oncall.calendars import Calendar, Calendars

STALE = timedelta(days=1)  # the time that is worked out moves on with the clock
WORKERS = 2  # at the same time


class _Kept(NamedTuple):
    calendar: Calendar
    text: object  # what tells its text from another: a digest, or the stamp of a file


class Held:
    """What is worked out here is in the context's roster at once."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._kept: dict[tuple[str, str], _Kept] = {}  # by Source.key
        self._workers = asyncio.Semaphore(WORKERS)

    def is_fresh(self, source: Source, text: object) -> bool:
        """Whether this text is what the roster goes by, around the present time."""
        kept = self._kept.get(source.key)
        return kept is not None and kept.text == text and kept.calendar.start >= self._window()[0] - STALE

    async def work_out(self, source: Source, data: bytes, text: object) -> None:
        """Go by a new text. Raises BadCalendar; then what was held stays."""
        async with self._workers:
            self._kept[source.key] = _Kept(await worked_out(data, source.zone, *self._window()), text)
        self.use()

    def use(self) -> None:
        """What is held becomes what the roster says; what the file does not name any more is let go."""
        parts: dict[str, list[Calendar | None]] = {}
        wanted: dict[tuple[str, str], _Kept] = {}
        for source in sources(self._context.config):
            kept = self._kept.get(source.key)
            parts.setdefault(source.schedule, [None, None])[source.is_override] = kept.calendar if kept else None
            if kept:
                wanted[source.key] = kept
        self._kept = wanted
        before = self._context.calendars
        self._context.use_calendars({name: _same(before.get(name), *both) for name, both in parts.items()})

    def _window(self) -> tuple[datetime, datetime]:
        return window(utc(self._context.now()))


def _same(before: Calendars | None, primary: Calendar | None, overrides: Calendar | None) -> Calendars:
    """Those of before where nothing has changed: they remember whom they name."""
    if before is not None and before.primary is primary and before.overrides is overrides:
        return before
    return Calendars(primary, overrides)
