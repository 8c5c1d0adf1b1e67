"""/api/v1/oncall and /api/v1/schedules: who is on call, overrides, shifts, hours and quality."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from amproxy.clock import rfc3339, utc
from amproxy.config.structs import Schedule
from amproxy.context import Context
from amproxy.errors import NotFound
from amproxy.model import RecordedPerson
from amproxy.oncall.hours import Hours, count_hours
from amproxy.oncall.quality import (
    DoubleBooking,
    assess_quality,
    find_double_bookings,
    unbroken_periods,
)
from amproxy.reports.export import csv_text
from amproxy.respond.schedule_changes import add_override, delete_override
from amproxy.shifts.final import FinalShift, final_shifts, recorded_on_call, schedule_zone
from amproxy.simulation.oncall import DEFAULT_REPORT_PERIOD, hours_report, quality_report
from amproxy.store.schedule_changes import load_overrides
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import require_role, set_audit_text
from amproxy.web.http.request import invalid, parse_json_body, parse_time_param
from amproxy.web.http.response import View, json_response
from amproxy.web.incidents import views

SHIFT_COLUMNS = (
    *("user", "full_name", "schedule", "start", "end", "start_utc", "end_utc"),
    *("hours", "night_hours", "weekend_hours", "day_hours"),
    *("layer", "override", "reason", "recorded"),
)
TOTAL_COLUMNS = (
    *("user", "full_name", "schedule"),
    *("hours", "night_hours", "weekend_hours", "day_hours"),
    *("nights", "weekends", "shifts", "recorded"),
)
DEFAULT_SHIFTS_PERIOD = timedelta(days=28)  # of shifts and hours, where `to` is not given
MAX_SHIFTS_PERIOD = timedelta(days=366)

_ACCEPT_QUALITY: Final = re.compile(
    r"\s*;\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*$", re.ASCII | re.IGNORECASE
)


class CreateOverrideRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Times without offset are wall-clock times of the schedule's zone."""

    user: str
    start: str
    end: str
    reason: str | None = None


class OncallApi:
    def __init__(self, deps: Deps) -> None:
        self._context = deps.context

    def routes(self) -> list[Route]:
        return [
            Route("/api/v1/oncall", self.on_call, methods=["GET"]),
            Route("/api/v1/schedules/{name}/overrides", self.overrides, methods=["GET"]),
            Route("/api/v1/schedules/{name}/overrides", self.add_override, methods=["POST"]),
            Route(
                "/api/v1/schedules/{name}/overrides/{id}", self.delete_override, methods=["DELETE"]
            ),
        ]

    async def on_call(self, request: Request) -> Response:
        """Every schedule, now or at a time; without offset on the wall clock of each schedule.

        A time in the past is answered as it was recorded.
        """
        text, now, context = (
            request.query_params.get("at"),
            utc(self._context.now()),
            self._context,
        )
        found = []
        for schedule in context.config.schedules.values():
            at = parse_time_param(text, "at", schedule.timezone) if text else now
            found.append(views.on_call_view(await recorded_on_call(context, schedule.name, at)))
        return json_response(found)

    async def overrides(self, request: Request) -> Response:
        """Those of the file, then those made by hand in the order in which they were made."""
        schedule = find_schedule(self._context, request)
        by_hand = (await load_overrides(self._context.wire)).get(schedule.name, ())
        overrides = (*schedule.overrides, *by_hand)
        return json_response([views.override_view(one, schedule) for one in overrides])

    async def add_override(self, request: Request) -> Response:
        schedule = find_schedule(self._context, request)
        require_role(request, "responder", team=schedule.team)
        body = await parse_json_body(request, CreateOverrideRequest)
        start = parse_time_param(body.start, "start", schedule.timezone)
        end = parse_time_param(body.end, "end", schedule.timezone)
        made = await add_override(
            self._context, schedule, user=body.user, start=start, end=end, reason=body.reason or ""
        )
        period = f"from {body.start} to {body.end}"
        set_audit_text(request, f"override of schedule {schedule.name}: {body.user} {period}")
        return json_response(views.override_view(made, schedule), 201)

    async def delete_override(self, request: Request) -> Response:
        schedule = find_schedule(self._context, request)
        require_role(request, "responder", team=schedule.team)
        await delete_override(self._context, schedule, request.path_params["id"])
        set_audit_text(request, f"took back an override of schedule {schedule.name}")
        return Response(status_code=204)


