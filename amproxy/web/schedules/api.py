"""/api/v1/oncall and /api/v1/schedules: who is on call, and overrides made by hand.

What the API shows of final shifts and of the hours that people worked. Pure.

/api/v1/schedules/{name}/…: the final shifts, the hours that people worked, and how good the plan is.
"""

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
from amproxy.oncall.quality import DoubleBooking, assess_quality, find_double_bookings, unbroken_periods
from amproxy.reports.export import csv_text
from amproxy.respond import schedule_changes as by_hand
from amproxy.shifts.final import FinalShift, final_shifts, recorded_on_call, schedule_zone
from amproxy.simulation.oncall import DEFAULT_REPORT_PERIOD as REPORT_SPAN
from amproxy.simulation.oncall import hours_report, quality_report
from amproxy.store import schedule_changes
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import require_role, set_audit_text
from amproxy.web.http.request import invalid, parse_json_body, parse_time_param
from amproxy.web.incidents import views
from amproxy.web.incidents.api import json_response
from amproxy.web.incidents.views import View


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
            Route("/api/v1/schedules/{name}/overrides/{id}", self.delete_override, methods=["DELETE"]),
        ]

    async def on_call(self, request: Request) -> Response:
        """Every schedule, now or at a moment; without offset that is wall-clock time of each schedule's zone.

        A moment of the past is answered as it was written down.
        """
        asked, now, context = request.query_params.get("at"), utc(self._context.now()), self._context
        return json_response(
            [
                views.on_call_view(
                    await recorded_on_call(context, schedule.name, parse_time_param(asked, "at", schedule.timezone) if asked else now)
                )
                for schedule in context.config.schedules.values()
            ]
        )

    async def overrides(self, request: Request) -> Response:
        """Those of the file, then those made by hand in the order in which they were made."""
        schedule = find_schedule(self._context, request)
        made = (await schedule_changes.load_overrides(self._context.wire)).get(schedule.name, ())
        return json_response([views.override_view(one, schedule) for one in (*schedule.overrides, *made)])

    async def add_override(self, request: Request) -> Response:
        schedule = find_schedule(self._context, request)
        require_role(request, "responder", team=schedule.team)
        body = await parse_json_body(request, CreateOverrideRequest)
        start, end = parse_time_param(body.start, "start", schedule.timezone), parse_time_param(body.end, "end", schedule.timezone)
        made = await by_hand.add_override(self._context, schedule, user=body.user, start=start, end=end, reason=body.reason or "")
        set_audit_text(request, f"override of schedule {schedule.name}: {body.user} from {body.start} to {body.end}")
        return json_response(views.override_view(made, schedule), 201)

    async def delete_override(self, request: Request) -> Response:
        schedule = find_schedule(self._context, request)
        require_role(request, "responder", team=schedule.team)
        await by_hand.delete_override(self._context, schedule, request.path_params["id"])
        set_audit_text(request, f"took back an override of schedule {schedule.name}")
        return Response(status_code=204)


def find_schedule(context: Context, request: Request) -> Schedule:
    """The schedule that an address names. Raises NotFound."""
    name = request.path_params["name"]
    schedule = context.config.schedules.get(name)
    if schedule is None:
        raise NotFound(f"there is no schedule {name[:60]}")
    return schedule


SHIFT_COLUMNS = (
    "user", "full_name", "schedule", "start", "end", "start_utc", "end_utc", "hours", "night_hours", "weekend_hours", "day_hours", "layer",
    "override", "reason", "recorded",
)  # fmt: skip
TOTAL_COLUMNS = (
    "user",
    "full_name",
    "schedule",
    "hours",
    "night_hours",
    "weekend_hours",
    "day_hours",
    "nights",
    "weekends",
    "shifts",
    "recorded",
)


def final_shift_view(value: FinalShift, zone: str) -> View:
    """One shift, with what it is for each of its people. zone: of the schedule."""
    return {
        "start": rfc3339(value.start.timestamp()),
        "end": rfc3339(value.end.timestamp()),
        "start_local": _local_time(value.start, zone),
        "end_local": _local_time(value.end, zone),
        "users": [person.user for person in value.people],
        "people": [_person_view(person) | hours_report(_sum_hours([(value, person)])) for person in value.people],
        "reason": value.reason,
        "layer": value.layer or None,
        "override": value.override or None,
        "recorded": value.recorded,
    }


def shift_rows(shifts: Iterable[FinalShift], schedule: str, zone: str) -> list[View]:
    """One row for each person and shift, with the columns ROW."""
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
    """Person → what they did, each on their own clock."""
    return {user: _sum_hours(parts) for user, parts in _shifts_by_person(shifts).items()}


