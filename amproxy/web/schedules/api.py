"""/api/v1/oncall and /api/v1/schedules: who is on call, overrides, shifts, hours and quality."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime, timedelta
from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request

from amproxy.clock import utc
from amproxy.config.structs import Schedule
from amproxy.context import Context
from amproxy.errors import NotFound
from amproxy.oncall.quality import DoubleBooking, assess_quality, find_double_bookings
from amproxy.reports.export import csv_text
from amproxy.respond.schedule_changes import add_override, delete_override
from amproxy.shifts.final import FinalShift, final_shifts, recorded_on_call, schedule_zone
from amproxy.simulation.oncall import (
    DEFAULT_REPORT_PERIOD,
    OnCallView,
    QualityView,
    on_call_view,
    quality_view,
)
from amproxy.store.schedule_changes import load_overrides
from amproxy.text import Phrase
from amproxy.web.http.api import Created, CsvResponse, JsonBody, operation
from amproxy.web.http.audited import override_deleted_phrase, override_phrase
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import require_role, set_audit_phrase
from amproxy.web.http.query import time_meta
from amproxy.web.http.request import invalid, parse_time_param
from amproxy.web.schedules import views

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
    """Times without offset are wall-clock times of the schedule's zone; `user` null: nobody."""

    user: str | None
    start: str
    end: str
    reason: str | None = None


class OncallParameters(msgspec.Struct, frozen=True):
    at: Annotated[
        str, time_meta("Then instead of now. Without offset, on each schedule's clock.")
    ] = ""


