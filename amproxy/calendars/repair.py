"""Bring the events of a calendar into one form, and say which of them cannot be read.

Programs bend RFC 5545: zones by names of their own, the end of a rule as a day, a whole day meant
by an instant. What has one meaning is given it. An event that has none becomes an empty shift, at
the time that is known of it: it may be somebody's, but nobody can tell whose, or when.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import icalendar
import msgspec
from icalendar.prop import vBroken, vDDDLists, vDDDTypes, vText

from amproxy.calendars.zones import find_zone
from amproxy.errors import BadCalendar
from amproxy.oncall.calendars import CalendarProblem
from amproxy.text import Phrase, phrase
from amproxy.times import wall_to_utc

FREQUENCIES: Final = ("HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY")
# Properties that this adds to events. An event that brings one along loses it.
PROBLEM, WRITTEN_DURATION = "X-AMPROXY-PROBLEM", "X-AMPROXY-DURATION"

_encode_phrase = msgspec.json.Encoder().encode
_decode_phrase = msgspec.json.Decoder(Phrase).decode
_FOLD: Final = re.compile(rb"(?:\r\n|\n|\r)[ \t]")
_DURATION_LINE: Final = re.compile(r"^DURATION(?:;[^:\r\n]*)?:([^\r\n]*)", re.MULTILINE | re.I)
_OWN_LINE: Final = re.compile(r"^X-AMPROXY-[^\r\n]*(?:\r?\n|$)", re.MULTILINE | re.IGNORECASE)
_DURATION: Final = re.compile(
    r"\+?P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?", re.IGNORECASE
)
# Of these, one that cannot be read adds or removes an occurrence: the others stay as they are.
_SINGLE_DATES: Final = ("RDATE", "EXDATE")
_TIMES: Final = ("DTSTART", "DTEND", "DURATION", "RECURRENCE-ID", *_SINGLE_DATES)
_ONCE: Final = ("DTSTART", "DTEND", "DURATION", "RECURRENCE-ID", "SEQUENCE")
_DAY, _SECOND = timedelta(days=1), timedelta(seconds=1)
_UNKNOWN_LENGTH: Final = timedelta(hours=1)  # of an empty shift without a readable end


def unfold(data: bytes) -> str:
    """Return a calendar's text with whole lines. Raises BadCalendar where it is not UTF-8.

    Bytes are unfolded, because lines are cut by length, and so within a character. What a DURATION
    says is noted beside it: the library forgets that PT24H are hours and P1D is a day.
    """
    try:
        text = _FOLD.sub(b"", data).decode("utf-8-sig").lstrip()
    except UnicodeDecodeError:
        raise BadCalendar(phrase("calendar.wrong_encoding")) from None
    text = _OWN_LINE.sub("", text)
    return _DURATION_LINE.sub(rf"\g<0>\r\n{WRITTEN_DURATION}:\1", text)


class WrittenDuration(NamedTuple):
    """A DURATION as RFC 5545 (3.3.6) counts it: days on the calendar, then a stopwatch."""

    days: timedelta
    exact: timedelta


def written_duration(event: Any) -> WrittenDuration | None:
    """Return the DURATION of an event; None = it has none."""
    found = _DURATION.fullmatch(to_text(event.get(WRITTEN_DURATION)).strip())
    if found is None:
        return None
    weeks, days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return WrittenDuration(
        timedelta(weeks=weeks, days=days),
        timedelta(hours=hours, minutes=minutes, seconds=seconds),
    )


def repair_events(calendar: Any, days: ZoneInfo, zone: ZoneInfo) -> list[CalendarProblem]:
    """Change a calendar's events in place; return what could not be read.

    days: the zone of whole days, zone: of floating times. An event of which not even a time is
    known is taken out. Raises BadCalendar where no event of several, or of one, can be read.
    """
    problems: list[CalendarProblem] = []
    events = [event for event in calendar.walk("VEVENT") if isinstance(event, icalendar.Event)]
    clocks, unreadable = _Clocks(days, zone), 0
    for event in events:
        reasons, is_lost = _make_readable(event, zone)
        if is_lost:
            unreadable += 1
            _note_problem(event, reasons[0])
        problems += [_problem(event, reason, clocks) for reason in reasons]
    if unreadable and unreadable == len(events):
        raise BadCalendar(problems[0].phrase)
    if unreadable:
        calendar.subcomponents = [one for one in calendar.subcomponents if _has_start(one)]
    series = {_uid(event): _start(event) for event in events if _is_series(event)}
    for event in events:
        if _has_start(event):
            _set_until(event, clocks)
            _set_single_dates(event, series, clocks)
    return problems


def split_by_uid(calendar: Any) -> list[Any]:
    """Return a calendar for each of its series: an event with the edits of its occurrences."""
    series: dict[str, list[Any]] = {}
    for number, event in enumerate(calendar.walk("VEVENT")):
        series.setdefault(_uid(event) or f"event {number}", []).append(event)
    alone = []
    for events in series.values():
        copy = calendar.copy()
        copy.subcomponents = events
        alone.append(copy)
    return alone


def empty_series(series: Any, reason: Phrase, days: ZoneInfo, zone: ZoneInfo) -> CalendarProblem:
    """Leave one empty shift of a series, at its first time, and return why."""
    first = next(event for event in series.subcomponents if _has_start(event))
    # A new event: nobody knows which of the others' properties the library cannot take.
    empty = icalendar.Event()
    for name in ("UID", "SUMMARY", "DTSTART", "DTEND", "DURATION"):
        if name in first:
            empty[name] = first[name]
    _note_problem(empty, reason)
    _set_length(empty)
    series.subcomponents = [empty]
    return _problem(empty, reason, _Clocks(days, zone))


class _Clocks(NamedTuple):
    days: ZoneInfo  # of whole days
    zone: ZoneInfo  # of floating times

    def day_of(self, at: date | datetime) -> date:
        """The whole day that a day or an instant means."""
        if not isinstance(at, datetime):
            return at
        if at.tzinfo is None:
            return at.date()
        # Whole days begin at a midnight: that of the calendar's zone, of UTC, or as written.
        local = at.astimezone(self.days)
        if local.time() == time():
            return local.date()
        midnight = [one for one in (at, at.astimezone(UTC)) if one.time() == time()]
        return midnight[0].date() if midnight else local.date()


def _make_readable(event: Any, zone: ZoneInfo) -> tuple[list[Phrase], bool]:
    """Take out what cannot be read. Return the reasons, and True where the event is lost by it."""
    reasons = [
        (
            phrase("calendar.property", name=name, said=one_line(str(error))),
            name not in _SINGLE_DATES,
        )
        for name, error in event.errors
        if name in (*_TIMES, "RRULE")
    ]
    for name in (*_TIMES, "RRULE", "SEQUENCE"):
        if name in event:
            _take_out_broken(event, name)
    for name in _ONCE:
        if isinstance(event.get(name), list):
            event[name] = event[name][0]
            if name != "SEQUENCE":
                reasons.append((phrase("calendar.twice", name=name), True))
    for name in _TIMES:
        for unknown in _name_zones(event, name, zone):
            reasons.append((phrase("calendar.zone", zone=unknown), name not in _SINGLE_DATES))
    if "DTSTART" not in event and not reasons:
        reasons.append((phrase("calendar.no_start"), True))
    wrong = [found for rule in to_list(event.get("RRULE")) if (found := _rule_problem(rule))]
    if wrong:
        del event["RRULE"]
        reasons += [(found, True) for found in wrong]
    if "DTSTART" not in event and "RECURRENCE-ID" in event:
        event["DTSTART"] = vDDDTypes(event["RECURRENCE-ID"].dt)
    if "DTSTART" in event and (reason := _end_problem(event)):
        event.pop("DTEND", None)
        event.pop("DURATION", None)
        reasons.append((reason, True))
    is_lost = any(lost for _, lost in reasons)
    if is_lost and _has_start(event):
        _set_length(event)
    return [reason for reason, _ in reasons], is_lost


def _set_length(event: Any) -> None:
    """Give an event without an end one, so that its empty shift shows."""
    if not {"DTEND", "DURATION"} & event.keys():
        start = _start(event)
        length = _UNKNOWN_LENGTH if isinstance(start, datetime) else _DAY
        event["DTEND"] = vDDDTypes(start + length)


def _take_out_broken(event: Any, name: str) -> None:
    values = [value for value in to_list(event[name]) if not isinstance(value, vBroken)]
    if not values:
        del event[name]
    elif len(values) < len(to_list(event[name])):
        event[name] = values


def _name_zones(event: Any, name: str, zone: ZoneInfo) -> Iterator[str]:
    """Give times their zone by its name, and yield the names that nobody knows."""
    for value in to_list(event.get(name)):
        each = value.dts if hasattr(value, "dts") else [value]
        # Where the library does not know a zone it leaves times without one.
        if "TZID" not in value.params or not any(_is_floating(one.dt) for one in each):
            continue
        named = find_zone(str(value.params["TZID"]), zone)
        if named is None:
            yield one_line(str(value.params["TZID"]))
            continue
        for one in each:
            # RDATE may have periods: a start with an end, or with a duration.
            one.dt = (
                tuple(_in_zone(part, named) for part in one.dt)
                if isinstance(one.dt, tuple)
                else _in_zone(one.dt, named)
            )


def _in_zone(at: Any, zone: Any) -> Any:
    return at.replace(tzinfo=zone) if isinstance(at, datetime) and at.tzinfo is None else at


def _is_floating(at: Any) -> bool:
    start = at[0] if isinstance(at, tuple) else at
    return isinstance(start, datetime) and start.tzinfo is None


def _rule_problem(rule: Any) -> Phrase | None:
    frequency = str(rule.get("FREQ", [""])[0]).upper()
    if frequency not in FREQUENCIES:
        allowed, given = ", ".join(FREQUENCIES).lower(), one_line(frequency).lower()
        if not given:
            return phrase("calendar.repeats_never", known=allowed)
        return phrase("calendar.repeats", known=allowed, given=given)
    return phrase("calendar.interval") if rule.get("INTERVAL", [1])[0] < 1 else None


def _end_problem(event: Any) -> Phrase | None:
    if "DURATION" in event and event["DURATION"].dt < timedelta(0):
        return phrase("calendar.ends_before")
    if "DTEND" not in event:
        return None
    since, until = _start(event), event["DTEND"].dt
    if isinstance(since, datetime) != isinstance(until, datetime):
        return phrase("calendar.half_a_day")
    if isinstance(since, datetime) and since.tzinfo == until.tzinfo:
        # As the clock shows them: it may skip the hour of the start, and so the start itself.
        since, until = since.replace(tzinfo=None), until.replace(tzinfo=None)
    anywhere = _Clocks(ZoneInfo("UTC"), ZoneInfo("UTC"))
    is_before = _instant(until, anywhere) < _instant(since, anywhere)
    return phrase("calendar.ends_before") if is_before else None


def _set_until(event: Any, clocks: _Clocks) -> None:
    """Give the end of each rule the form of DTSTART; a day as the end includes that day."""
    start = _start(event)
    for rule in to_list(event.get("RRULE")):
        if not (given := rule.get("UNTIL")):
            continue
        until = given[0]
        if not isinstance(start, datetime):
            until = clocks.day_of(until)
        else:
            clock = start.tzinfo or clocks.zone
            if not isinstance(until, datetime):
                until = datetime.combine(until, time(), clock) + _DAY - _SECOND
            until = until if until.tzinfo else until.replace(tzinfo=clock)
            until = until.astimezone(UTC if start.tzinfo else clocks.zone)
            until = until if start.tzinfo else until.replace(tzinfo=None)
        rule["UNTIL"] = [until]


def _set_single_dates(event: Any, series: Mapping[str, date | datetime], clocks: _Clocks) -> None:
    """Give EXDATE and RECURRENCE-ID the form of the start of their series."""
    start = _start(event)
    if "EXDATE" in event and not isinstance(start, datetime):
        excluded = [clocks.day_of(one.dt) for each in to_list(event["EXDATE"]) for one in each.dts]
        event["EXDATE"] = vDDDLists(excluded)
    if "RECURRENCE-ID" not in event or _uid(event) not in series:
        return
    start, given = series[_uid(event)], event["RECURRENCE-ID"]
    if not isinstance(start, datetime):
        event["RECURRENCE-ID"] = vDDDTypes(clocks.day_of(given.dt), params=given.params)
    elif not isinstance(given.dt, datetime):
        replaced = datetime.combine(given.dt, start.timetz())
        event["RECURRENCE-ID"] = vDDDTypes(replaced, params=given.params)


def _problem(event: Any, reason: Phrase, clocks: _Clocks) -> CalendarProblem:
    start = _instant(_start(event), clocks) if _has_start(event) else None
    return CalendarProblem(event=event_name(event), reason=reason, start=start)


def _instant(at: date | datetime, clocks: _Clocks) -> datetime:
    if not isinstance(at, datetime):
        return wall_to_utc(datetime.combine(at, time()), clocks.days)
    return (at if at.tzinfo else at.replace(tzinfo=clocks.zone)).astimezone(UTC)


def _start(event: Any) -> date | datetime:
    start: date | datetime = event["DTSTART"].dt
    return start


def _has_start(component: Any) -> bool:
    return component.name != "VEVENT" or "DTSTART" in component


def _is_series(event: Any) -> bool:
    return "RECURRENCE-ID" not in event and "DTSTART" in event


def _uid(event: Any) -> str:
    return to_text(event.get("UID"))


def event_name(event: Any) -> Phrase:
    """An event's words for people, on one line."""
    summary, uid = (one_line(to_text(event.get(name))) for name in ("SUMMARY", "UID"))
    return phrase("calendar.event_name", summary=summary, uid=uid)


def _note_problem(event: Any, reason: Phrase) -> None:
    # Copies that the library makes of an event keep its texts.
    event[PROBLEM] = vText(_encode_phrase(reason).decode())


def noted_problem(event: Any) -> Phrase | None:
    """The reason why an event cannot be read, as it was noted beside it; None = it can be."""
    noted = to_text(event.get(PROBLEM))
    return _decode_phrase(noted) if noted else None


def one_line(text: str) -> str:
    """The beginning of a text from outside, without what is not printable."""
    return "".join(char if char.isprintable() else " " for char in text)[:120]


def to_text(value: Any) -> str:
    """The text of a property, of the first where there are several."""
    return str(next(iter(to_list(value)), ""))


def to_list(value: Any) -> list[Any]:
    """The values of a property, which the library gives one by one or as a list."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
