"""One look at a calendar's address. The address is a secret: nothing here quotes it.

Where the calendars of the file come from.

Calendars in files beside the configuration, and how much of a calendar is worked out.

Calendars on the command line, where there is no Redis and nothing is fetched: those in files count, those at addresses say so.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

from amproxy.calendars.parse import LARGEST, parse_in_process
from amproxy.check.report import COVERAGE_CHECK_AHEAD, coverage_warnings
from amproxy.config.structs import Config
from amproxy.errors import BadCalendar, ConfigProblem, DeliveryError
from amproxy.notify.channels import http
from amproxy.oncall.calendars import NOT_LOADED, Calendar, ScheduleCalendars
from amproxy.oncall.roster import Roster
from amproxy.secret import Secret
from amproxy.times import to_utc

FETCH_TIMEOUT = 15.0  # seconds for one request and its answer
MAX_REDIRECTS = 3
MAX_HEADER_LENGTH = 500
_REDIRECT_CODES = (301, 302, 303, 307, 308)


class FetchedCalendar(NamedTuple):
    """A text, and what the next look asks with."""

    text: bytes
    etag: str
    modified: str


async def fetch_calendar(clients: http.HttpClients, who: str, url: str, *, etag: str = "", modified: str = "") -> FetchedCalendar | None:
    """The calendar at an address; None = it has not changed since the look that gave `etag` and `modified`.

    who: what to call it in errors. Raises DeliveryError where there was no answer or not this one, BadCalendar for too large a one.
    """
    headers = {"Accept": "text/calendar, */*;q=0.1"}
    headers |= {"If-None-Match": etag} if etag else {}
    headers |= {"If-Modified-Since": modified} if modified else {}
    client = clients.client()
    for _ in range(1 + MAX_REDIRECTS):
        answer = await http.send_request(client, who, url, within=FETCH_TIMEOUT, method="GET", limit=LARGEST + 1, headers=headers)
        client.cookies.clear()  # each look stands for itself
        if answer.status not in _REDIRECT_CODES:
            break
        url = _redirect_target(who, url, answer.headers.get("location", ""))
    else:
        raise DeliveryError(f"{who}: more than {MAX_REDIRECTS} redirects", permanent=True)
    if answer.status == 304 and (etag or modified):
        return None
    if answer.status != 200:
        raise http.response_error(answer, who)
    if len(answer.body) > LARGEST:
        raise BadCalendar(f"the calendar is larger than {LARGEST >> 20} MiB")
    return FetchedCalendar(answer.body, *(_safe_header(answer.headers.get(name, "")) for name in ("etag", "last-modified")))


def _safe_header(header: str) -> str:
    """What can be sent back as it is; "" for anything else, which would spoil each request to come."""
    return header if header.isascii() and header.isprintable() and len(header) <= MAX_HEADER_LENGTH else ""


def _redirect_target(who: str, url: str, location: str) -> str:
    """Where a redirect leads. Raises DeliveryError for one that is not followed: it must not carry a password elsewhere."""
    try:
        here, there = urlsplit(url), urlsplit(urljoin(url, location))
    except ValueError:
        raise DeliveryError(f"{who}: a redirect to an address that is not valid", permanent=True) from None
    if "@" in here.netloc or "@" in there.netloc:
        raise DeliveryError(f"{who}: a redirect is not followed where an address holds a password", permanent=True)
    if not location or there.scheme not in ("http", "https") or not there.netloc:
        raise DeliveryError(f"{who}: a redirect that does not lead to http:// or https://", permanent=True)
    return there.geturl()


class CalendarSource(NamedTuple):
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


def calendar_sources(config: Config) -> Iterator[CalendarSource]:
    """All calendars of the file, in its order."""
    for name, schedule in config.schedules.items():
        if schedule.ical is None:
            continue
        ical = schedule.ical
        yield CalendarSource(name, False, ical.url, ical.file, schedule.timezone, ical.refresh)
        if ical.overrides_url or ical.overrides_file:
            yield CalendarSource(name, True, ical.overrides_url, ical.overrides_file, schedule.timezone, ical.refresh)


CALENDAR_BEHIND, CALENDAR_AHEAD = timedelta(days=400), timedelta(days=800)


def calendar_period(at: datetime) -> tuple[datetime, datetime]:
    """The time around a moment for which a calendar is worked out, from midnight to midnight in UTC."""
    day = to_utc(at).replace(hour=0, minute=0, second=0, microsecond=0)
    return to_utc(day - CALENDAR_BEHIND), to_utc(day + CALENDAR_AHEAD)


def read_calendar_file(file: str) -> bytes:
    """The text of a calendar's file, cut off behind the size that is refused. Raises BadCalendar."""
    try:
        with Path(file).open("rb") as opened:
            return opened.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        raise BadCalendar(f"the file cannot be read: {_read_error_text(error)}") from None


