"""Parse a calendar's text (RFC 5545) into its events of a period, in a process with limits.

A calendar is taken whole or not at all: an event that was left out might be somebody's shift. It
comes from outside, so this refuses what the libraries do not: rules that repeat every second, more
events than any roster has, unknown zones.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from heapq import heappop, heappush
from typing import Any, Final
from zoneinfo import ZoneInfo

import icalendar
import msgspec
import recurring_ical_events

from amproxy.clock import utc
from amproxy.errors import BadCalendar
from amproxy.oncall.calendars import Calendar, CalendarEvent, CalendarEventText
from amproxy.times import to_utc, wall_to_utc

MAX_CALENDAR_BYTES: Final = 10 * 1024 * 1024  # bytes of a calendar's text
MAX_EVENTS = 30_000  # of the period, each repetition counted
MAX_EVENTS_AT_ONCE: Final = 50
MAX_TEXT_LENGTHS: Final = (500, 1000)  # characters of SUMMARY and of DESCRIPTION that are used
FREQUENCIES: Final = ("HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY")

PARSE_CPU_SECONDS: Final = 30
PARSE_TIMEOUT = 60.0  # seconds of the clock on the wall: longer, for the machine has other work
PARSE_MEMORY_BYTES: Final = 1 << 30  # of addresses; ten megabytes of events take half of it
_EXIT_REFUSED: Final = 3  # exit code: standard output has the reason

_DAY, _UTC = timedelta(days=1), ZoneInfo("UTC")
_TIME_PROPERTIES: Final = (
    *("DTSTART", "DTEND", "DURATION"),
    *("RECURRENCE-ID", "RRULE", "RDATE", "EXDATE"),
)

_encode_calendar = msgspec.msgpack.Encoder().encode
_decode_calendar = msgspec.msgpack.Decoder(Calendar).decode


async def parse_in_process(data: bytes, zone: str, start: datetime, end: datetime) -> Calendar:
    """Run parse_calendar in a process of its own, within limits of time and memory.

    A rule that never matches, or ten megabytes of events, must not stop the process that pages
    people. Raises BadCalendar.
    """
    command = [sys.executable, "-m", "amproxy.calendars.parse", zone]
    command += [repr(start.timestamp()), repr(end.timestamp())]
    try:
        child = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL
        )
    except OSError as error:
        raise BadCalendar(
            f"the calendar cannot be worked out on this machine now: {error.strerror}"
        ) from None
    try:
        async with asyncio.timeout(PARSE_TIMEOUT):
            output, _ = await child.communicate(data)
    except TimeoutError:
        raise BadCalendar("the calendar takes too long to work out") from None
    finally:
        # Also when the task is cancelled: nobody else would end the child.
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
    if child.returncode == _EXIT_REFUSED:
        raise BadCalendar(output.decode())
    if child.returncode != 0:  # killed by a limit of the system
        raise BadCalendar("the calendar takes too much time or memory to work out")
    return _decode_calendar(output)


def parse_calendar(data: bytes, zone: ZoneInfo, start: datetime, end: datetime) -> Calendar:
    """Return all events that touch the period from `start` to `end` (UTC), with repetitions.

    zone: of floating times, and of whole days where the calendar names no zone of its own. Pure,
    but without bounds on its time. Raises BadCalendar.
    """
    if len(data) > MAX_CALENDAR_BYTES:
        raise BadCalendar(f"the calendar is larger than {MAX_CALENDAR_BYTES >> 20} MiB")
    texts: dict[CalendarEventText, int] = {}
    events = []
    try:
        for calendar in _read_calendars(data):
            for occurrence, since, until in _occurrences(calendar, zone, start, end):
                # The repetitions of an event share one text.
                text = texts.setdefault(_event_text(occurrence), len(texts))
                events.append(CalendarEvent(since, until, text))
                if len(events) > MAX_EVENTS:
                    period = f"from {start:%Y-%m-%d} to {end:%Y-%m-%d}"
                    raise BadCalendar(f"the calendar has more than {MAX_EVENTS} events {period}")
    except BadCalendar:
        raise
    except MemoryError:
        raise BadCalendar("the calendar takes too much memory to work out") from None
    except Exception as error:  # noqa: BLE001  see below
        # The libraries raise anything for a broken text, and all of it means the same: counted as
        # `invalid` (amproxy_calendar_fetch_total), while the calendar of before stays in force.
        reason = _one_line(f"{type(error).__name__}: {error}")
        raise BadCalendar(f"the calendar cannot be read: {reason}") from None
    events.sort(key=lambda event: (event.start, event.end, event.text))
    _refuse_crowded(events)
    return Calendar(start=start, end=end, texts=tuple(texts), events=tuple(events))


def _read_calendars(data: bytes) -> list[icalendar.Component]:
    try:
        text = data.decode("utf-8-sig").lstrip()
    except UnicodeDecodeError:
        raise BadCalendar("the calendar is not UTF-8") from None
    if text[:15].upper() != "BEGIN:VCALENDAR":
        raise BadCalendar("this is not a calendar: it does not begin with BEGIN:VCALENDAR")
    # The library remembers zones that calendars describe: those of another must not count here.
    icalendar.timezone.tzp.use_default()
    calendars = icalendar.Calendar.from_ical(text, multiple=True)
    if not calendars:
        raise BadCalendar("the calendar is cut off: it has no END:VCALENDAR")
    return list(calendars)


def _occurrences(
    calendar: icalendar.Component, zone: ZoneInfo, start: datetime, end: datetime
) -> Iterator[tuple[icalendar.Component, datetime, datetime]]:
    """Each event that takes place, with its start and end in UTC."""
    for event in calendar.walk("VEVENT"):
        _refuse_doubtful(event)
    days = _calendar_zone(calendar) or zone
    query = recurring_ical_events.CalendarQuery(calendar)
    # A day more at both ends: the library compares whole days and floating times without a zone.
    for occurrence in query.between(start - _DAY, end + _DAY):
        first, last = occurrence["DTSTART"].dt, occurrence["DTEND"].dt
        if first == last and not isinstance(first, datetime):
            last = first + _DAY  # some programs write a single whole day so
        since, until = _event_time_to_utc(first, days, zone), _event_time_to_utc(last, days, zone)
        cancelled = str(occurrence.get("STATUS", "")).upper() == "CANCELLED"
        if since < min(until, end) and start < until and not cancelled:
            yield occurrence, since, until


def _calendar_zone(calendar: icalendar.Component) -> ZoneInfo | None:
    named = icalendar.timezone.tzp.timezone(str(calendar.get("X-WR-TIMEZONE", "")) or "-")
    return named if isinstance(named, ZoneInfo) else None


def _event_time_to_utc(at: date | datetime, days: ZoneInfo, zone: ZoneInfo) -> datetime:
    """Return the time in UTC. RFC 5545 counts a time in a skipped hour from before the jump."""
    if not isinstance(at, datetime):
        midnight = datetime.combine(at, time())
        return wall_to_utc(midnight, days)
    return to_utc(at if at.tzinfo else at.replace(tzinfo=zone)).replace(microsecond=0)


def _refuse_doubtful(event: icalendar.Component) -> None:
    """Refuse an event that the libraries would read as something else. Raises BadCalendar."""
    event_name = _event_name(event)
    for name, error in event.errors:
        if name in _TIME_PROPERTIES:
            raise BadCalendar(f"{event_name}: {name} cannot be read: {_one_line(str(error))}")
    if "DTSTART" not in event:
        raise BadCalendar(f"{event_name} has no DTSTART")
    for name in _TIME_PROPERTIES:
        for value in _to_list(event.get(name)):
            if name == "RRULE":
                _refuse_rule(event, value)
            elif "TZID" in value.params and any(_is_floating(at) for at in _event_times(value)):
                zone = _one_line(str(value.params["TZID"]))
                raise BadCalendar(f"{event_name}: the time zone {zone!r} is not known")
    since: Any = _to_list(event["DTSTART"])[0].dt
    until: Any = _to_list(event["DTEND"])[0].dt if "DTEND" in event else None
    if until is None:
        return
    if isinstance(since, datetime) != isinstance(until, datetime):
        raise BadCalendar(
            f"{event_name} begins at a time and ends on a day, or the other way round"
        )
    if _event_time_to_utc(until, _UTC, _UTC) < _event_time_to_utc(since, _UTC, _UTC):
        raise BadCalendar(f"{event_name} ends before it begins")


def _refuse_rule(event: icalendar.Component, rule: Any) -> None:
    frequency = str(rule.get("FREQ", [""])[0]).upper()
    if frequency not in FREQUENCIES:
        allowed, given = ", ".join(FREQUENCIES).lower(), _one_line(frequency).lower()
        raise BadCalendar(
            f"{_event_name(event)}: a shift repeats {allowed}, not {given or 'without FREQ'}"
        )
    if rule.get("INTERVAL", [1])[0] < 1:
        raise BadCalendar(f"{_event_name(event)}: INTERVAL must be at least 1")


def _refuse_crowded(events: list[CalendarEvent]) -> None:
    ends: list[datetime] = []  # a heap: of the events that are going on
    for event in events:
        while ends and ends[0] <= event.start:
            heappop(ends)
        heappush(ends, event.end)
        if len(ends) > MAX_EVENTS_AT_ONCE:
            at = f"{event.start.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
            raise BadCalendar(f"the calendar has more than {MAX_EVENTS_AT_ONCE} events at {at}")


def _event_text(event: icalendar.Component) -> CalendarEventText:
    summary, description = (
        _to_text(event.get(name))[:longest]
        for name, longest in zip(("SUMMARY", "DESCRIPTION"), MAX_TEXT_LENGTHS, strict=True)
    )
    addresses = (str(value) for value in _to_list(event.get("ATTENDEE")))
    attendees = tuple(
        address[7:].strip() for address in addresses if address[:7].lower() == "mailto:"
    )
    return CalendarEventText(
        summary=summary, attendees=attendees[:MAX_EVENTS_AT_ONCE], description=description
    )


def _to_text(value: Any) -> str:
    return str(next(iter(_to_list(value)), ""))


def _to_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _event_times(value: Any) -> Iterator[Any]:
    return (each.dt for each in value.dts) if hasattr(value, "dts") else iter([value.dt])


def _is_floating(at: Any) -> bool:
    start = at[0] if isinstance(at, tuple) else at  # RDATE may have periods
    return isinstance(start, datetime) and start.tzinfo is None


def _event_name(event: icalendar.Component) -> str:
    summary, uid = (_one_line(_to_text(event.get(name))) for name in ("SUMMARY", "UID"))
    return f"the event {summary!r} ({uid})"


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)[:120]


def _worker_main(zone: str, start: str, end: str) -> int:
    """Read a text from standard input, write the calendar or the error to standard output.

    start, end: Unix seconds. Return the exit code.
    """
    os.nice(10)  # paging goes first
    resource.setrlimit(resource.RLIMIT_CPU, (PARSE_CPU_SECONDS, PARSE_CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (PARSE_MEMORY_BYTES, PARSE_MEMORY_BYTES))
    data, code = sys.stdin.buffer.read(), 0
    try:
        calendar = parse_calendar(data, ZoneInfo(zone), utc(float(start)), utc(float(end)))
        output = _encode_calendar(calendar)
    except BadCalendar as error:
        output, code = str(error).encode(errors="replace"), _EXIT_REFUSED
    sys.stdout.buffer.write(output)
    return code


if __name__ == "__main__":
    sys.exit(_worker_main(*sys.argv[1:]))
