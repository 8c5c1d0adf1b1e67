"""The calendars of one process as they are worked out: what its roster goes by.

The calendars that one process goes by: fetched by one of all processes, kept in Redis, worked out by each.

What became of the calendars that a schedule comes from.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from datetime import datetime, timedelta
from typing import NamedTuple

from amproxy import metrics
from amproxy.calendars import fetch as calendars_fetch
from amproxy.calendars.fetch import CalendarSource, calendar_period, calendar_sources, fetch_calendar
from amproxy.calendars.parse import parse_in_process
from amproxy.clock import utc
from amproxy.context import Context
from amproxy.errors import BadCalendar, DeliveryError, StoreUnavailable
from amproxy.notify.channels.http import HttpClients
from amproxy.oncall.calendars import OVERRIDES_CALENDAR, PRIMARY_CALENDAR, Calendar, ScheduleCalendars
from amproxy.store import calendars
from amproxy.store.calendars import StoredCalendar
from amproxy.store.leases import LeaseStore

CALENDAR_STALE_AFTER = timedelta(days=1)  # the time that is worked out moves on with the clock
MAX_PARSERS = 2  # at the same time


class _ParsedCalendar(NamedTuple):
    calendar: Calendar
    text: object  # what tells its text from another: a digest, or the stamp of a file


class ParsedCalendars:
    """What is worked out here is in the context's roster at once."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._kept: dict[tuple[str, str], _ParsedCalendar] = {}  # by Source.key
        self._workers = asyncio.Semaphore(MAX_PARSERS)

    def is_fresh(self, source: CalendarSource, text: object) -> bool:
        """Whether this text is what the roster goes by, around the present time."""
        kept = self._kept.get(source.key)
        return kept is not None and kept.text == text and kept.calendar.start >= self._window()[0] - CALENDAR_STALE_AFTER

    async def work_out(self, source: CalendarSource, data: bytes, text: object) -> None:
        """Go by a new text. Raises BadCalendar; then what was held stays."""
        async with self._workers:
            self._kept[source.key] = _ParsedCalendar(await parse_in_process(data, source.zone, *self._window()), text)
        self.use()

    def use(self) -> None:
        """What is held becomes what the roster says; what the file does not name any more is let go."""
        parts: dict[str, list[Calendar | None]] = {}
        wanted: dict[tuple[str, str], _ParsedCalendar] = {}
        for source in calendar_sources(self._context.config):
            kept = self._kept.get(source.key)
            parts.setdefault(source.schedule, [None, None])[source.is_override] = kept.calendar if kept else None
            if kept:
                wanted[source.key] = kept
        self._kept = wanted
        before = self._context.calendars
        self._context.use_calendars({name: _reuse_unchanged(before.get(name), *both) for name, both in parts.items()})

    def _window(self) -> tuple[datetime, datetime]:
        return calendar_period(utc(self._context.now()))


def _reuse_unchanged(before: ScheduleCalendars | None, primary: Calendar | None, overrides: Calendar | None) -> ScheduleCalendars:
    """Those of before where nothing has changed: they remember whom they name."""
    if before is not None and before.primary is primary and before.overrides is overrides:
        return before
    return ScheduleCalendars(primary, overrides)


log = logging.getLogger(__name__)

ROUND_PAUSES = (
    0.5,
    30.0,
)  # seconds between two rounds: at least, at most (a process may have died while it fetched, or not have heard of a text)
FETCH_LEASE = 120.0  # seconds for one fetch; should it take longer, another process fetches as well, which does no harm
MAX_FETCHES = 8  # at the same time
PARSE_RETRY_SECONDS = 3600.0  # seconds until a stored text that could not be worked out is tried again


async def calendar_ages(context: Context) -> dict[str, float]:
    """Schedule → seconds since its calendars were last good (of two, the older); without those that never were. Raises StoreUnavailable."""
    found: dict[str, float] = {}
    for source in calendar_sources(context.config):
        good_at = (await calendars.load_calendar(context.wire, source.id)).good_at
        if good_at:
            found[source.schedule] = max(found.get(source.schedule, 0.0), context.now() - good_at)
    return found