def calendar_file_stamp(file: str) -> tuple[int, int] | None:
    """Changes when the file does; None = it is not there."""
    try:
        found = Path(file).stat()
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size


def _read_error_text(error: OSError | ValueError) -> str:
    return (isinstance(error, OSError) and error.strerror) or "it is no usable path"


def offline_roster(config: Config, at: datetime) -> Roster:
    """Who is on call by a file and the calendars in files beside it, around a moment."""
    return _load_offline_roster(config, at).roster


def schedule_warnings(config: Config, now: datetime) -> list[ConfigProblem]:
    """What `amproxy check` says of schedules, each warning at its schedule's place.

    `gap`: time without anybody in the next 30 days; `bad_calendar`: a file that cannot be used; `empty_shift`: an event of the next 30
    days that names nobody.
    """
    found = _load_offline_roster(config, now)
    warnings = coverage_warnings(found.roster, now)
    for source, error in found.bad:
        warnings.append(_schedule_warning(config, source.schedule, "bad_calendar", f"{source} cannot be used: {error}"))
    for name in config.schedules:
        empty = found.roster.empty_shifts(name, now, now + COVERAGE_CHECK_AHEAD)
        if empty:
            more = f" (and {len(empty) - 1} more)" if len(empty) > 1 else ""
            text = f"an event in the calendar of schedule {name!r} names nobody of the file, so it puts nobody on call"
            text += f": {empty[0].summary!r} on {empty[0].start:%Y-%m-%d %H:%M} UTC{more}"
            warnings.append(_schedule_warning(config, name, "empty_shift", text))
    return warnings


class _OfflineRoster(NamedTuple):
    roster: Roster
    bad: list[tuple[CalendarSource, BadCalendar]]


def _load_offline_roster(config: Config, at: datetime) -> _OfflineRoster:
    parts: dict[tuple[str, bool], Calendar] = {}
    missing, bad = dict[str, str](), list[tuple[CalendarSource, BadCalendar]]()
    for source in calendar_sources(config):
        why = f"{NOT_LOADED}: only the service reads its url" if source.url else ""
        if source.file:
            try:
                parts[source.schedule, source.is_override] = asyncio.run(
                    parse_in_process(read_calendar_file(source.file), source.zone, *calendar_period(at))
                )
            except BadCalendar as error:
                bad.append((source, error))
                why = f"{NOT_LOADED}: {error}"
        missing.setdefault(source.schedule, why)
    calendars = {name: ScheduleCalendars(parts.get((name, False)), parts.get((name, True)), why) for name, why in missing.items()}
    return _OfflineRoster(Roster(config, calendars=calendars), bad)


def _schedule_warning(config: Config, schedule: str, kind: str, text: str) -> ConfigProblem:
    place, position = config.schedules[schedule].place, list(config.schedules).index(schedule)
    return ConfigProblem(text, file=place.file, line=place.line, column=place.column, path=f"schedules[{position}]", kind=kind)