class _FromParameters(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    from_: Annotated[
        str, time_meta("The beginning; now unless given. Without offset, on the schedule's clock.")
    ] = ""


class ShiftsParameters(_FromParameters, frozen=True, kw_only=True):
    to: Annotated[str, time_meta("The end, excluded; 28 days later unless given.")] = ""
    format: Annotated[
        Literal["json", "csv"] | UnsetType,
        msgspec.Meta(description="Without it the header Accept decides."),
    ] = UNSET


class QualityParameters(_FromParameters, frozen=True, kw_only=True):
    days: Annotated[
        int,
        msgspec.Meta(
            ge=1, le=MAX_SHIFTS_PERIOD.days, description="How much of the plan is looked at."
        ),
    ] = DEFAULT_REPORT_PERIOD.days


class OncallApi:
    def __init__(self, deps: Deps) -> None:
        self._context = deps.context

    @operation("schedules", "GET /api/v1/oncall", "showOnCall", "Who is on call, for each schedule")
    async def on_call(self, request: Request, query: OncallParameters) -> list[OnCallView]:
        """Every schedule, now or at a time; without offset on the wall clock of each schedule.

        A time in the past is answered as it was recorded.
        """
        text, now, context = query.at, utc(self._context.now()), self._context
        found = []
        for schedule in context.config.schedules.values():
            at = parse_time_param(text, "at", schedule.timezone) if text else now
            found.append(on_call_view(await recorded_on_call(context, schedule.name, at)))
        return found

    @operation(
        "schedules",
        "GET /api/v1/schedules/{name:path}/overrides",
        "listOverrides",
        "Overrides of the file and by hand",
    )
    async def overrides(self, request: Request) -> list[views.OverrideView]:
        """Those of the file, then those made by hand in the order in which they were made."""
        schedule = find_schedule(self._context, request)
        by_hand = (await load_overrides(self._context.wire)).get(schedule.name, ())
        overrides = (*schedule.overrides, *by_hand)
        return [views.override_view(one, schedule) for one in overrides]

    @operation(
        "schedules",
        "POST /api/v1/schedules/{name:path}/overrides",
        "addOverride",
        "Put somebody on call",
        errors=(409,),
    )
    async def add_override(
        self, request: Request, body: JsonBody[CreateOverrideRequest]
    ) -> Created[views.OverrideView]:
        schedule = find_schedule(self._context, request)
        require_role(request, "responder", team=schedule.team)
        given = await body.read()
        start = parse_time_param(given.start, "start", schedule.timezone)
        end = parse_time_param(given.end, "end", schedule.timezone)
        made = await add_override(
            *(self._context, schedule),
            user=given.user,
            start=start,
            end=end,
            reason=given.reason or "",
        )
        set_audit_phrase(request, override_phrase(schedule.name, given.user, start, end))
        return Created(views.override_view(made, schedule))

    @operation(
        "schedules",
        "DELETE /api/v1/schedules/{name:path}/overrides/{id}",
        "deleteOverride",
        "Take an override by hand back",
        errors=(409,),
    )
    async def delete_override(self, request: Request) -> None:
        schedule = find_schedule(self._context, request)
        require_role(request, "responder", team=schedule.team)
        await delete_override(self._context, schedule, request.path_params["id"])
        set_audit_phrase(request, override_deleted_phrase(schedule.name))


class ShiftsApi:
    def __init__(self, deps: Deps) -> None:
        self._context = deps.context

    @operation(
        "schedules",
        "GET /api/v1/schedules/{name:path}/shifts",
        "listShifts",
        "The final shifts: as they were, and as they will be",
    )
    async def shifts(
        self, request: Request, query: ShiftsParameters
    ) -> list[views.FinalShiftView] | CsvResponse:
        """As JSON one entry for each shift, as CSV one row for each person and shift."""
        name, zone, final = await self._final_shifts(request, query)
        if _wants_csv(request, query):
            rows = views.shift_rows(final, name, zone)
            return _csv_response(csv_text(SHIFT_COLUMNS, rows), "shifts")
        return [views.final_shift_view(shift, zone) for shift in final]

    @operation(
        "schedules",
        "GET /api/v1/schedules/{name:path}/hours",
        "listHours",
        "The hours that each person worked",
    )
    async def hours(
        self, request: Request, query: ShiftsParameters
    ) -> list[views.HoursView] | CsvResponse:
        name, _, final = await self._final_shifts(request, query)
        totals = views.hours_views(final, name)
        if _wants_csv(request, query):
            rows = map(msgspec.structs.asdict, totals)
            return _csv_response(csv_text(TOTAL_COLUMNS, rows), "hours")
        return totals

    @operation(
        "schedules",
        "GET /api/v1/schedules/{name:path}/quality",
        "judgeSchedule",
        "How good the plan is",
    )
    async def quality(self, request: Request, query: QualityParameters) -> QualityView:
        """The quality of the plan in force; recorded shifts of the past play no part."""
        schedule, roster = find_schedule(self._context, request), self._context.roster
        start = self._start(query, schedule.timezone)
        end = start + timedelta(days=query.days)
        doubles: list[DoubleBooking] = []
        for other in roster.config.schedules:
            if other != schedule.name:
                doubles += find_double_bookings(roster, schedule.name, other, start, end)
                await asyncio.sleep(0)  # a push that came in meanwhile goes first
        quality = assess_quality(roster, schedule.name, start, end, doubles)
        return quality_view(quality)

    async def _final_shifts(
        self, request: Request, query: ShiftsParameters
    ) -> tuple[str, str, list[FinalShift]]:
        """The schedule, its zone and its shifts between `from` and `to`.

        Raises NotFound, HTTPException 422, StoreUnavailable.
        """
        name, text = request.path_params["name"], query.to
        # The schedule may be gone from the file: its shifts of the past can still be read.
        zone = await schedule_zone(self._context, name)
        start = self._start(query, zone)
        end = parse_time_param(text, "to", zone) if text else start + DEFAULT_SHIFTS_PERIOD
        if not start < end <= start + MAX_SHIFTS_PERIOD:
            raise invalid(Phrase("refusal.period_days", {"days": MAX_SHIFTS_PERIOD.days}))
        return name, zone, await final_shifts(self._context, name, start, end)

    def _start(self, query: _FromParameters, zone: str) -> datetime:
        """The time of `from`, by default now. Raises HTTPException 422."""
        return (
            parse_time_param(query.from_, "from", zone) if query.from_ else utc(self._context.now())
        )


def find_schedule(context: Context, request: Request) -> Schedule:
    """The schedule that an address names. Raises NotFound."""
    name = request.path_params["name"]
    schedule = context.config.schedules.get(name)
    if schedule is None:
        raise NotFound(Phrase("refusal.no_schedule", {"schedule": name[:60]}))
    return schedule


def _wants_csv(request: Request, query: ShiftsParameters) -> bool:
    """`format` decides, else the Accept header; JSON where that prefers neither."""
    if query.format:
        return query.format == "csv"
    qualities = {"text/csv": 0.0, "application/json": 0.0}
    for entry in request.headers.get("accept", "").split(","):
        media, quality = (entry.partition(";")[0].strip().lower(), _ACCEPT_QUALITY.search(entry))
        if media in qualities:
            qualities[media] = float(quality[1]) if quality else 1.0
    return qualities["text/csv"] > qualities["application/json"]


def _csv_response(text: str, name: str) -> CsvResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return CsvResponse(text, headers=headers, media_type="text/csv; header=present")