class CalendarKeeper:
    """`load` takes up what is there already; `run` keeps it fresh. What it knows is in the context's roster."""

    def __init__(self, context: Context, name: str) -> None:
        """name: of this process, for leases."""
        self._context, self._name = context, name
        self._held = ParsedCalendars(context)
        self._next_look: dict[tuple[str, ...], float] = {}  # at files, by Source.key; at stored texts that are bad, by that and the digest
        self._errors: dict[tuple[str, str], str] = {}  # what the log was told last
        self._clients, self._polling = HttpClients(), LeaseStore(context.wire)
        self._fetches = asyncio.Semaphore(MAX_FETCHES)
        self._changed = asyncio.Event()

    async def load(self) -> None:
        """Take up the files, and the texts that were stored, of the configuration that is in force; the next round is at once."""
        self._next_look.clear()
        self._held.use()
        await self._take_up_all()
        self._changed.set()

    async def heard(self, calendar_id: str) -> None:
        """A process has stored a new text."""
        await self._take_up_all(calendar_id)

    async def run(self) -> None:
        """Look at what is due, for ever; cancel to stop."""
        while True:
            self._changed.clear()
            await self._take_up_all(may_fetch=True)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._wait()):
                    await self._changed.wait()

    async def close(self) -> None:
        await self._clients.close()

    def _wait(self) -> float:
        shortest, longest = ROUND_PAUSES
        return max(shortest, min([longest, *(source.refresh / 2 for source in calendar_sources(self._context.config))]))

    async def _take_up_all(self, calendar_id: str = "", *, may_fetch: bool = False) -> None:
        """All calendars, or one; those of several schedules with one address in turn, so that the first fetches for all."""
        groups: dict[str, list[CalendarSource]] = {}
        for source in calendar_sources(self._context.config):
            if calendar_id in ("", source.id):
                groups.setdefault(source.id, []).append(source)
        await asyncio.gather(*(self._take_up(group, may_fetch) for group in groups.values()))

    async def _take_up(self, group: list[CalendarSource], may_fetch: bool) -> None:
        """Go by what there is of a calendar now."""
        async with self._fetches:
            for source in group:
                with contextlib.suppress(StoreUnavailable):  # then it stays as it is, until a later round
                    if source.file:
                        await self._look_at_file(source)
                        continue
                    kept = await calendars.load_calendar(self._context.wire, source.id)
                    if may_fetch and self._is_due(source, kept):
                        kept = await self._look_at_address(source)
                    await self._use_stored(source, kept)

    # ------------------------------------------------------------------------------------------------------- files

    async def _look_at_file(self, source: CalendarSource) -> None:
        """Each process reads its own. What came of it is in Redis all the same, where the API and the metrics look for it."""
        key, now, stamp = source.key, self._context.now(), calendars_fetch.calendar_file_stamp(source.file)
        if now < self._next_look.get(key, 0.0):
            return
        self._next_look[key] = now + source.refresh
        try:
            if not self._held.is_fresh(source, stamp):
                await self._held.work_out(source, calendars_fetch.read_calendar_file(source.file), stamp)
        except BadCalendar as error:
            self._say(source, f"{source} cannot be used: {error}")
            await calendars.save_error(self._context.wire, source.id, self._errors[key], now)
        else:
            self._errors.pop(key, None)
            await calendars.save_good(self._context.wire, source.id, now)

    # --------------------------------------------------------------------------------------------------- addresses

    def _is_due(self, source: CalendarSource, kept: StoredCalendar) -> bool:
        return self._context.now() >= kept.checked_at + source.refresh

    async def _look_at_address(self, source: CalendarSource) -> StoredCalendar:
        """Fetch it, unless another process does; returns what is known of it then. Raises StoreUnavailable."""
        lease = f"calendar:{source.id}"
        if await self._polling.lease(lease, self._name, FETCH_LEASE):
            try:
                kept = await calendars.load_calendar(self._context.wire, source.id)
                if self._is_due(source, kept):  # otherwise the one that had the lease before has just fetched it
                    await self._fetch_and_tell(source, kept)
            finally:
                await self._polling.release(lease, self._name)
        return await calendars.load_calendar(self._context.wire, source.id)

    async def _fetch_and_tell(self, source: CalendarSource, kept: StoredCalendar) -> None:
        try:
            outcome, error = await self._fetch(source, kept), ""
        except DeliveryError as refused:
            outcome, error = "failed", str(refused)
        except BadCalendar as bad:
            outcome, error = "invalid", f"{source} cannot be used: {bad}"
        metrics.calendar_fetches.labels(source.schedule, outcome).inc()
        if error:
            self._say(source, error)
            await calendars.save_error(self._context.wire, source.id, error, self._context.now())
        else:
            self._errors.pop(source.key, None)

    async def _fetch(self, source: CalendarSource, kept: StoredCalendar) -> str:
        """Returns the outcome for the metric; a text is stored once it was found good.

        Raises DeliveryError, BadCalendar, StoreUnavailable.
        """
        wire = self._context.wire
        found = await fetch_calendar(self._clients, str(source), source.url.reveal(), etag=kept.etag, modified=kept.modified)
        if found is None or calendars.text_digest(found.text) == kept.digest:
            await calendars.save_good(wire, source.id, self._context.now())
            return "not_modified"
        await self._held.work_out(source, found.text, calendars.text_digest(found.text))
        await calendars.save_text(wire, source.id, found.text, etag=found.etag, modified=found.modified, now=self._context.now())
        return "ok"

    async def _use_stored(self, source: CalendarSource, kept: StoredCalendar) -> None:
        key, now = (*source.key, kept.digest), self._context.now()
        if not kept.digest or self._held.is_fresh(source, kept.digest) or now < self._next_look.get(key, 0.0):
            return
        text = await calendars.load_text(self._context.wire, source.id)
        try:
            if text is not None:
                await self._held.work_out(source, text, calendars.text_digest(text))
        except BadCalendar as error:  # it was good when it was stored: this machine is short of something, or a longer time makes it worse
            self._next_look[key] = now + PARSE_RETRY_SECONDS
            self._say(source, f"{source} stays as it is, its stored text cannot be used: {error}")

    def _say(self, source: CalendarSource, error: str) -> None:
        """Once for each new error: a calendar that stays away is looked at again and again."""
        if self._errors.get(source.key) != error:
            log.warning("%s", error)
        self._errors[source.key] = error


class CalendarHealth(NamedTuple):
    calendar: str  # PRIMARY or OVERRIDES
    loaded: bool  # by this process
    kept: StoredCalendar


async def load_calendar_health(context: Context, schedule: str) -> list[CalendarHealth]:
    """One entry for each calendar of a schedule; [] for one that comes from none. Raises StoreUnavailable."""
    found, held = [], context.calendars.get(schedule)
    for source in calendar_sources(context.config):
        if source.schedule == schedule:
            loaded = held is not None and (held.overrides if source.is_override else held.primary) is not None
            kept = await calendars.load_calendar(context.wire, source.id)
            found.append(CalendarHealth(OVERRIDES_CALENDAR if source.is_override else PRIMARY_CALENDAR, loaded, kept))
    return found
