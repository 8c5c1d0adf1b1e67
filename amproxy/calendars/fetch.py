"""The sources of calendars: addresses, which are fetched, and files beside the configuration.

An address is a secret: nothing here quotes it. On the command line, without Redis, only files are
read.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urljoin, urlsplit

from amproxy.calendars.process import MAX_CALENDAR_BYTES, parse_in_process
from amproxy.check.report import COVERAGE_CHECK_AHEAD, coverage_warnings
from amproxy.config.networks import INTERNET, Reach
from amproxy.config.structs import Config
from amproxy.errors import BadCalendar, ConfigProblem, DeliveryError
from amproxy.oncall.calendars import Calendar, ScheduleCalendars
from amproxy.oncall.roster import Roster
from amproxy.secret import Secret
from amproxy.text import Phrase, ScheduleName, Words, phrase
from amproxy.times import to_utc

if TYPE_CHECKING:
    from amproxy.notify.channels import http

FETCH_TIMEOUT = 15.0  # seconds for one request and its answer
MAX_REDIRECTS: Final = 3
MAX_HEADER_LENGTH: Final = 500  # characters of an ETag or Last-Modified
# The period around now for which a calendar is parsed.
CALENDAR_BEHIND, CALENDAR_AHEAD = timedelta(days=400), timedelta(days=800)
MAX_WARNED_EVENTS: Final = 5  # that cannot be read, of one schedule
_REDIRECT_CODES: Final = (301, 302, 303, 307, 308)


class FetchedCalendar(NamedTuple):
    """A text, and the headers for the next, conditional request."""

    text: bytes
    etag: str
    modified: str


async def fetch_calendar(
    clients: http.HttpClients,
    who: Words,
    url: str,
    *,
    etag: str = "",
    modified: str = "",
    reach: Reach = INTERNET,
) -> FetchedCalendar | None:
    """Fetch a calendar; None = it has not changed since the fetch that gave `etag` and `modified`.

    who: its name in errors. reach: of redirects to another host than that of the address, which is
    the file's word. Raises DeliveryError, and BadCalendar for one
    that is too large.
    """
    from amproxy.notify.channels import http  # here: most files have no address of a calendar

    headers = {"Accept": "text/calendar, */*;q=0.1"}
    headers |= {"If-None-Match": etag} if etag else {}
    headers |= {"If-Modified-Since": modified} if modified else {}
    own_host = urlsplit(url).hostname
    for _ in range(1 + MAX_REDIRECTS):
        is_own = urlsplit(url).hostname == own_host
        client = clients.client(reach=None if is_own else reach)
        answer = await http.send_request(
            client,
            who,
            url,
            within=FETCH_TIMEOUT,
            method="GET",
            limit=MAX_CALENDAR_BYTES + 1,
            headers=headers,
        )
        # A cookie from one address must not go to another.
        client.cookies.clear()
        if answer.status not in _REDIRECT_CODES:
            break
        url = _redirect_target(who, url, answer.headers.get("location", ""))
    else:
        words = phrase("failure.redirects", service=who, most=MAX_REDIRECTS)
        raise DeliveryError(words, permanent=True)
    if answer.status == 304 and (etag or modified):
        return None
    if answer.status != 200:
        raise http.response_error(answer, who)
    if len(answer.body) > MAX_CALENDAR_BYTES:
        raise BadCalendar(phrase("calendar.too_large", most=MAX_CALENDAR_BYTES >> 20))
    etag, modified = (
        _safe_header(answer.headers.get(name, "")) for name in ("etag", "last-modified")
    )
    return FetchedCalendar(answer.body, etag, modified)


def _safe_header(header: str) -> str:
    """Return the header if it can be sent back; else "": it would spoil every later request."""
    safe = header.isascii() and header.isprintable() and len(header) <= MAX_HEADER_LENGTH
    return header if safe else ""


def _redirect_target(who: Words, url: str, location: str) -> str:
    """Return the target of a redirect. Raises DeliveryError for one that is not followed."""
    try:
        here, there = urlsplit(url), urlsplit(urljoin(url, location))
    except ValueError:
        raise DeliveryError(phrase("failure.redirect_bad", service=who), permanent=True) from None
    # A redirect must not carry a password to another host.
    if "@" in here.netloc or "@" in there.netloc:
        raise DeliveryError(phrase("failure.redirect_password", service=who), permanent=True)
    if not location or there.scheme not in ("http", "https") or not there.netloc:
        raise DeliveryError(phrase("failure.redirect_scheme", service=who), permanent=True)
    return there.geturl()


class CalendarSource(NamedTuple):
    """One calendar of one schedule: at an address or in a file."""

    schedule: str
    is_override: bool  # the overrides calendar
    url: Secret
    file: str
    zone: str  # the schedule's
    refresh: float  # seconds between two checks

    @property
    def id(self) -> str:
        """The id in Redis, where schedules with the same address share its text."""
        # A digest, because the address is a secret.
        return hashlib.sha256((self.url.reveal() or f"file {self.file}").encode()).hexdigest()[:32]

    @property
    def key(self) -> tuple[str, str]:
        """The key of its parsed form, which depends on the zone of floating times."""
        return self.id, self.zone

    @property
    def title(self) -> Phrase:
        schedule = ScheduleName(self.schedule)
        if self.is_override:
            return phrase("failure.overrides_calendar", schedule=schedule)
        return phrase("failure.calendar", schedule=schedule)

    def __str__(self) -> str:
        return str(self.title)


def calendar_sources(config: Config) -> Iterator[CalendarSource]:
    """The calendars of the file, in its order."""
    for name, schedule in config.schedules.items():
        if schedule.ical is None:
            continue
        ical = schedule.ical
        yield CalendarSource(name, False, ical.url, ical.file, schedule.timezone, ical.refresh)
        if ical.overrides_url or ical.overrides_file:
            yield CalendarSource(
                name, True, ical.overrides_url, ical.overrides_file, schedule.timezone, ical.refresh
            )


def calendar_period(at: datetime) -> tuple[datetime, datetime]:
    """Return the period around a time for which a calendar is parsed, whole days of UTC.

    Whole days, so that the result stays the same all day.
    """
    day = to_utc(at).replace(hour=0, minute=0, second=0, microsecond=0)
    return to_utc(day - CALENDAR_BEHIND), to_utc(day + CALENDAR_AHEAD)


def read_calendar_file(file: str) -> bytes:
    """Return the text of a calendar's file. Raises BadCalendar."""
    try:
        with Path(file).open("rb") as opened:
            # One byte over the limit is enough for the parser to refuse it.
            return opened.read(MAX_CALENDAR_BYTES + 1)
    except (OSError, ValueError) as error:
        raise BadCalendar(phrase("calendar.file_unread", said=_read_error_text(error))) from None


