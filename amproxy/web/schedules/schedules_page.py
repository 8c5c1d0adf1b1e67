"""The page of all schedules: who is on call now and next, and a strip of the next days for each."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from amproxy.clock import utc
from amproxy.config.structs import Schedule
from amproxy.oncall.roster import OnCall
from amproxy.web.http.deps import Deps
from amproxy.web.http.request import invalid
from amproxy.web.http.templates import Looks, acting, language
from amproxy.web.schedules.bars import bar
from amproxy.web.schedules.schedule_rows import planned
from amproxy.web.schedules.shown_span import known_zone
from amproxy.web.schedules.timeline import Band, Span, Track, bands, midnight
from amproxy.web.schedules.words import Speaker

DAYS: Final = 14


class Listed(NamedTuple):
    """One schedule in the list."""

    schedule: Schedule
    on_call: OnCall
    bands: list[Band]  # a week each
    uncovered: float  # seconds of these days without anybody


class SchedulesPage:
    def __init__(self, deps: Deps, looks: Looks) -> None:
        self._context, self._looks = deps.context, looks

    def routes(self) -> list[Route]:
        return [Route("/schedules", self.show, methods=["GET"])]

    async def show(self, request: Request) -> HTMLResponse:
        context = self._context
        zone = self._zone(request)
        now, clock = utc(context.now()), ZoneInfo(zone)
        today: date = now.astimezone(clock).date()
        span = Span(midnight(today, clock), midnight(today + timedelta(days=DAYS), clock))
        rows = []
        for schedule in context.config.schedules.values():
            roster = context.roster
            entries = planned(roster.shifts(schedule.name, now, span.end))
            uncovered = sum((one.end - one.start).total_seconds() for one in entries if not one.people)
            rows.append(
                Listed(schedule, roster.on_call(schedule.name, now), bands(span, [Track("final", "", entries)], clock, now), uncovered)
            )
            await asyncio.sleep(0)  # a push that came in meanwhile goes first
        speaker = Speaker(context.config.users, language(request), clock, context.now())
        return await self._looks.page(
            request, "schedules.html", clock=zone, rows=rows, axis=bands(span, [], clock, now), speaker=speaker, bar=bar
        )

    def _zone(self, request: Request) -> str:
        """The one of the address, else the reader's, else that of the first schedule."""
        user, schedules = acting(request, self._context), self._context.config.schedules
        try:
            asked = known_zone(request.query_params.get("zone") or "UTC")
        except ValueError as error:
            raise invalid(str(error)) from None
        if request.query_params.get("zone"):
            return asked
        if user:
            return self._context.config.users[user].timezone
        return next((one.timezone for one in schedules.values()), asked)