class ShiftsApi:
    def __init__(self, deps: Deps) -> None:
        self._context = deps.context

    def routes(self) -> list[Route]:
        return [
            Route("/api/v1/schedules/{name}/shifts", self.shifts, methods=["GET"]),
            Route("/api/v1/schedules/{name}/hours", self.hours, methods=["GET"]),
            Route("/api/v1/schedules/{name}/quality", self.quality, methods=["GET"]),
        ]

    async def shifts(self, request: Request) -> Response:
        """As JSON one entry for each shift, as CSV one row for each person and shift."""
        name, zone, final = await self._final_shifts(request)
        if _wants_csv(request):
            return _csv_response(csv_text(SHIFT_COLUMNS, shift_rows(final, name, zone)), "shifts")
        return json_response([final_shift_view(shift, zone) for shift in final])

    async def hours(self, request: Request) -> Response:
        name, _, final = await self._final_shifts(request)
        totals = total_rows(final, name)
        if _wants_csv(request):
            return _csv_response(csv_text(TOTAL_COLUMNS, totals), "hours")
        return json_response(totals)

    async def quality(self, request: Request) -> Response:
        """The quality of the plan in force; recorded shifts of the past play no part."""
        schedule, roster = find_schedule(self._context, request), self._context.roster
        start = self._start(request, schedule.timezone)
        days = request.query_params.get("days") or str(DEFAULT_REPORT_PERIOD.days)
        most = MAX_SHIFTS_PERIOD.days
        if not re.fullmatch("[0-9]{1,3}", days, re.ASCII) or not 1 <= int(days) <= most:
            raise invalid(f"days is a number from 1 to {most}")
        end = start + timedelta(days=int(days))
        doubles: list[DoubleBooking] = []
        for other in roster.config.schedules:
            if other != schedule.name:
                doubles += find_double_bookings(roster, schedule.name, other, start, end)
                await asyncio.sleep(0)  # a push that came in meanwhile goes first
        quality = assess_quality(roster, schedule.name, start, end, doubles)
        return json_response(quality_report(quality))

    async def _final_shifts(self, request: Request) -> tuple[str, str, list[FinalShift]]:
        """The schedule, its zone and its shifts between `from` and `to`.

        Raises NotFound, HTTPException 422, StoreUnavailable.
        """
        name, text = request.path_params["name"], request.query_params.get("to")
        # The schedule may be gone from the file: its shifts of the past can still be read.
        zone = await schedule_zone(self._context, name)
        start = self._start(request, zone)
        end = parse_time_param(text, "to", zone) if text else start + DEFAULT_SHIFTS_PERIOD
        if not start < end <= start + MAX_SHIFTS_PERIOD:
            raise invalid(f"to must lie after from, by {MAX_SHIFTS_PERIOD.days} days at most")
        return name, zone, await final_shifts(self._context, name, start, end)

    def _start(self, request: Request, zone: str) -> datetime:
        """The time of `from`, by default now. Raises HTTPException 422."""
        text = request.query_params.get("from")
        return parse_time_param(text, "from", zone) if text else utc(self._context.now())


def find_schedule(context: Context, request: Request) -> Schedule:
    """The schedule that an address names. Raises NotFound."""
    name = request.path_params["name"]
    schedule = context.config.schedules.get(name)
    if schedule is None:
        raise NotFound(f"there is no schedule {name[:60]}")
    return schedule


def _wants_csv(request: Request) -> bool:
    """`format` decides, else the Accept header; JSON where that prefers neither.

    Raises HTTPException 422.
    """
    name = request.query_params.get("format")
    if name:
        if name not in ("csv", "json"):
            raise invalid(f"format is csv or json, not {name[:60]!r}")
        return name == "csv"
    qualities = {"text/csv": 0.0, "application/json": 0.0}
    for entry in request.headers.get("accept", "").split(","):
        media, quality = (entry.partition(";")[0].strip().lower(), _ACCEPT_QUALITY.search(entry))
        if media in qualities:
            qualities[media] = float(quality[1]) if quality else 1.0
    return qualities["text/csv"] > qualities["application/json"]


def _csv_response(text: str, name: str) -> Response:
    headers: dict[str, Any] = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return Response(text, headers=headers, media_type="text/csv; header=present")


def final_shift_view(value: FinalShift, zone: str) -> View:
    """One shift with the hours of each of its people. zone: of the schedule."""
    return {
        "start": rfc3339(value.start.timestamp()),
        "end": rfc3339(value.end.timestamp()),
        "start_local": _local_time(value.start, zone),
        "end_local": _local_time(value.end, zone),
        "users": [person.user for person in value.people],
        "people": [
            _person_view(person) | hours_report(_sum_hours([(value, person)]))
            for person in value.people
        ],
        "reason": value.reason,
        "layer": value.layer or None,
        "override": value.override or None,
        "recorded": value.recorded,
    }


def shift_rows(shifts: Iterable[FinalShift], schedule: str, zone: str) -> list[View]:
    """One row for each person and shift, with SHIFT_COLUMNS."""
    return [
        _person_view(person)
        | hours_report(_sum_hours([(value, person)]))
        | {
            "schedule": schedule,
            "start": _local_time(value.start, zone),
            "end": _local_time(value.end, zone),
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


def hours_by_person(shifts: Iterable[FinalShift]) -> dict[str, Hours]:
    """Person → their hours; nights and weekends are those of their own clock."""
    return {user: _sum_hours(theirs) for user, theirs in _shifts_by_person(shifts).items()}


def total_rows(shifts: Sequence[FinalShift], schedule: str) -> list[View]:
    """The totals of each person by name, with TOTAL_COLUMNS.

    A shift that goes on for another reason counts as one.
    """
    periods = unbroken_periods(
        (value.start, value.end, [person.user for person in value.people]) for value in shifts
    )
    return [
        _person_view(theirs[-1][1])
        | {"schedule": schedule}
        | hours_report(_sum_hours(theirs))
        | {"shifts": len(periods[user]), "recorded": all(value.recorded for value, _ in theirs)}
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


def _person_view(person: RecordedPerson) -> View:
    return {"user": person.user, "full_name": person.full_name or None}


def _local_time(at: datetime, zone: str) -> str:
    return at.astimezone(ZoneInfo(zone)).isoformat(timespec="milliseconds")
