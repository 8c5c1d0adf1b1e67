"""The calendars that one process goes by: fetched by one of all processes, kept in Redis.

Each process parses them for itself. A calendar that cannot be used changes nothing: the one of
before stays in force.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from amproxy import metrics
from amproxy.calendars.fetch import (
    CalendarSource,
    calendar_file_stamp,
    calendar_period,
    calendar_sources,
    fetch_calendar,
    read_calendar_file,
)
from amproxy.calendars.process import parse_in_process
from amproxy.calendars.trouble import (
    CalendarTrouble,
    find_trouble,
    tell_people,
    used_calendar,
)
from amproxy.clock import utc
from amproxy.config.networks import Reach
from amproxy.context import Context
from amproxy.errors import BadCalendar, DeliveryError, StoreUnavailable
from amproxy.log import EventLog
from amproxy.notify.channels.webhook.settings import contact_reach
from amproxy.oncall.calendars import (
    OVERRIDES_CALENDAR,
    PRIMARY_CALENDAR,
    Calendar,
    CalendarProblem,
    ScheduleCalendars,
)
from amproxy.store import calendars
from amproxy.store.calendars import StoredCalendar
from amproxy.store.leases import LeaseStore
from amproxy.text import Phrase, Words, phrase

if TYPE_CHECKING:
    from amproxy.notify.channels.http import HttpClients

log = EventLog(__name__)

# The parsed period moves on with the clock; after so long a calendar is parsed again for it.
CALENDAR_STALE_AFTER: Final = timedelta(days=1)
MAX_PARSERS: Final = 2  # at the same time
MAX_FETCHES: Final = 8  # at the same time
# Seconds between two rounds, at least and at most: another process may have died while it fetched,
# and a message that a text has changed may be lost.
ROUND_PAUSES: Final = (0.5, 30.0)
# Seconds for one fetch. Should it take longer, another process fetches too, which does no harm.
FETCH_LEASE: Final = 120.0
# Seconds until a stored text that could not be parsed is tried again.
PARSE_RETRY_SECONDS: Final = 3600.0
# Seconds at most until another check after one that failed: it tells a short trouble from one that
# people must hear of.
FAILED_RETRY_SECONDS: Final = 60.0


class CalendarKeeper:
    """`load` uses the calendars that are known, `run` keeps them fresh, in the context's roster."""

    def __init__(self, context: Context, name: str) -> None:
        """name: of this process, for leases."""
        self._context, self._name = context, name
        self._parsed = ParsedCalendars(context)
        # When to try again (Unix seconds): a file, by CalendarSource.key; a bad stored text, by
        # that and its digest.
        self._retry_at: dict[tuple[str, ...], float] = {}
        self._errors: dict[tuple[str, str], Words] = {}  # the last that was logged, by source
        self._clients: HttpClients | None = None  # until the first calendar that has an address
        self._leases = LeaseStore(context.wire)
        self._fetches = asyncio.Semaphore(MAX_FETCHES)
        self._changed = asyncio.Event()

    async def load(self) -> None:
        """Use the files and stored texts of the configuration in force, and check them at once.

        Raises StoreUnavailable; then those that could be read are in use all the same.
        """
        self._retry_at.clear()
        self._parsed.use()
        try:
            await self._update_all()
        finally:
            self._changed.set()

    async def on_text_changed(self, calendar_id: str) -> None:
        """Use the new text that a process has stored; "" = any. Raises StoreUnavailable."""
        await self._update_all(calendar_id)

    async def run(self) -> None:
        """Check what is due, for ever; cancel to stop."""
        while True:
            # Cleared before the round: what changes during it is for the next one.
            self._changed.clear()
            try:
                await self._update_all(may_fetch=True)
                pause = self._pause()
            except StoreUnavailable:
                pause = ROUND_PAUSES[0]
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._changed.wait()

    async def close(self) -> None:
        if self._clients is not None:
            await self._clients.close()

    def _pause(self) -> float:
        shortest, longest = ROUND_PAUSES
        refreshes = [source.refresh / 2 for source in calendar_sources(self._context.config)]
        return max(shortest, min([longest, *refreshes]))

    async def _update_all(self, calendar_id: str = "", *, may_fetch: bool = False) -> None:
        """Update all calendars, or one. Raises StoreUnavailable, after an attempt at each."""
        sources: dict[str, list[CalendarSource]] = {}
        for source in calendar_sources(self._context.config):
            if calendar_id in ("", source.id):
                sources.setdefault(source.id, []).append(source)
        updates = [self._update(same, may_fetch) for same in sources.values()]
        away: BaseException | None = None
        for outcome in await asyncio.gather(*updates, return_exceptions=True):
            if isinstance(outcome, StoreUnavailable):
                away = outcome
            elif isinstance(outcome, Exception):
                # A defect with one calendar must not stop the others. It is tried again next time.
                metrics.unexpected_errors.labels("calendars").inc()
                log.error("a calendar failed unexpectedly", cause=outcome)
        if away:
            raise away

    async def _update(self, sources: list[CalendarSource], may_fetch: bool) -> None:
        """Use the newest text of one address or file, for each of its schedules.

        Raises StoreUnavailable; then it stays as it is.
        """
        async with self._fetches:
            # One after the other, so that the first fetches for all.
            for source in sources:
                if source.file:
                    await self._check_file(source)
                stored = await calendars.load_calendar(self._context.wire, source.id)
                if not source.file:
                    if may_fetch and self._is_due(source, stored):
                        stored = await self._check_address(source)
                    await self._use_stored(source, stored)
                if may_fetch:
                    await tell_people(self._context, source, stored)

    async def _check_file(self, source: CalendarSource) -> None:
        """Parse a file if it has changed. Raises StoreUnavailable."""
        key, now, stamp = source.key, self._context.now(), calendar_file_stamp(source.file)
        if now < self._retry_at.get(key, 0.0):
            return
        # Each process reads its own; the API and the metrics look for the outcome in Redis.
        try:
            if not self._parsed.is_fresh(source, stamp):
                await self._parsed.parse(source, read_calendar_file(source.file), stamp)
        except BadCalendar as error:
            self._log_problem(source, _unusable(source, error))
            await calendars.save_error(self._context.wire, source.id, self._errors[key], now)
        else:
            self._errors.pop(key, None)
            await calendars.save_good(self._context.wire, source.id, now)
        pause = source.refresh if key not in self._errors else _retry_pause(source)
        self._retry_at[key] = now + pause  # not before the outcome is stored

    def _is_due(self, source: CalendarSource, stored: StoredCalendar) -> bool:
        pause = _retry_pause(source) if stored.error else source.refresh
        return self._context.now() >= stored.checked_at + pause

    async def _check_address(self, source: CalendarSource) -> StoredCalendar:
        """Fetch a calendar, unless another process does, and return what is stored of it then.

        Raises StoreUnavailable.
        """
        lease = f"calendar:{source.id}"
        if await self._leases.lease(lease, self._name, FETCH_LEASE):
            try:
                stored = await calendars.load_calendar(self._context.wire, source.id)
                # Not due any more: the holder of the lease before has just fetched it.
                if self._is_due(source, stored):
                    await self._fetch_and_report(source, stored)
            finally:
                await self._leases.release(lease, self._name)
        return await calendars.load_calendar(self._context.wire, source.id)

    async def _fetch_and_report(self, source: CalendarSource, stored: StoredCalendar) -> None:
        error: Words = ""
        try:
            outcome = await self._fetch(source, stored)
        except DeliveryError as refused:
            outcome, error = "failed", refused.words
        except BadCalendar as bad:
            outcome, error = "invalid", _unusable(source, bad)
        metrics.calendar_fetches.labels(source.schedule, outcome).inc()
        if error:
            self._log_problem(source, error)
            await calendars.save_error(self._context.wire, source.id, error, self._context.now())
        else:
            self._errors.pop(source.key, None)

    async def _fetch(self, source: CalendarSource, stored: StoredCalendar) -> str:
        """Fetch a text and store it if it is good, and return the outcome for the metric.

        Raises DeliveryError, BadCalendar, StoreUnavailable.
        """
        from amproxy.notify.channels.http import HttpClients

        wire = self._context.wire
        self._clients = self._clients or HttpClients()
        fetched = await fetch_calendar(
            self._clients,
            source.title,
            source.url.reveal(),
            etag=stored.etag,
            modified=stored.modified,
            reach=Reach(contact_reach(self._context.config.global_).networks),
        )
        if fetched is None or calendars.text_digest(fetched.text) == stored.digest:
            await calendars.save_good(wire, source.id, self._context.now())
            return "not_modified"
        # Parsed before it is stored: a broken text must not reach the other processes.
        await self._parsed.parse(source, fetched.text, calendars.text_digest(fetched.text))
        await calendars.save_text(
            wire,
            source.id,
            fetched.text,
            etag=fetched.etag,
            modified=fetched.modified,
            now=self._context.now(),
        )
        return "ok"

    async def _use_stored(self, source: CalendarSource, stored: StoredCalendar) -> None:
        """Parse the stored text if it is another one. Raises StoreUnavailable."""
        key, now = (*source.key, stored.digest), self._context.now()
        if not stored.digest or self._parsed.is_fresh(source, stored.digest):
            return
        if now < self._retry_at.get(key, 0.0):
            return
        text = await calendars.load_text(self._context.wire, source.id)
        try:
            if text is not None:
                await self._parsed.parse(source, text, calendars.text_digest(text))
        except BadCalendar as error:
            # It was good when it was stored: this machine is short of something, or the period
            # that has moved on makes it worse. So it is tried again, but not soon.
            self._retry_at[key] = now + PARSE_RETRY_SECONDS
            self._log_problem(
                source, phrase("calendar.stays", calendar=source.title, reason=error.words)
            )

    def _log_problem(self, source: CalendarSource, error: Words) -> None:
        # Each error once: a broken calendar is checked again and again.
        if self._errors.get(source.key) != error:
            log.warning("calendar not loaded", schedule=source.schedule, error=error)
        self._errors[source.key] = error


