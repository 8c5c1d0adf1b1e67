"""The text of a calendar (RFC 5545) → its events between two moments, repetitions worked out. Pure.

What the libraries do not refuse themselves is refused here, because a calendar comes from outside: rules that repeat every
second, more events than any roster has, zones that nobody knows. A calendar is taken whole or not at all: one event that
was passed over might be somebody's shift. How long it takes is bounded by whom it is called (worker.py).

A calendar is worked out in a process of its own, which may take only so much time and memory: its text is somebody else's.

Nothing else holds a rule that never matches, or ten megabytes of events, away from the process that pages people. As a
program (`python -m amproxy.calendars.worker ZONE START END`, seconds since 1970) it reads the text from standard input and
writes the calendar, or what is wrong with it, to standard output.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from heapq import heappop, heappush
from typing import Any
from zoneinfo import ZoneInfo

import icalendar
import msgspec
import recurring_ical_events

from amproxy.clock import utc
from amproxy.errors import BadCalendar
from amproxy.oncall.calendars import Calendar, CalendarEvent, CalendarEventText
from amproxy.times import to_utc, wall_to_utc

LARGEST = 10 * 1024 * 1024  # bytes of a calendar's text
MAX_EVENTS = 30_000  # events between the two moments, each repetition counted
MAX_EVENTS_AT_ONCE = 50  # events at the same time
MAX_TEXT_LENGTHS = (500, 1000)  # characters of SUMMARY and of DESCRIPTION that are looked at
FREQUENCIES = ("HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY")

_DAY, _UTC = timedelta(days=1), ZoneInfo("UTC")
_TIME_PROPERTIES = ("DTSTART", "DTEND", "DURATION", "RECURRENCE-ID", "RRULE", "RDATE", "EXDATE")


def parse_calendar(data: bytes, zone: ZoneInfo, start: datetime, end: datetime) -> Calendar:
    """All events that touch the time from `start` to `end` (UTC).

    zone: of floating times, and of whole days where the calendar names no zone of its own. Raises BadCalendar.
    """
    if len(data) > LARGEST:
        raise BadCalendar(f"the calendar is larger than {LARGEST >> 20} MiB")
    words: dict[CalendarEventText, int] = {}
    events = []
    try:
        for calendar in _read_calendars(data):
            for occurrence, since, until in _occurrences(calendar, zone, start, end):
                events.append(CalendarEvent(since, until, words.setdefault(_event_text(occurrence), len(words))))
                if len(events) > MAX_EVENTS:
                    raise BadCalendar(f"the calendar has more than {MAX_EVENTS} events from {start:%Y-%m-%d} to {end:%Y-%m-%d}")
    except BadCalendar:
        raise
    except MemoryError:
        raise BadCalendar("the calendar takes too much memory to work out") from None
    except Exception as error:  # noqa: BLE001
        # The libraries raise what they like for a broken text, and each of that means the same: it is counted as `invalid`
        # (amproxy_calendar_fetch_total), and the calendar of before goes on counting.
        raise BadCalendar(f"the calendar cannot be read: {_one_line(f'{type(error).__name__}: {error}')}") from None
    events.sort(key=lambda event: (event.start, event.end, event.words))
    _refuse_crowded(events)
    return Calendar(start=start, end=end, words=tuple(words), events=tuple(events))


def _read_calendars(data: bytes) -> list[icalendar.Component]:
    try:
        text = data.decode("utf-8-sig").lstrip()
    except UnicodeDecodeError:
        raise BadCalendar("the calendar is not UTF-8") from None
    if text[:15].upper() != "BEGIN:VCALENDAR":
        raise BadCalendar("this is not a calendar: it does not begin with BEGIN:VCALENDAR")
    icalendar.timezone.tzp.use_default()  # forgets the zones that another calendar described
    calendars = icalendar.Calendar.from_ical(text, multiple=True)
    if not calendars:
        raise BadCalendar("the calendar is cut off: it has no END:VCALENDAR")
    return list(calendars)


def _occurrences(
    calendar: icalendar.Component, zone: ZoneInfo, start: datetime, end: datetime
) -> Iterator[tuple[icalendar.Component, datetime, datetime]]:
    """Each event that takes place, with its moments."""
    for event in calendar.walk("VEVENT"):
        _refuse_doubtful(event)
    days = _calendar_zone(calendar) or zone
    query = recurring_ical_events.CalendarQuery(calendar)
    # A day more at both ends, because whole days and floating times are compared without their zone.
    for occurrence in query.between(start - _DAY, end + _DAY):
        first, last = occurrence["DTSTART"].dt, occurrence["DTEND"].dt
        if first == last and not isinstance(first, datetime):
            last = first + _DAY  # some programs write a single whole day so
        since, until = _event_time_to_utc(first, days, zone), _event_time_to_utc(last, days, zone)
        if since < until and since < end and start < until and str(occurrence.get("STATUS", "")).upper() != "CANCELLED":
            yield occurrence, since, until


def _calendar_zone(calendar: icalendar.Component) -> ZoneInfo | None:
    named = icalendar.timezone.tzp.timezone(str(calendar.get("X-WR-TIMEZONE", "")) or "-")
    return named if isinstance(named, ZoneInfo) else None


def _event_time_to_utc(at: date | datetime, days: ZoneInfo, zone: ZoneInfo) -> datetime:
    """When it happens, in UTC. A time in a skipped hour is counted on from before the jump, as RFC 5545 has it."""
    if not isinstance(at, datetime):
        return wall_to_utc(datetime(at.year, at.month, at.day), days)  # noqa: DTZ001 a wall-clock time
    return to_utc(at if at.tzinfo else at.replace(tzinfo=zone)).replace(microsecond=0)


def _refuse_doubtful(event: icalendar.Component) -> None:
    """Raises BadCalendar for an event that the libraries would read as something else than is written."""
    for name, error in event.errors:
        if name in _TIME_PROPERTIES:
            raise BadCalendar(f"{_event_name(event)}: {name} cannot be read: {_one_line(str(error))}")
    if "DTSTART" not in event:
        raise BadCalendar(f"{_event_name(event)} has no DTSTART")
    for name in _TIME_PROPERTIES:
        for value in _to_list(event.get(name)):
            if name == "RRULE":
                _refuse_rule(event, value)
            elif "TZID" in value.params and any(_is_floating(at) for at in _event_times(value)):
                raise BadCalendar(f"{_event_name(event)}: the time zone {_one_line(str(value.params['TZID']))!r} is not known")
    since: Any = _to_list(event["DTSTART"])[0].dt
    until: Any = _to_list(event["DTEND"])[0].dt if "DTEND" in event else None
    if until is not None and isinstance(since, datetime) != isinstance(until, datetime):
        raise BadCalendar(f"{_event_name(event)} begins at a time and ends on a day, or the other way round")
    if until is not None and _event_time_to_utc(until, _UTC, _UTC) < _event_time_to_utc(since, _UTC, _UTC):
        raise BadCalendar(f"{_event_name(event)} ends before it begins")


def _refuse_rule(event: icalendar.Component, rule: Any) -> None:
    how_often = str(rule.get("FREQ", [""])[0]).upper()
    if how_often not in FREQUENCIES:
        raise BadCalendar(
            f"{_event_name(event)}: a shift repeats {', '.join(FREQUENCIES).lower()}, not {_one_line(how_often).lower() or 'without FREQ'}"
        )
    if rule.get("INTERVAL", [1])[0] < 1:
        raise BadCalendar(f"{_event_name(event)}: INTERVAL must be at least 1")


def _refuse_crowded(events: list[CalendarEvent]) -> None:
    ends: list[datetime] = []
    for event in events:
        while ends and ends[0] <= event.start:
            heappop(ends)
        heappush(ends, event.end)
        if len(ends) > MAX_EVENTS_AT_ONCE:
            raise BadCalendar(f"the calendar has more than {MAX_EVENTS_AT_ONCE} events at {event.start.astimezone(UTC):%Y-%m-%d %H:%M} UTC")


def _event_text(event: icalendar.Component) -> CalendarEventText:
    summary, description = (
        _to_text(event.get(name))[:longest] for name, longest in zip(("SUMMARY", "DESCRIPTION"), MAX_TEXT_LENGTHS, strict=True)
    )
    mail = (str(value) for value in _to_list(event.get("ATTENDEE")))
    attendees = tuple(address[7:].strip() for address in mail if address[:7].lower() == "mailto:")
    return CalendarEventText(summary=summary, attendees=attendees[:MAX_EVENTS_AT_ONCE], description=description)


def _to_text(value: Any) -> str:
    return str(next(iter(_to_list(value)), ""))


def _to_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _event_times(value: Any) -> Iterator[Any]:
    return (each.dt for each in value.dts) if hasattr(value, "dts") else iter([value.dt])


def _is_floating(at: Any) -> bool:
    return isinstance(at[0] if isinstance(at, tuple) else at, datetime) and (at[0] if isinstance(at, tuple) else at).tzinfo is None


def _event_name(event: icalendar.Component) -> str:
    return f"the event {_one_line(_to_text(event.get('SUMMARY')))!r} ({_one_line(_to_text(event.get('UID')))})"


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)[:120]


PARSE_CPU_SECONDS = 30
PARSE_TIMEOUT = 60.0  # seconds of the clock on the wall, because the machine has other work
PARSE_MEMORY_BYTES = 1 << 30  # bytes of addresses; ten megabytes of events take half of it
_EXIT_REFUSED = 3  # exit code: standard output says what is wrong

_encode_calendar = msgspec.msgpack.Encoder().encode
_decode_calendar = msgspec.msgpack.Decoder(Calendar).decode


async def parse_in_process(data: bytes, zone: str, start: datetime, end: datetime) -> Calendar:
    """What parse.work_out says of a text, within the limits. Raises BadCalendar."""
    command = [sys.executable, "-m", "amproxy.calendars.parse", zone, repr(start.timestamp()), repr(end.timestamp())]
    try:
        child = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL)
    except OSError as error:
        raise BadCalendar(f"the calendar cannot be worked out on this machine now: {error.strerror}") from None
    try:
        async with asyncio.timeout(PARSE_TIMEOUT):
            said, _ = await child.communicate(data)
    except TimeoutError:
        raise BadCalendar("the calendar takes too long to work out") from None
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
    if child.returncode == _EXIT_REFUSED:
        raise BadCalendar(said.decode())
    if child.returncode != 0:
        raise BadCalendar("the calendar takes too much time or memory to work out")
    return _decode_calendar(said)


def _worker_main(zone: str, start: str, end: str) -> int:
    os.nice(10)
    resource.setrlimit(resource.RLIMIT_CPU, (PARSE_CPU_SECONDS, PARSE_CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (PARSE_MEMORY_BYTES, PARSE_MEMORY_BYTES))
    pass

    data = sys.stdin.buffer.read()
    try:
        said, code = _encode_calendar(parse_calendar(data, ZoneInfo(zone), utc(float(start)), utc(float(end)))), 0
    except BadCalendar as error:
        said, code = str(error).encode(errors="replace"), _EXIT_REFUSED
    sys.stdout.buffer.write(said)
    return code


if __name__ == "__main__":
    sys.exit(_worker_main(*sys.argv[1:]))
