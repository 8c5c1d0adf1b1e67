"""/api/v1/schedules/{name}/…: the final shifts, the hours that people worked, and how good the plan is."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime, timedelta
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from amproxy.clock import utc
from amproxy.errors import NotFound
from amproxy.oncall.quality import Double, doubles, quality
from amproxy.reports.table import table
from amproxy.shifts.final import FinalShift, final_shifts, zone_of
from amproxy.simulation.quality import SPAN as REPORT_SPAN
from amproxy.simulation.quality import report
from amproxy.web.http.deps import Deps
from amproxy.web.http.request import invalid, time
from amproxy.web.incidents.api import json
from amproxy.web.schedules import shift_views

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
            return _csv(table(shift_views.ROW, shift_views.rows(found, name, zone)), "shifts")
        return json([shift_views.shift(shift, zone) for shift in found])

    async def hours(self, request: Request) -> Response:
        name, _, found = await self._final(request)
        totals = shift_views.totals(found, name)
        return _csv(table(shift_views.TOTAL, totals), "hours") if _wants_csv(request) else json(totals)

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