def _unusable(source: CalendarSource, error: BadCalendar) -> Phrase:
    return phrase("calendar.unusable", calendar=source.title, reason=error.words)


def _retry_pause(source: CalendarSource) -> float:
    return min(source.refresh, FAILED_RETRY_SECONDS)


class _ParsedCalendar(NamedTuple):
    calendar: Calendar
    version: object  # of its text: the digest, or the stamp of the file


class ParsedCalendars:
    """The parsed calendars of one process; a change is in the context's roster at once."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._by_key: dict[tuple[str, str], _ParsedCalendar] = {}  # by CalendarSource.key
        # Few at a time: each parser takes a core and up to a GiB.
        self._workers = asyncio.Semaphore(MAX_PARSERS)

    def is_fresh(self, source: CalendarSource, version: object) -> bool:
        """Check whether this version of a text is in the roster, for a period around now."""
        parsed = self._by_key.get(source.key)
        return (
            parsed is not None
            and parsed.version == version
            and parsed.calendar.start >= self._period()[0] - CALENDAR_STALE_AFTER
        )

    async def parse(self, source: CalendarSource, data: bytes, version: object) -> None:
        """Parse and use a new text. Raises BadCalendar; then the one of before stays."""
        async with self._workers:
            calendar = await parse_in_process(data, source.zone, *self._period())
            self._by_key[source.key] = _ParsedCalendar(calendar, version)
        self.use()

    def use(self) -> None:
        """Put the parsed calendars in the roster; those that have left the file are dropped."""
        by_schedule: dict[str, list[Calendar | None]] = {}  # primary, overrides
        wanted: dict[tuple[str, str], _ParsedCalendar] = {}
        for source in calendar_sources(self._context.config):
            both = by_schedule.setdefault(source.schedule, [None, None])
            if parsed := self._by_key.get(source.key):
                both[source.is_override] = parsed.calendar
                wanted[source.key] = parsed
        self._by_key = wanted
        before = self._context.calendars
        self._context.use_calendars(
            {name: _reuse_unchanged(before.get(name), *both) for name, both in by_schedule.items()}
        )

    def _period(self) -> tuple[datetime, datetime]:
        return calendar_period(utc(self._context.now()))


def _reuse_unchanged(
    before: ScheduleCalendars | None, primary: Calendar | None, overrides: Calendar | None
) -> ScheduleCalendars:
    # An unchanged one has found out already whom its events name, which takes long.
    if before is not None and before.primary is primary and before.overrides is overrides:
        return before
    return ScheduleCalendars(primary, overrides)


class CalendarHealth(NamedTuple):
    """The state of one calendar of a schedule."""

    calendar: str  # PRIMARY_CALENDAR or OVERRIDES_CALENDAR
    loaded: bool  # by this process
    stored: StoredCalendar
    trouble: CalendarTrouble | None


async def load_calendar_health(context: Context, schedule: str) -> list[CalendarHealth]:
    """Return an entry for each calendar of a schedule; [] without any. Raises StoreUnavailable."""
    health, used = [], context.calendars.get(schedule)
    for source in calendar_sources(context.config):
        if source.schedule != schedule:
            continue
        kind = OVERRIDES_CALENDAR if source.is_override else PRIMARY_CALENDAR
        calendar = used_calendar(used, source)
        stored = await calendars.load_calendar(context.wire, source.id)
        trouble = find_trouble(source, stored, calendar, context.now())
        health.append(CalendarHealth(kind, calendar is not None, stored, trouble))
    return health


def calendar_problems(context: Context, schedule: str) -> tuple[CalendarProblem, ...]:
    """Return all that cannot be read of a schedule's calendars, as this process has them."""
    used = context.calendars.get(schedule)
    return used.problems if used else ()


async def calendar_ages(context: Context) -> dict[str, float]:
    """Return schedule → seconds since its calendars were last good; of two, the older.

    Without those that never were. Raises StoreUnavailable.
    """
    ages: dict[str, float] = {}
    for source in calendar_sources(context.config):
        good_at = (await calendars.load_calendar(context.wire, source.id)).good_at
        if good_at:
            ages[source.schedule] = max(ages.get(source.schedule, 0.0), context.now() - good_at)
    return ages
