"""Calendars for tests: short texts become the long ones of RFC 5545."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from amproxy.calendars.parse import parse_calendar
from amproxy.config.structs import Absence, Config, FilePlace, Ical, Override, Route, Schedule, User
from amproxy.oncall.calendars import Calendar, ScheduleCalendars
from amproxy.oncall.roster import Roster

BERLIN = "Europe/Berlin"
START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def wall(text: str) -> datetime:
    return datetime.fromisoformat(text)


def ics(*events: str, head: str = "") -> bytes:
    """Properties of an event, or of the calendar (`head`), are divided by "|"; each event has a UID of its own unless it gives one."""
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//tests//EN",
        *filter(None, head.split("|")),
    ]
    for number, event in enumerate(events):
        given = event.split("|")
        uid = [] if any(line.startswith("UID:") for line in given) else [f"UID:{number}@tests"]
        lines += ["BEGIN:VEVENT", *uid, "DTSTAMP:20260101T000000Z", *given, "END:VEVENT"]
    return "\r\n".join([*lines, "END:VCALENDAR", ""]).encode()


def parsed(
    *events: str, head: str = "", zone: str = BERLIN, start: datetime = START, end: datetime = END
) -> Calendar:
    return parse_calendar(ics(*events, head=head), ZoneInfo(zone), start, end)


def spans(calendar: Calendar, zone: str = BERLIN) -> list[str]:
    """Each event as "2026-03-28 09:00 2026-03-28 17:00 Alice", on the clock of a zone."""
    return [
        f"{event.start.astimezone(ZoneInfo(zone)):%m-%d %H:%M} {event.end.astimezone(ZoneInfo(zone)):%m-%d %H:%M}"
        f" {calendar.texts[event.text].summary}"
        for event in calendar.events
    ]


USERS = {
    "alice": User(
        name="alice",
        full_name="Alice Ash",
        contacts={"email": "Alice@Example.org", "console": "here"},
    ),
    "bob": User(
        name="bob", full_name="Bob Birch", contacts={"email": "bob@example.org", "telegram": "1111"}
    ),
    "carol": User(name="carol", full_name="Cedar, Carol"),
    "ann": User(name="ann"),
}


def roster(
    primary: Calendar | None,
    overrides: Calendar | None = None,
    *,
    absent: Mapping[str, tuple[str, str]] | None = None,
    file_overrides: tuple[Override, ...] = (),
    by_hand: tuple[Override, ...] = (),
) -> Roster:
    """One schedule "db" with calendars; `absent`: person → (start, end) in UTC."""
    users = {
        name: User(
            name=name,
            full_name=user.full_name,
            contacts=user.contacts,
            absences=tuple(
                Absence(start=wall(span[0]), end=wall(span[1]))
                for who, span in (absent or {}).items()
                if who == name
            ),
        )
        for name, user in USERS.items()
    }
    schedule = Schedule(
        name="db",
        timezone="UTC",
        ical=Ical(file="db.ics"),
        overrides=file_overrides,
        place=FilePlace(file="routes.yaml", line=7, column=5),
    )
    config = Config(
        route=Route(receiver="default", key="{}"), users=users, schedules={"db": schedule}
    )
    return Roster(config, {"db": by_hand}, calendars={"db": ScheduleCalendars(primary, overrides)})
