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
from amproxy.model import OnDuty
from amproxy.oncall.hours import Hours, hours
from amproxy.oncall.quality import Double, doubles, quality, stretches
from amproxy.reports.export import table
from amproxy.respond import schedule_changes as by_hand
from amproxy.shifts.final import FinalShift, final_shifts, on_call_then, zone_of
from amproxy.simulation.oncall import SPAN as REPORT_SPAN
from amproxy.simulation.oncall import report, worked
from amproxy.store import schedule_changes
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import require, say
from amproxy.web.http.request import invalid, json_body, time
from amproxy.web.incidents import views
from amproxy.web.incidents.api import json
from amproxy.web.incidents.views import View


class OverrideBody(msgspec.Struct, forbid_unknown_fields=True):
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
        return json(
            [
                views.on_call(await on_call_then(context, schedule.name, time(asked, "at", schedule.timezone) if asked else now))
                for schedule in context.config.schedules.values()
            ]
        )

    async def overrides(self, request: Request) -> Response:
        """Those of the file, then those made by hand in the order in which they were made."""
        schedule = schedule_of(self._context, request)
        made = (await schedule_changes.load_overrides(self._context.wire)).get(schedule.name, ())
        return json([views.override(one, schedule) for one in (*schedule.overrides, *made)])

    async def add_override(self, request: Request) -> Response:
        schedule = schedule_of(self._context, request)
        require(request, "responder", team=schedule.team)
        body = await json_body(request, OverrideBody)
        start, end = time(body.start, "start", schedule.timezone), time(body.end, "end", schedule.timezone)
        made = await by_hand.add_override(self._context, schedule, user=body.user, start=start, end=end, reason=body.reason or "")
        say(request, f"override of schedule {schedule.name}: {body.user} from {body.start} to {body.end}")
        return json(views.override(made, schedule), 201)

    async def delete_override(self, request: Request) -> Response:
        schedule = schedule_of(self._context, request)
        require(request, "responder", team=schedule.team)
        await by_hand.delete_override(self._context, schedule, request.path_params["id"])
        say(request, f"took back an override of schedule {schedule.name}")
        return Response(status_code=204)


def schedule_of(context: Context, request: Request) -> Schedule:
    """The schedule that an address names. Raises NotFound."""
    name = request.path_params["name"]
    schedule = context.config.schedules.get(name)
    if schedule is None:
        raise NotFound(f"there is no schedule {name[:60]}")
    return schedule


ROW = (
    "user", "full_name", "schedule", "start", "end", "start_utc", "end_utc", "hours", "night_hours", "weekend_hours", "day_hours", "layer",
    "override", "reason", "recorded",
)  # fmt: skip
TOTAL = ("user", "full_name", "schedule", "hours", "night_hours", "weekend_hours", "day_hours", "nights", "weekends", "shifts", "recorded")


def final_shift_view(value: FinalShift, zone: str) -> View:
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


def total_rows(shifts: Sequence[FinalShift], schedule: str) -> list[View]:
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


SPAN = timedelta(days=28)  # of shifts and hours, where `to` is not given
LONGEST_SPAN = timedelta(days=366)

_QUALITY: Final = re.compile(r"\s*;\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*$", re.ASCII | re.IGNORECASE)


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
            return _csv(table(ROW, rows(found, name, zone)), "shifts")
        return json([final_shift_view(shift, zone) for shift in found])

    async def hours(self, request: Request) -> Response:
        name, _, found = await self._final(request)
        totals = total_rows(found, name)
        return _csv(table(TOTAL, totals), "hours") if _wants_csv(request) else json(totals)

    async def quality(self, request: Request) -> Response:
        """Of the plan in force: what is written down of the past is not looked at."""
        name, query = request.path_params["name"], request.query_params
        schedule = self._context.config.schedules.get(name)
        if schedule is None:
            raise NotFound(f"there is no schedule {name[:60]}")
        start = time(query["from"], "from", schedule.timezone) if query.get("from") else utc(self._context.now())
        days = query.get("days") or str(REPORT_SPAN.days)
        if not re.fullmatch("[0-9]{1,3}", days, re.ASCII) or not 1 <= int(days) <= LONGEST_SPAN.days:
            raise invalid(f"days is a number from 1 to {LONGEST_SPAN.days}")
        end, roster = start + timedelta(days=int(days)), self._context.roster
        found: list[Double] = []
        for other in roster.config.schedules:
            if other != name:
                found += doubles(roster, name, other, start, end)
                await asyncio.sleep(0)  # a push that came in meanwhile goes first
        return json(report(quality(roster, name, start, end, found)))

    async def _final(self, request: Request) -> tuple[str, str, list[FinalShift]]:
        """The schedule, its zone and its shifts between `from` and `to`. Raises NotFound, HTTPException 422, StoreUnavailable."""
        name, query = request.path_params["name"], request.query_params
        zone = await zone_of(self._context, name)
        start: datetime = time(query["from"], "from", zone) if query.get("from") else utc(self._context.now())
        end = time(query["to"], "to", zone) if query.get("to") else start + SPAN
        if not start < end <= start + LONGEST_SPAN:
            raise invalid(f"to must lie after from, by {LONGEST_SPAN.days} days at most")
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
        kind, quality_given = entry.partition(";")[0].strip().lower(), _QUALITY.search(entry)
        if kind in liked:
            liked[kind] = float(quality_given[1]) if quality_given else 1.0
    return liked["text/csv"] > liked["application/json"]


def _csv(text: str, name: str) -> Response:
    headers: dict[str, Any] = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return Response(text, headers=headers, media_type="text/csv; header=present")
