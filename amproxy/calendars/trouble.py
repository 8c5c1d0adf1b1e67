"""Calendars that need somebody: found for the pages, and told to the people of the schedule.

Whoever is on call by a calendar does not see that it has stopped being read, or that somebody has
emptied it: so its people are told without having asked for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import timedelta
from typing import Final, Literal, NamedTuple

from amproxy.calendars.fetch import CalendarSource, calendar_sources
from amproxy.clock import utc
from amproxy.context import Context
from amproxy.model import OutgoingMessage
from amproxy.oncall.calendars import (
    OVERRIDES_CALENDAR,
    PRIMARY_CALENDAR,
    Calendar,
    ScheduleCalendars,
)
from amproxy.oncall.notice import Notice, filter_subscribed, format_local_time
from amproxy.shifts.record import outgoing_notices
from amproxy.store import calendars
from amproxy.store.calendars import StoredCalendar
from amproxy.store.commit import Operations, commit
from amproxy.store.incidents import enqueue
from amproxy.text import Phrase, ScheduleName, Words, phrase

TroubleKind = Literal["unreadable", "empty", "events"]

# Failed checks in a row until people are told: a server that is started anew is no news. The first
# page shows it at once.
FAILURES_UNTIL_TOLD: Final = 3
_PEOPLE_AHEAD: Final = timedelta(days=28)  # its people are those on call within this time


class CalendarTrouble(NamedTuple):
    """A calendar that is not read now, has no shift ahead, or has events that cannot be read."""

    schedule: str
    calendar: str  # PRIMARY_CALENDAR or OVERRIDES_CALENDAR
    kind: TroubleKind
    reason: Words  # "" where it is empty
    good_at: float  # Unix seconds: the last time that it was read, 0 = never


def find_trouble(
    source: CalendarSource, stored: StoredCalendar, calendar: Calendar | None, now: float
) -> CalendarTrouble | None:
    """Return the trouble with a calendar; None = it is well, or was not looked at yet.

    calendar: as this process has it. now: Unix seconds.
    """
    kind: TroubleKind
    reason: Words
    if stored.error:
        kind, reason = "unreadable", stored.error
    elif calendar is None:
        return None
    elif not source.is_override and not _has_shifts_ahead(calendar, now):
        kind, reason = "empty", ""
    elif calendar.problems:
        kind, reason = "events", calendar.problems[0].phrase
    else:
        return None
    which = OVERRIDES_CALENDAR if source.is_override else PRIMARY_CALENDAR
    return CalendarTrouble(source.schedule, which, kind, reason, stored.good_at)


def _has_shifts_ahead(calendar: Calendar, now: float) -> bool:
    at = utc(now)
    return any(event.end > at for event in reversed(calendar.events))


async def load_troubles(context: Context) -> list[CalendarTrouble]:
    """Return the calendars of the file that need somebody. Raises StoreUnavailable."""
    found = []
    for source in calendar_sources(context.config):
        stored = await calendars.load_calendar(context.wire, source.id)
        calendar = used_calendar(context.calendars.get(source.schedule), source)
        if trouble := find_trouble(source, stored, calendar, context.now()):
            found.append(trouble)
    return found


def used_calendar(used: ScheduleCalendars | None, source: CalendarSource) -> Calendar | None:
    """Return the calendar of a source as it is in the roster; None = it was never loaded."""
    if used is None:
        return None
    return used.overrides if source.is_override else used.primary


async def tell_people(context: Context, source: CalendarSource, stored: StoredCalendar) -> None:
    """Tell the people of a schedule once that its calendar needs somebody, or is well again.

    All processes call it; what one has told is noted in Redis. Raises StoreUnavailable.
    """
    calendar = used_calendar(context.calendars.get(source.schedule), source)
    trouble = find_trouble(source, stored, calendar, context.now())
    if calendar is None and trouble is None:
        return
    told, known = await calendars.load_told(context.wire, source.id, source.schedule)
    operations = Operations()
    if trouble is None and (people := _people_ahead(context, source.schedule)) and people != known:
        calendars.note_people(operations, source.id, source.schedule, people)
    state = _state(trouble, calendar)
    too_early = trouble and trouble.kind == "unreadable" and stored.failures < FAILURES_UNTIL_TOLD
    messages: list[OutgoingMessage] = []
    if state != told and not too_early:
        calendars.note_told(operations, source.id, source.schedule, told, state)
        notices = _notices(context, source, trouble, known)
        messages = outgoing_notices(context, notices)
        for message in messages:
            enqueue(operations, message)
    if operations.ops and await commit(context.wire, operations) and messages:
        context.wake(outbox=True)


def _state(trouble: CalendarTrouble | None, calendar: Calendar | None) -> str:
    """The trouble in a word that changes when there is news of it; "" = none."""
    if trouble is None or calendar is None or trouble.kind != "events":
        return trouble.kind if trouble else ""
    texts = "\n".join(f"{one.event}: {one.reason}" for one in calendar.problems)
    return f"events {hashlib.sha256(texts.encode()).hexdigest()[:16]}"


def _people_ahead(context: Context, schedule: str) -> tuple[str, ...]:
    now = utc(context.now())
    shifts = context.roster.shifts(schedule, now, now + _PEOPLE_AHEAD)
    return tuple(sorted({name for shift in shifts for name in shift.users}))


def _notices(
    context: Context,
    source: CalendarSource,
    trouble: CalendarTrouble | None,
    known: Iterable[str],
) -> list[Notice]:
    """The notices to those whom it puts on call, or did; else to the team, else to the admins."""
    roster, users = context.roster, context.config.users
    names = [*known, *_people_ahead(context, source.schedule)]
    team = context.config.teams.get(context.config.schedules[source.schedule].team)
    names = names or list(team.members if team else ())
    names = names or [user.name for user in users.values() if user.role == "admin"]
    notices = []
    for user in filter_subscribed(roster, dict.fromkeys(names), "calendar_trouble"):
        subject, text = _words(source, trouble)
        if trouble and trouble.kind == "unreadable" and trouble.good_at:
            since = format_local_time(roster, utc(trouble.good_at), user)
            text = f"{text} It goes on as it was read on {since}."
        notices.append(Notice(kind="calendar_trouble", user=user, subject=subject, text=text))
    return notices


def _words(source: CalendarSource, trouble: CalendarTrouble | None) -> tuple[Phrase, str]:
    """The subject and the text of a notice."""
    kind = trouble.kind if trouble else "well"
    subject = phrase(f"notice.calendar_{kind}", schedule=ScheduleName(source.schedule))
    if trouble is None:
        return subject, f"{_begin(source)} is read again, whole."
    if trouble.kind == "unreadable":
        text = f"{_begin(source)} cannot be read: {trouble.reason}."
        if not trouble.good_at:
            text += " It was never read, so it puts nobody on call."
        return subject, text
    if trouble.kind == "empty":
        text = f"{_begin(source)} has no shift from now on, so it puts nobody on call."
        return subject, text
    text = (
        f"{_begin(source)} has an event that cannot be read: {trouble.reason}. Such an event puts"
        " nobody on call; the others count."
    )
    return subject, text


def _begin(source: CalendarSource) -> str:
    return str(source)[0].upper() + str(source)[1:]
