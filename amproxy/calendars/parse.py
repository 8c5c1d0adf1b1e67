"""Parse a calendar's text (RFC 5545) into its events of a period, in a process with limits.

No event is left out in silence, for it might be somebody's shift: one that cannot be read is an
empty shift, and a problem to be shown (repair.py). The text comes from outside, so this refuses
what the libraries do not: rules that repeat every second, more events than any roster has.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from heapq import heappop, heappush
from typing import Any, Final
from zoneinfo import ZoneInfo

import icalendar
import msgspec
import recurring_ical_events

from amproxy.calendars.process import EXIT_REFUSED, MAX_CALENDAR_BYTES
from amproxy.calendars.repair import (
    empty_series,
    noted_problem,
    one_line,
    repair_events,
    split_by_uid,
    to_list,
    to_text,
    unfold,
    written_duration,
)
from amproxy.clock import utc
from amproxy.errors import BadCalendar
from amproxy.oncall.calendars import Calendar, CalendarEvent, CalendarEventText, CalendarProblem
from amproxy.text import Moment, phrase
from amproxy.times import to_utc, wall_to_utc

MAX_EVENTS = 30_000  # of the period, each repetition counted
MAX_EVENTS_AT_ONCE: Final = 50
MAX_PROBLEMS: Final = 100  # that are kept
MAX_TEXT_LENGTHS: Final = (500, 1000)  # characters of SUMMARY and of DESCRIPTION that are used

PARSE_CPU_SECONDS: Final = 30
PARSE_MEMORY_BYTES: Final = 1 << 30  # of addresses; ten megabytes of events take half of it

_DAY: Final = timedelta(days=1)

_encode_calendar = msgspec.msgpack.Encoder().encode
# Of the reason for which a calendar cannot be used.
_encode_words = msgspec.msgpack.Encoder().encode


def parse_calendar(data: bytes, zone: ZoneInfo, start: datetime, end: datetime) -> Calendar:
    """Return all events that touch the period from `start` to `end` (UTC), with repetitions.

    zone: of floating times, and of whole days where the calendar names no zone of its own. Pure,
    but without bounds on its time. Raises BadCalendar.
    """
    if len(data) > MAX_CALENDAR_BYTES:
        raise BadCalendar(phrase("calendar.too_large", most=MAX_CALENDAR_BYTES >> 20))
    reading = _Reading(zone, start, end)
    try:
        for calendar in _read_calendars(data):
            reading.add_calendar(calendar)
    except BadCalendar:
        raise
    except MemoryError:
        raise BadCalendar(phrase("calendar.too_much_memory")) from None
    except Exception as error:  # noqa: BLE001  see _Reading
        # Counted as `invalid` (amproxy_calendar_fetch_total); the calendar of before stays.
        raise BadCalendar(phrase("calendar.unreadable", said=_said(error))) from None
    events = reading.events
    events.sort(key=lambda event: (event.start, event.end, event.text))
    _refuse_crowded(events)
    return Calendar(
        start=start,
        end=end,
        texts=tuple(reading.texts),
        events=tuple(events),
        problems=tuple(reading.problems[:MAX_PROBLEMS]),
    )


class _Reading:
    """The events of one text as they are found.

    The libraries raise anything for a broken text, and all of it means the same.
    """

    def __init__(self, zone: ZoneInfo, start: datetime, end: datetime) -> None:
        self._zone, self._start, self._end = zone, start, end
        self.texts: dict[CalendarEventText, int] = {}  # → its index
        self.events: list[CalendarEvent] = []
        self.problems: list[CalendarProblem] = []

    def add_calendar(self, calendar: icalendar.Component) -> None:
        """Add the events of a period. Raises BadCalendar, or anything that the libraries raise."""
        days = _calendar_zone(calendar) or self._zone
        self.problems += repair_events(calendar, days, self._zone)
        try:
            self.events += self._expand(calendar, days)
        except (BadCalendar, MemoryError):
            raise
        except Exception:  # see the docstring of the class
            by_uid = split_by_uid(calendar)
            if len(by_uid) < 2:
                raise
            # One series out of several breaks the library: it must not take the others along.
            for series in by_uid:
                self.events += self._expand_alone(series, days)

    def _expand_alone(self, series: icalendar.Component, days: ZoneInfo) -> list[CalendarEvent]:
        try:
            return self._expand(series, days)
        except (BadCalendar, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001  see the docstring of the class
            reason = phrase("calendar.event_unread", said=_said(error))
            self.problems.append(empty_series(series, reason, days, self._zone))
            return self._expand(series, days)

    def _expand(self, calendar: icalendar.Component, days: ZoneInfo) -> list[CalendarEvent]:
        found: list[CalendarEvent] = []
        start, end = self._start, self._end
        for occurrence, since, until in _occurrences(calendar, days, self._zone, start, end):
            # The repetitions of an event share one text.
            text = self.texts.setdefault(_event_text(occurrence), len(self.texts))
            found.append(CalendarEvent(since, until, text))
            if len(self.events) + len(found) > MAX_EVENTS:
                first, last = f"{start:%Y-%m-%d}", f"{end:%Y-%m-%d}"
                raise BadCalendar(
                    phrase("calendar.too_many", most=MAX_EVENTS, first=first, last=last)
                )
        return found


def _said(error: Exception) -> str:
    """The words of a library about something that it cannot read."""
    return one_line(f"{type(error).__name__}: {error}")


def _read_calendars(data: bytes) -> list[icalendar.Component]:
    text = unfold(data)
    if text[:15].upper() != "BEGIN:VCALENDAR":
        raise BadCalendar(phrase("calendar.none"))
    # The library remembers zones that calendars describe: those of another must not count here.
    icalendar.timezone.tzp.use_default()
    calendars = icalendar.Calendar.from_ical(text, multiple=True)
    if not calendars:
        raise BadCalendar(phrase("calendar.cut_off"))
    return list(calendars)


def _occurrences(
    calendar: icalendar.Component, days: ZoneInfo, zone: ZoneInfo, start: datetime, end: datetime
) -> Iterator[tuple[icalendar.Component, datetime, datetime]]:
    """Each event that takes place, with its start and end in UTC."""
    query = recurring_ical_events.CalendarQuery(calendar)
    # A day more at both ends: the library compares whole days and floating times without a zone.
    for occurrence in query.between(start - _DAY, end + _DAY):
        since, until = _period(occurrence, days, zone)
        cancelled = str(occurrence.get("STATUS", "")).upper() == "CANCELLED"
        if since < min(until, end) and start < until and not cancelled:
            yield occurrence, since, until


def _period(occurrence: Any, days: ZoneInfo, zone: ZoneInfo) -> tuple[datetime, datetime]:
    first: Any = occurrence["DTSTART"].dt
    last: Any = occurrence["DTEND"].dt
    if first == last and not isinstance(first, datetime):
        last = first + _DAY  # some programs write a single whole day so
    since, until = _event_time_to_utc(first, days, zone), _event_time_to_utc(last, days, zone)
    length: timedelta = last - first
    written = written_duration(occurrence)
    # A period of RDATE may have another length than the DURATION of its event.
    if written and length == written.days + written.exact and isinstance(first, datetime):
        until = _event_time_to_utc(first + written.days, days, zone) + written.exact
    elif until <= since and length:
        # All of it lies in an hour that the clock skips. No shift may vanish.
        until = since + length
    return since, until


def _calendar_zone(calendar: icalendar.Component) -> ZoneInfo | None:
    named = icalendar.timezone.tzp.timezone(str(calendar.get("X-WR-TIMEZONE", "")) or "-")
    return named if isinstance(named, ZoneInfo) else None


def _event_time_to_utc(at: date | datetime, days: ZoneInfo, zone: ZoneInfo) -> datetime:
    """Return the time in UTC. RFC 5545 counts a time in a skipped hour from before the jump."""
    if not isinstance(at, datetime):
        midnight = datetime.combine(at, time())
        return wall_to_utc(midnight, days)
    return to_utc(at if at.tzinfo else at.replace(tzinfo=zone)).replace(microsecond=0)


def _refuse_crowded(events: list[CalendarEvent]) -> None:
    ends: list[datetime] = []  # a heap: of the events that are going on
    for event in events:
        while ends and ends[0] <= event.start:
            heappop(ends)
        heappush(ends, event.end)
        if len(ends) > MAX_EVENTS_AT_ONCE:
            at = Moment(event.start.timestamp())
            raise BadCalendar(phrase("calendar.crowded", most=MAX_EVENTS_AT_ONCE, at=at))


def _event_text(event: icalendar.Component) -> CalendarEventText:
    summary, description = (
        to_text(event.get(name))[:longest]
        for name, longest in zip(("SUMMARY", "DESCRIPTION"), MAX_TEXT_LENGTHS, strict=True)
    )
    addresses = (str(value) for value in to_list(event.get("ATTENDEE")))
    attendees = tuple(
        address[7:].strip() for address in addresses if address[:7].lower() == "mailto:"
    )
    return CalendarEventText(
        summary=summary,
        attendees=attendees[:MAX_EVENTS_AT_ONCE],
        description=description,
        problem=noted_problem(event),
    )


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
        output, code = _encode_words(error.words), EXIT_REFUSED
    sys.stdout.buffer.write(output)
    return code


if __name__ == "__main__":
    sys.exit(_worker_main(*sys.argv[1:]))
