"""Shifts, hours, overrides and swaps as the API shows them, and as rows of a table. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from amproxy.clock import Timestamp, rfc3339
from amproxy.config.structs import Override, Schedule
from amproxy.model import RecordedPerson, Swap
from amproxy.oncall.hours import Hours, count_hours
from amproxy.oncall.quality import unbroken_periods
from amproxy.oncall.roster import Roster, Shift
from amproxy.oncall.swaps import SwapState, swap_state
from amproxy.shifts.final import FinalShift
from amproxy.simulation.oncall import HoursWorkedView, PeriodView, hours_worked, reason_fields
from amproxy.text.render import in_english
from amproxy.times import local_to_utc


class OverrideView(msgspec.Struct, kw_only=True):
    id: str | None  # null for one of the file
    schedule: str
    user: str | None  # null: nobody, on purpose
    start: Timestamp
    end: Timestamp
    reason: str | None


class PlannedShiftView(PeriodView, kw_only=True):
    users: tuple[str, ...]
    reason: str
    code: str | None
    arguments: dict[str, Any] | None
    layer: str | None
    override: str | None


class SwapView(msgspec.Struct, kw_only=True):
    id: str
    schedule: str
    state: SwapState
    user: str
    start: Timestamp
    end: Timestamp
    reason: str | None
    asked_by: str | None
    asked_at: Timestamp
    taken_by: str | None
    taken_through: str | None
    taken_at: Timestamp | None
    shifts: list[PlannedShiftView]  # of `user`, as they are without the swap


# Fields by place go before those by keyword: the name first.
class ShiftPersonView(HoursWorkedView):
    user: str
    full_name: str | None


class FinalShiftView(PeriodView, kw_only=True):
    start_local: Timestamp
    end_local: Timestamp
    users: list[str]
    people: list[ShiftPersonView]
    reason: str
    code: str | None
    arguments: dict[str, Any] | None
    layer: str | None
    override: str | None
    recorded: bool


class _TotalHoursView(HoursWorkedView, kw_only=True):
    shifts: int
    recorded: bool


class HoursView(_TotalHoursView):
    user: str
    full_name: str | None
    schedule: str


def planned_shift_view(value: Shift) -> PlannedShiftView:
    """One planned shift; the API of shifts has those that are final."""
    return PlannedShiftView(
        start=rfc3339(value.start.timestamp()),
        end=rfc3339(value.end.timestamp()),
        users=value.users,
        **reason_fields(value.reason),
        layer=value.layer or None,
        override=value.override or None,
    )


def override_view(value: Override, schedule: Schedule) -> OverrideView:
    zone = ZoneInfo(schedule.timezone)
    return OverrideView(
        id=value.id or None,
        schedule=schedule.name,
        user=value.users[0] if value.users else None,
        start=rfc3339(local_to_utc(value.start, zone).timestamp()),
        end=rfc3339(local_to_utc(value.end, zone).timestamp()),
        reason=value.reason or None,
    )


def swap_view(swap: Swap, roster: Roster, now: float) -> SwapView:
    """now: Unix seconds."""
    # The schedule may be gone from the file since.
    shifts = roster.swapped_shifts(swap) if swap.schedule in roster.config.schedules else []
    return SwapView(
        id=swap.id,
        schedule=swap.schedule,
        state=swap_state(swap, now),
        user=swap.user,
        start=rfc3339(swap.start),
        end=rfc3339(swap.end),
        reason=swap.reason or None,
        asked_by=swap.asked_by or None,
        asked_at=rfc3339(swap.asked_at),
        taken_by=swap.taken_by or None,
        taken_through=swap.taken_through or None,
        taken_at=rfc3339(swap.taken_at),
        shifts=[planned_shift_view(shift) for shift in shifts],
    )


def final_shift_view(value: FinalShift, zone: str) -> FinalShiftView:
    """One shift with the hours of each of its people. zone: of the schedule."""
    return FinalShiftView(
        start=rfc3339(value.start.timestamp()),
        end=rfc3339(value.end.timestamp()),
        start_local=_local_time(value.start, zone),
        end_local=_local_time(value.end, zone),
        users=[person.user for person in value.people],
        people=[_shift_person_view(value, person) for person in value.people],
        **reason_fields(value.reason),
        layer=value.layer or None,
        override=value.override or None,
        recorded=value.recorded,
    )


def _shift_person_view(shift: FinalShift, person: RecordedPerson) -> ShiftPersonView:
    return ShiftPersonView(
        user=person.user,
        full_name=person.full_name or None,
        **hours_worked(_sum_hours([(shift, person)])),
    )


def shift_rows(shifts: Iterable[FinalShift], schedule: str, zone: str) -> Iterable[dict[str, Any]]:
    """Rows of a table, one for each person and shift."""
    for value in shifts:
        for person in value.people:
            yield {
                **msgspec.structs.asdict(_shift_person_view(value, person)),
                "schedule": schedule,
                "start": _local_time(value.start, zone),
                "end": _local_time(value.end, zone),
                "start_utc": rfc3339(value.start.timestamp()),
                "end_utc": rfc3339(value.end.timestamp()),
                "layer": value.layer or None,
                "override": value.override or None,
                "reason": in_english(value.reason),
                "recorded": value.recorded,
            }


def hours_by_person(shifts: Iterable[FinalShift]) -> dict[str, Hours]:
    """Person → their hours; nights and weekends are those of their own clock."""
    return {user: _sum_hours(theirs) for user, theirs in _shifts_by_person(shifts).items()}


def hours_views(shifts: Sequence[FinalShift], schedule: str) -> list[HoursView]:
    """The totals of each person by name. A shift that goes on for another reason counts as one."""
    periods = unbroken_periods(
        (value.start, value.end, [person.user for person in value.people]) for value in shifts
    )
    return [
        HoursView(
            user=user,
            full_name=theirs[-1][1].full_name or None,
            schedule=schedule,
            **hours_worked(_sum_hours(theirs)),
            shifts=len(periods[user]),
            recorded=all(value.recorded for value, _ in theirs),
        )
        for user, theirs in sorted(_shifts_by_person(shifts).items())
    ]


def _shifts_by_person(
    shifts: Iterable[FinalShift],
) -> dict[str, list[tuple[FinalShift, RecordedPerson]]]:
    people: dict[str, list[tuple[FinalShift, RecordedPerson]]] = {}
    for value in shifts:
        for person in value.people:
            people.setdefault(person.user, []).append((value, person))
    return people


def _sum_hours(shifts: Iterable[tuple[FinalShift, RecordedPerson]]) -> Hours:
    return count_hours((value.start, value.end, person.timezone) for value, person in shifts)


def _local_time(at: datetime, zone: str) -> str:
    return at.astimezone(ZoneInfo(zone)).isoformat(timespec="milliseconds")
