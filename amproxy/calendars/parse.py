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
from amproxy.oncall.calendars import Calendar, Event, Words
from amproxy.times import instant, moment

LARGEST = 10 * 1024 * 1024  # bytes of a calendar's text
MOST = 30_000  # events between the two moments, each repetition counted
MOST_TOGETHER = 50  # events at the same time
LONGEST = (500, 1000)  # characters of SUMMARY and of DESCRIPTION that are looked at
OFTEN = ("HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY")

_DAY, _UTC = timedelta(days=1), ZoneInfo("UTC")
_TIMES = ("DTSTART", "DTEND", "DURATION", "RECURRENCE-ID", "RRULE", "RDATE", "EXDATE")


def work_out(data: bytes, zone: ZoneInfo, start: datetime, end: datetime) -> Calendar:
    """All events that touch the time from `start` to `end` (UTC).

    zone: of floating times, and of whole days where the calendar names no zone of its own. Raises BadCalendar.
    """
    if len(data) > LARGEST:
        raise BadCalendar(f"the calendar is larger than {LARGEST >> 20} MiB")
    words: dict[Words, int] = {}
    events = []
    try:
        for calendar in _calendars(data):
            for occurrence, since, until in _occurrences(calendar, zone, start, end):
                events.append(Event(since, until, words.setdefault(_words(occurrence), len(words))))
                if len(events) > MOST:
                    raise BadCalendar(f"the calendar has more than {MOST} events from {start:%Y-%m-%d} to {end:%Y-%m-%d}")
    except BadCalendar:
        raise
    except MemoryError:
        raise BadCalendar("the calendar takes too much memory to work out") from None
    except Exception as error:  # noqa: BLE001
        # The libraries raise what they like for a broken text, and each of that means the same: it is counted as `invalid`
        # (amproxy_calendar_fetch_total), and the calendar of before goes on counting.
        raise BadCalendar(f"the calendar cannot be read: {_tidy(f'{type(error).__name__}: {error}')}") from None
    events.sort(key=lambda event: (event.start, event.end, event.words))
    _refuse_a_crowd(events)
    return Calendar(start=start, end=end, words=tuple(words), events=tuple(events))


def _calendars(data: bytes) -> list[icalendar.Component]:
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
    days = _own_zone(calendar) or zone
    query = recurring_ical_events.CalendarQuery(calendar)
    # A day more at both ends, because whole days and floating times are compared without their zone.
    for occurrence in query.between(start - _DAY, end + _DAY):
        first, last = occurrence["DTSTART"].dt, occurrence["DTEND"].dt
        if first == last and not isinstance(first, datetime):
            last = first + _DAY  # some programs write a single whole day so
        since, until = _moment(first, days, zone), _moment(last, days, zone)
        if since < until and since < end and start < until and str(occurrence.get("STATUS", "")).upper() != "CANCELLED":
            yield occurrence, since, until


def _own_zone(calendar: icalendar.Component) -> ZoneInfo | None:
    named = icalendar.timezone.tzp.timezone(str(calendar.get("X-WR-TIMEZONE", "")) or "-")
    return named if isinstance(named, ZoneInfo) else None


def _moment(at: date | datetime, days: ZoneInfo, zone: ZoneInfo) -> datetime:
    """When it happens, in UTC. A time in a skipped hour is counted on from before the jump, as RFC 5545 has it."""
    if not isinstance(at, datetime):
        return moment(datetime(at.year, at.month, at.day), days)  # noqa: DTZ001 a wall-clock time
    return instant(at if at.tzinfo else at.replace(tzinfo=zone)).replace(microsecond=0)