def calendar_file_stamp(file: str) -> tuple[int, int] | None:
    """Return a value that changes when the file does; None = it is not there."""
    try:
        status = Path(file).stat()
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_size


def _read_error_text(error: OSError | ValueError) -> Words:
    said = error.strerror if isinstance(error, OSError) else None
    return said or phrase("problem.unusable_path")


def offline_roster(config: Config, at: datetime) -> Roster:
    """Return the roster of a file and the calendars in files beside it, around a time."""
    return _load_offline_roster(config, at).roster


def schedule_warnings(config: Config, now: datetime) -> list[ConfigProblem]:
    """Return the warnings of `amproxy check` about schedules, each at its schedule's place.

    `gap`: time without anybody in the next 30 days; `bad_calendar`: a file that cannot be used;
    `bad_event`: an event of a file that cannot be read; `empty_shift`: an event of the next 30 days
    that names nobody.
    """
    offline = _load_offline_roster(config, now)
    warnings = coverage_warnings(offline.roster, now)
    for source, error in offline.bad:
        words = Phrase(
            "problem.bad_overrides_calendar" if source.is_override else "problem.bad_calendar",
            {"schedule": source.schedule, "error": error.words},
        )
        warnings.append(_schedule_warning(config, source.schedule, "bad_calendar", words))
    for name in config.schedules:
        used = offline.roster.calendars.get(name)
        for problem in (used.problems if used else ())[:MAX_WARNED_EVENTS]:
            words = Phrase(
                "problem.bad_event",
                {"schedule": name, "event": problem.event, "reason": problem.reason},
            )
            warnings.append(_schedule_warning(config, name, "bad_event", words))
        empty = offline.roster.empty_shifts(name, now, now + COVERAGE_CHECK_AHEAD)
        if empty:
            words = Phrase(
                "problem.empty_shifts" if len(empty) > 1 else "problem.empty_shift",
                {
                    "schedule": name,
                    "event": empty[0].summary,
                    "start": f"{empty[0].start:%Y-%m-%d %H:%M}",
                    **({"more": str(len(empty) - 1)} if len(empty) > 1 else {}),
                },
            )
            warnings.append(_schedule_warning(config, name, "empty_shift", words))
    return warnings


class _OfflineRoster(NamedTuple):
    roster: Roster
    bad: list[tuple[CalendarSource, BadCalendar]]


def _load_offline_roster(config: Config, at: datetime) -> _OfflineRoster:
    loaded: dict[tuple[str, bool], Calendar] = {}
    missing, bad = dict[str, Phrase | None](), list[tuple[CalendarSource, BadCalendar]]()
    for source in calendar_sources(config):
        why = phrase("on_call.not_loaded_url") if source.url else None
        if source.file:
            try:
                loaded[source.schedule, source.is_override] = asyncio.run(
                    _parse_file(source, *calendar_period(at))
                )
            except BadCalendar as error:
                bad.append((source, error))
                why = phrase("on_call.not_loaded_for", text=error.words)
        # Of two calendars of a schedule the reason of the first counts, which is the primary one.
        missing.setdefault(source.schedule, why)
    calendars = {
        name: ScheduleCalendars(loaded.get((name, False)), loaded.get((name, True)), why)
        for name, why in missing.items()
    }
    return _OfflineRoster(Roster(config, calendars=calendars), bad)


async def _parse_file(source: CalendarSource, start: datetime, end: datetime) -> Calendar:
    return await parse_in_process(read_calendar_file(source.file), source.zone, start, end)


def _schedule_warning(config: Config, schedule: str, kind: str, words: Phrase) -> ConfigProblem:
    place, position = config.schedules[schedule].place, list(config.schedules).index(schedule)
    return ConfigProblem(
        words,
        file=place.file,
        line=place.line,
        column=place.column,
        path=f"schedules[{position}]",
        kind=kind,
    )
