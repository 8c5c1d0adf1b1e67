"""The shifts that our own calendars show, each from its true beginning to its true end.

Our own calendars, which other programs read: the shifts of a schedule or of a person, as RFC 5545 has it.

What is exported is read back as the same shifts (parse.py): the words of each event name its people and nobody else.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Protocol

import icalendar
import msgspec

from amproxy.config.structs import Config, User
from amproxy.context import Context
from amproxy.oncall.calendars import PeopleIndex
from amproxy.oncall.roster import Shift
from amproxy.shifts import final
from amproxy.shifts.final import FinalShift
from amproxy.store.calendars import Feed

_SEARCH_STEPS = (timedelta(days=8), timedelta(days=64), timedelta(days=400))  # how far a shift at the edge is followed


class ShiftsQuery(Protocol):
    async def __call__(self, schedule: str, start: datetime, end: datetime) -> list[Shift]:
        """As Roster.shifts."""


def final_shifts_query(context: Context) -> ShiftsQuery:
    """Where the shifts of all calendars of ours come from."""

    async def shifts(schedule: str, start: datetime, end: datetime) -> list[Shift]:
        await asyncio.sleep(0)  # it may take milliseconds, and a push that came in meanwhile goes first
        return [_to_roster_shift(one) for one in await final.final_shifts(context, schedule, start, end)]

    return shifts


def _to_roster_shift(one: FinalShift) -> Shift:
    users = tuple(person.user for person in one.people)
    return Shift(start=one.start, end=one.end, users=users, reason=one.reason, layer=one.layer, override=one.override)


async def whole_shifts(shifts: ShiftsQuery, schedule: str, start: datetime, end: datetime) -> list[Shift]:
    """All shifts with people that touch the time from `start` to `end`, not cut off at these.

    One that goes on for more than a year before or after is cut off where this search ends.
    """
    found = await shifts(schedule, start, end)
    if found:
        first, last = found[0], found[-1]
        found[0] = msgspec.structs.replace(found[0], start=await _true_start(shifts, schedule, first))
        found[-1] = msgspec.structs.replace(found[-1], end=await _true_end(shifts, schedule, last))
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


EXPORT_BEHIND, EXPORT_AHEAD = timedelta(days=15), timedelta(days=180)
EXPORT_REFRESH = timedelta(hours=1)  # how often readers are asked to come back


async def export_calendar(config: Config, feed: Feed, shifts: ShiftsQuery, now: datetime) -> bytes | None:
    """The calendar of a feed, the same all day while its shifts stay the same; None where the file does not know its schedule or person."""
    if feed.name not in (config.schedules if feed.kind == "schedule" else config.users):
        return None
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    people, of = PeopleIndex(config.users), feed.name if feed.kind == "user" else ""
    calendar = _empty_calendar(f"{_display_name(config.users[of]) if of else feed.name} on call")
    for schedule in config.schedules if of else (feed.name,):
        for shift in await whole_shifts(shifts, schedule, day - EXPORT_BEHIND, day + EXPORT_AHEAD):
            if of in ("", *shift.users):
                users = (of,) if of else shift.users
                calendar.add_component(_shift_event(schedule, shift, _event_summary(users, schedule, config.users, people), of, day))
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


def _shift_event(schedule: str, shift: Shift, summary: str, of: str, day: datetime) -> icalendar.Event:
    event = icalendar.Event()
    event.add("UID", _event_uid(schedule, shift, of, day))
    event.add("DTSTAMP", day)
    event.add("DTSTART", shift.start.replace(microsecond=0))
    event.add("DTEND", shift.end.replace(microsecond=0))
    event.add("SUMMARY", _one_line_text(summary))
    event.add("DESCRIPTION", _one_line_text(shift.reason))
    event.add("TRANSP", "TRANSPARENT")  # whoever is on call is free for other things
    return event


def _event_uid(schedule: str, shift: Shift, of: str, day: datetime) -> str:
    """The same for the same shift, whoever has it. Shifts of a schedule do not overlap, so that their beginning tells them apart.

    A beginning that was not found (shifts.py) moves on with each day: such a shift is called by that.
    """
    since = shift.start.isoformat() if shift.start > day - timedelta(days=366) else "always"
    return hashlib.sha256("\0".join((of, schedule, since)).encode()).hexdigest()[:32] + "@amproxy"


def _event_summary(users: tuple[str, ...], schedule: str, known: Mapping[str, User], people: PeopleIndex) -> str:
    """Full names where these are understood, names otherwise; without the schedule where its name would name somebody else."""
    full = _join_names([_display_name(known[name]) if name in known else name for name in users])
    plain = _join_names(list(users))
    choices = (f"{full} on call for {schedule}", f"{plain} on call for {schedule}", full, plain)
    return next((text for text in choices if people.named(text) == users), choices[1])


def _one_line_text(text: str) -> icalendar.vText:
    """In one line: some readers end a line at characters that RFC 5545 does not escape."""
    return icalendar.vText("".join(char if char.isprintable() else " " for char in text))


def _display_name(user: User) -> str:
    return user.full_name or user.name


def _join_names(names: list[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
