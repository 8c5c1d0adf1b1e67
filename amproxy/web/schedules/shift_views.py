"""What the API shows of final shifts and of the hours that people worked. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from amproxy.clock import rfc3339
from amproxy.model import OnDuty
from amproxy.oncall.hours import Hours, hours
from amproxy.oncall.quality import stretches
from amproxy.shifts.final import FinalShift
from amproxy.simulation.quality import worked
from amproxy.web.incidents.views import View

ROW = (
    "user", "full_name", "schedule", "start", "end", "start_utc", "end_utc", "hours", "night_hours", "weekend_hours", "day_hours", "layer",
    "override", "reason", "recorded",
)  # fmt: skip
TOTAL = ("user", "full_name", "schedule", "hours", "night_hours", "weekend_hours", "day_hours", "nights", "weekends", "shifts", "recorded")


def shift(value: FinalShift, zone: str) -> View:
    """One shift, with what it is for each of its people. zone: of the schedule."""
    return {
        "start": rfc3339(value.start.timestamp()),
        "end": rfc3339(value.end.timestamp()),
        "start_local": _local(value.start, zone),
        "end_local": _local(value.end, zone),
        "users": [person.user for person in value.people],
        "people": [_named(person) | worked(_hours([(value, person)])) for person in value.people],
        "reason": value.reason,
        "layer": value.layer or None,
        "override": value.override or None,
        "recorded": value.recorded,
    }


def rows(shifts: Iterable[FinalShift], schedule: str, zone: str) -> list[View]:
    """One row for each person and shift, with the columns ROW."""
    return [
        _named(person)
        | worked(_hours([(value, person)]))
        | {
            "schedule": schedule,
            "start": _local(value.start, zone),
            "end": _local(value.end, zone),
            "start_utc": rfc3339(value.start.timestamp()),
            "end_utc": rfc3339(value.end.timestamp()),
            "layer": value.layer or None,
            "override": value.override or None,
            "reason": value.reason,
            "recorded": value.recorded,
        }
        for value in shifts
        for person in value.people
    ]


def worked_by(shifts: Iterable[FinalShift]) -> dict[str, Hours]:
    """Person → what they did, each on their own clock."""
    return {user: _hours(parts) for user, parts in _by_person(shifts).items()}


def totals(shifts: Sequence[FinalShift], schedule: str) -> list[View]:
    """What each person did, with the columns TOTAL, by name. A shift that goes on for another reason is one."""
    people = _by_person(shifts)
    spans = stretches((value.start, value.end, [person.user for person in value.people]) for value in shifts)
    return [
        _named(parts[-1][1])
        | {"schedule": schedule}
        | worked(_hours(parts))
        | {"shifts": len(spans[user]), "recorded": all(value.recorded for value, _ in parts)}
        for user, parts in sorted(people.items())
    ]


def _by_person(shifts: Iterable[FinalShift]) -> dict[str, list[tuple[FinalShift, OnDuty]]]:
    people: dict[str, list[tuple[FinalShift, OnDuty]]] = {}
    for value in shifts:
        for person in value.people:
            people.setdefault(person.user, []).append((value, person))
    return people


def _hours(parts: Iterable[tuple[FinalShift, OnDuty]]) -> Hours:
    return hours((value.start, value.end, person.timezone) for value, person in parts)


def _named(person: OnDuty) -> View:
    return {"user": person.user, "full_name": person.full_name or None}


def _local(at: datetime, zone: str) -> str:
    return at.astimezone(ZoneInfo(zone)).isoformat(timespec="milliseconds")