def _refuse_doubtful(event: icalendar.Component) -> None:
    """Raises BadCalendar for an event that the libraries would read as something else than is written."""
    for name, error in event.errors:
        if name in _TIMES:
            raise BadCalendar(f"{_name(event)}: {name} cannot be read: {_tidy(str(error))}")
    if "DTSTART" not in event:
        raise BadCalendar(f"{_name(event)} has no DTSTART")
    for name in _TIMES:
        for value in _list(event.get(name)):
            if name == "RRULE":
                _refuse_rule(event, value)
            elif "TZID" in value.params and any(_floats(at) for at in _times(value)):
                raise BadCalendar(f"{_name(event)}: the time zone {_tidy(str(value.params['TZID']))!r} is not known")
    since: Any = _list(event["DTSTART"])[0].dt
    until: Any = _list(event["DTEND"])[0].dt if "DTEND" in event else None
    if until is not None and isinstance(since, datetime) != isinstance(until, datetime):
        raise BadCalendar(f"{_name(event)} begins at a time and ends on a day, or the other way round")
    if until is not None and _moment(until, _UTC, _UTC) < _moment(since, _UTC, _UTC):
        raise BadCalendar(f"{_name(event)} ends before it begins")


def _refuse_rule(event: icalendar.Component, rule: Any) -> None:
    how_often = str(rule.get("FREQ", [""])[0]).upper()
    if how_often not in OFTEN:
        raise BadCalendar(f"{_name(event)}: a shift repeats {', '.join(OFTEN).lower()}, not {_tidy(how_often).lower() or 'without FREQ'}")
    if rule.get("INTERVAL", [1])[0] < 1:
        raise BadCalendar(f"{_name(event)}: INTERVAL must be at least 1")


def _refuse_a_crowd(events: list[Event]) -> None:
    ends: list[datetime] = []
    for event in events:
        while ends and ends[0] <= event.start:
            heappop(ends)
        heappush(ends, event.end)
        if len(ends) > MOST_TOGETHER:
            raise BadCalendar(f"the calendar has more than {MOST_TOGETHER} events at {event.start.astimezone(UTC):%Y-%m-%d %H:%M} UTC")


def _words(event: icalendar.Component) -> Words:
    summary, description = (_text(event.get(name))[:longest] for name, longest in zip(("SUMMARY", "DESCRIPTION"), LONGEST, strict=True))
    mail = (str(value) for value in _list(event.get("ATTENDEE")))
    attendees = tuple(address[7:].strip() for address in mail if address[:7].lower() == "mailto:")
    return Words(summary=summary, attendees=attendees[:MOST_TOGETHER], description=description)


def _text(value: Any) -> str:
    return str(next(iter(_list(value)), ""))


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _times(value: Any) -> Iterator[Any]:
    return (each.dt for each in value.dts) if hasattr(value, "dts") else iter([value.dt])


def _floats(at: Any) -> bool:
    return isinstance(at[0] if isinstance(at, tuple) else at, datetime) and (at[0] if isinstance(at, tuple) else at).tzinfo is None


def _name(event: icalendar.Component) -> str:
    return f"the event {_tidy(_text(event.get('SUMMARY')))!r} ({_tidy(_text(event.get('UID')))})"


def _tidy(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)[:120]


CPU_SECONDS = 30
PATIENCE = 60.0  # seconds of the clock on the wall, because the machine has other work
MEMORY = 1 << 30  # bytes of addresses; ten megabytes of events take half of it
_REFUSED = 3  # exit code: standard output says what is wrong

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Calendar).decode


async def worked_out(data: bytes, zone: str, start: datetime, end: datetime) -> Calendar:
    """What parse.work_out says of a text, within the limits. Raises BadCalendar."""
    command = [sys.executable, "-m", "amproxy.calendars.parse", zone, repr(start.timestamp()), repr(end.timestamp())]
    try:
        child = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL)
    except OSError as error:
        raise BadCalendar(f"the calendar cannot be worked out on this machine now: {error.strerror}") from None
    try:
        async with asyncio.timeout(PATIENCE):
            said, _ = await child.communicate(data)
    except TimeoutError:
        raise BadCalendar("the calendar takes too long to work out") from None
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
    if child.returncode == _REFUSED:
        raise BadCalendar(said.decode())
    if child.returncode != 0:
        raise BadCalendar("the calendar takes too much time or memory to work out")
    return _decode(said)


def _main(zone: str, start: str, end: str) -> int:
    os.nice(10)
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    pass

    data = sys.stdin.buffer.read()
    try:
        said, code = _encode(work_out(data, ZoneInfo(zone), utc(float(start)), utc(float(end)))), 0
    except BadCalendar as error:
        said, code = str(error).encode(errors="replace"), _REFUSED
    sys.stdout.buffer.write(said)
    return code


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