def total_rows(shifts: Sequence[FinalShift], schedule: str) -> list[View]:
    """What each person did, with the columns TOTAL, by name. A shift that goes on for another reason is one."""
    people = _shifts_by_person(shifts)
    spans = unbroken_periods((value.start, value.end, [person.user for person in value.people]) for value in shifts)
    return [
        _person_view(parts[-1][1])
        | {"schedule": schedule}
        | hours_report(_sum_hours(parts))
        | {"shifts": len(spans[user]), "recorded": all(value.recorded for value, _ in parts)}
        for user, parts in sorted(people.items())
    ]


def _shifts_by_person(shifts: Iterable[FinalShift]) -> dict[str, list[tuple[FinalShift, RecordedPerson]]]:
    people: dict[str, list[tuple[FinalShift, RecordedPerson]]] = {}
    for value in shifts:
        for person in value.people:
            people.setdefault(person.user, []).append((value, person))
    return people


def _sum_hours(parts: Iterable[tuple[FinalShift, RecordedPerson]]) -> Hours:
    return count_hours((value.start, value.end, person.timezone) for value, person in parts)


def _person_view(person: RecordedPerson) -> View:
    return {"user": person.user, "full_name": person.full_name or None}


def _local_time(at: datetime, zone: str) -> str:
    return at.astimezone(ZoneInfo(zone)).isoformat(timespec="milliseconds")


DEFAULT_SHIFTS_PERIOD = timedelta(days=28)  # of shifts and hours, where `to` is not given
MAX_SHIFTS_PERIOD = timedelta(days=366)

_ACCEPT_QUALITY: Final = re.compile(r"\s*;\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*$", re.ASCII | re.IGNORECASE)


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
        name, zone, found = await self._final(request)
        if _wants_csv(request):
            return _csv_response(csv_text(SHIFT_COLUMNS, shift_rows(found, name, zone)), "shifts")
        return json_response([final_shift_view(shift, zone) for shift in found])

    async def hours(self, request: Request) -> Response:
        name, _, found = await self._final(request)
        totals = total_rows(found, name)
        return _csv_response(csv_text(TOTAL_COLUMNS, totals), "hours") if _wants_csv(request) else json_response(totals)

    async def quality(self, request: Request) -> Response:
        """Of the plan in force: what is written down of the past is not looked at."""
        name, query = request.path_params["name"], request.query_params
        schedule = self._context.config.schedules.get(name)
        if schedule is None:
            raise NotFound(f"there is no schedule {name[:60]}")
        start = parse_time_param(query["from"], "from", schedule.timezone) if query.get("from") else utc(self._context.now())
        days = query.get("days") or str(REPORT_SPAN.days)
        if not re.fullmatch("[0-9]{1,3}", days, re.ASCII) or not 1 <= int(days) <= MAX_SHIFTS_PERIOD.days:
            raise invalid(f"days is a number from 1 to {MAX_SHIFTS_PERIOD.days}")
        end, roster = start + timedelta(days=int(days)), self._context.roster
        found: list[DoubleBooking] = []
        for other in roster.config.schedules:
            if other != name:
                found += find_double_bookings(roster, name, other, start, end)
                await asyncio.sleep(0)  # a push that came in meanwhile goes first
        return json_response(quality_report(assess_quality(roster, name, start, end, found)))

    async def _final(self, request: Request) -> tuple[str, str, list[FinalShift]]:
        """The schedule, its zone and its shifts between `from` and `to`. Raises NotFound, HTTPException 422, StoreUnavailable."""
        name, query = request.path_params["name"], request.query_params
        zone = await schedule_zone(self._context, name)
        start: datetime = parse_time_param(query["from"], "from", zone) if query.get("from") else utc(self._context.now())
        end = parse_time_param(query["to"], "to", zone) if query.get("to") else start + DEFAULT_SHIFTS_PERIOD
        if not start < end <= start + MAX_SHIFTS_PERIOD:
            raise invalid(f"to must lie after from, by {MAX_SHIFTS_PERIOD.days} days at most")
        return name, zone, await final_shifts(self._context, name, start, end)


def _wants_csv(request: Request) -> bool:
    """`format` decides; without it what the caller accepts, JSON where it likes both as well. Raises HTTPException 422."""
    wanted = request.query_params.get("format")
    if wanted:
        if wanted not in ("csv", "json"):
            raise invalid(f"format is csv or json, not {wanted[:60]!r}")
        return wanted == "csv"
    liked = {"text/csv": 0.0, "application/json": 0.0}
    for entry in request.headers.get("accept", "").split(","):
        kind, quality_given = entry.partition(";")[0].strip().lower(), _ACCEPT_QUALITY.search(entry)
        if kind in liked:
            liked[kind] = float(quality_given[1]) if quality_given else 1.0
    return liked["text/csv"] > liked["application/json"]


def _csv_response(text: str, name: str) -> Response:
    headers: dict[str, Any] = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return Response(text, headers=headers, media_type="text/csv; header=present")
