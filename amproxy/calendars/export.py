"""Our own calendars (RFC 5545), for other programs: the shifts of a schedule or of a person.

An export can be imported (parse.py) as the same shifts: the text of each event names its people and
nobody else.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, Protocol

import icalendar
import msgspec

from amproxy.config.structs import Config, User
from amproxy.context import Context
from amproxy.oncall.calendars import PeopleIndex
from amproxy.oncall.roster import Shift
from amproxy.shifts.final import FinalShift, final_shifts
from amproxy.store.calendars import Feed
from amproxy.text.render import in_english

EXPORT_BEHIND, EXPORT_AHEAD = timedelta(days=15), timedelta(days=180)
EXPORT_REFRESH: Final = timedelta(hours=1)  # after which readers are asked to come back

# The search for the true end of a shift that the period cuts off: most end within days.
_SEARCH_STEPS: Final = (timedelta(days=8), timedelta(days=64), timedelta(days=400))
_ALWAYS: Final = timedelta(days=366)  # a shift that began so long ago has no known beginning


class ShiftsQuery(Protocol):
    async def __call__(self, schedule: str, start: datetime, end: datetime) -> list[Shift]:
        """Return shifts as Roster.shifts does."""


def final_shifts_query(context: Context) -> ShiftsQuery:
    """Return the query of our calendars: recorded shifts, then planned ones."""

    async def shifts(schedule: str, start: datetime, end: datetime) -> list[Shift]:
        # It may take milliseconds: a push that came in meanwhile goes first.
        await asyncio.sleep(0)
        final = await final_shifts(context, schedule, start, end)
        return [_to_roster_shift(shift) for shift in final]

    return shifts


def _to_roster_shift(shift: FinalShift) -> Shift:
    return Shift(
        start=shift.start,
        end=shift.end,
        users=tuple(person.user for person in shift.people),
        reason=shift.reason,
        layer=shift.layer,
        override=shift.override,
    )


async def whole_shifts(
    shifts: ShiftsQuery, schedule: str, start: datetime, end: datetime
) -> list[Shift]:
    """Return all shifts with people that touch the period, from their true start to true end.

    One that goes on for more than a year before or after is cut off where this search ends.
    """
    found = await shifts(schedule, start, end)
    if found:
        first, last = found[0], found[-1]
        true_start = await _true_start(shifts, schedule, first)
        true_end = await _true_end(shifts, schedule, last)
        # One after the other: the first may be the last as well.
        found[0] = msgspec.structs.replace(found[0], start=true_start)
        found[-1] = msgspec.structs.replace(found[-1], end=true_end)
    return [shift for shift in found if shift.users]


async def _true_start(shifts: ShiftsQuery, schedule: str, cut: Shift) -> datetime:
    for further in _SEARCH_STEPS:
        begins = (await shifts(schedule, cut.start - further, cut.end))[-1].start
        if begins > cut.start - further:
            break
    return begins


async def _true_end(shifts: ShiftsQuery, schedule: str, cut: Shift) -> datetime:
    for further in _SEARCH_STEPS:
        ends = (await shifts(schedule, cut.start, cut.end + further))[0].end
        if ends < cut.end + further:
            break
    return ends


async def export_calendar(
    config: Config, feed: Feed, shifts: ShiftsQuery, now: datetime
) -> bytes | None:
    """Return the calendar of a feed; None where the file does not know its schedule or person.

    It stays the same all day while its shifts do, so that a reader sees no change where none is.
    """
    if feed.name not in (config.schedules if feed.kind == "schedule" else config.users):
        return None
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    people, user = PeopleIndex(config.users), feed.name if feed.kind == "user" else ""
    calendar = _empty_calendar(
        f"{_display_name(config.users[user]) if user else feed.name} on call"
    )
    for schedule in config.schedules if user else (feed.name,):
        for shift in await whole_shifts(shifts, schedule, day - EXPORT_BEHIND, day + EXPORT_AHEAD):
            if user in ("", *shift.users):
                named = (user,) if user else shift.users
                summary = _event_summary(named, schedule, config.users, people)
                calendar.add_component(_shift_event(schedule, shift, summary, user, day))
    return bytes(calendar.to_ical())


def _empty_calendar(name: str) -> icalendar.Calendar:
    calendar = icalendar.Calendar()
    calendar.add("VERSION", "2.0")
    calendar.add("PRODID", "-//amproxy//on call//EN")
    calendar.add("METHOD", "PUBLISH")
    calendar.add("X-WR-CALNAME", _one_line_text(name))
    calendar.add("REFRESH-INTERVAL", EXPORT_REFRESH, parameters={"VALUE": "DURATION"})
    calendar.add("X-PUBLISHED-TTL", icalendar.vDuration(EXPORT_REFRESH))
    return calendar


def _shift_event(
    schedule: str, shift: Shift, summary: str, user: str, day: datetime
) -> icalendar.Event:
    event = icalendar.Event()
    event.add("UID", _event_uid(schedule, shift, user, day))
    event.add("DTSTAMP", day)
    event.add("DTSTART", shift.start.replace(microsecond=0))
    event.add("DTEND", shift.end.replace(microsecond=0))
    event.add("SUMMARY", _one_line_text(summary))
    event.add("DESCRIPTION", _one_line_text(in_english(shift.reason)))
    event.add("TRANSP", "TRANSPARENT")  # on call is not busy
    return event


def _event_uid(schedule: str, shift: Shift, user: str, day: datetime) -> str:
    """Return the id of a shift: the same whoever has it, so that a swap changes the event.

    user: of the feed, "" = it is a schedule's. Shifts of one schedule do not overlap, so that their
    start identifies them.
    """
    # A start that was not found moves on with each day, and is no identity.
    since = shift.start.isoformat() if shift.start > day - _ALWAYS else "always"
    digest = hashlib.sha256("\0".join((user, schedule, since)).encode()).hexdigest()
    return f"{digest[:32]}@amproxy"


def _event_summary(
    users: tuple[str, ...], schedule: str, known: Mapping[str, User], people: PeopleIndex
) -> str:
    """Return full names if an import understands them, else names.

    The schedule is left out where its name would name somebody else.
    """
    full = _join_names([_display_name(known[name]) if name in known else name for name in users])
    plain = _join_names(list(users))
    choices = (f"{full} on call for {schedule}", f"{plain} on call for {schedule}", full, plain)
    return next((text for text in choices if people.named(text) == users), choices[1])


def _one_line_text(text: str) -> icalendar.vText:
    # Some readers end a line at characters that RFC 5545 does not escape.
    return icalendar.vText("".join(char if char.isprintable() else " " for char in text))


def _display_name(user: User) -> str:
    return user.full_name or user.name


def _join_names(names: list[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
