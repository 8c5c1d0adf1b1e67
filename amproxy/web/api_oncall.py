"""/api/v1/oncall and /api/v1/schedules: who is on call, the final shifts, and overrides made by hand."""

from __future__ import annotations

from datetime import timedelta

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from amproxy.clock import utc
from amproxy.config.structs import Override, Schedule
from amproxy.errors import NotFound
from amproxy.machine.change import new_id
from amproxy.store import overrides
from amproxy.web import views
from amproxy.web.api_incidents import json
from amproxy.web.deps import Deps
from amproxy.web.principal import require, say
from amproxy.web.reading import invalid, json_body, known_user, time

SPAN = timedelta(days=28)  # of shifts, where `to` is not given
LONGEST_SPAN = timedelta(days=366)


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
            Route("/api/v1/schedules/{name}/shifts", self.shifts, methods=["GET"]),
            Route("/api/v1/schedules/{name}/overrides", self.overrides, methods=["GET"]),
            Route("/api/v1/schedules/{name}/overrides", self.add_override, methods=["POST"]),
            Route("/api/v1/schedules/{name}/overrides/{id}", self.delete_override, methods=["DELETE"]),
        ]

    async def on_call(self, request: Request) -> Response:
        """Every schedule, now or at a moment; without offset that is wall-clock time of each schedule's zone."""
        asked, now, roster = request.query_params.get("at"), utc(self._context.now()), self._context.roster
        return json(
            [
                views.on_call(roster.on_call(schedule.name, time(asked, "at", schedule.timezone) if asked else now))
                for schedule in self._context.config.schedules.values()
            ]
        )

    async def shifts(self, request: Request) -> Response:
        schedule, query = self._schedule(request), request.query_params
        start = time(query["from"], "from", schedule.timezone) if query.get("from") else utc(self._context.now())
        end = time(query["to"], "to", schedule.timezone) if query.get("to") else start + SPAN
        if not start < end <= start + LONGEST_SPAN:
            raise invalid(f"to must lie after from, by {LONGEST_SPAN.days} days at most")
        return json([views.shift(shift) for shift in self._context.roster.shifts(schedule.name, start, end)])

    async def overrides(self, request: Request) -> Response:
        """Those made by hand, in the order in which they were made."""
        schedule = self._schedule(request)
        kept = await overrides.load_all(self._context.wire)
        return json([views.override(one, schedule.name) for one in kept.get(schedule.name, ())])

    async def add_override(self, request: Request) -> Response:
        schedule = self._schedule(request)
        require(request, "responder", team=schedule.team)
        body = await json_body(request, OverrideBody)
        user = known_user(self._context, body.user)
        start, end = time(body.start, "start", schedule.timezone), time(body.end, "end", schedule.timezone)
        if not user:
            raise invalid("an override needs a user")
        if end <= start:
            raise invalid("the end of an override must lie after its start")
        made = Override(users=(user,), start=start, end=end, reason=(body.reason or "").strip(), id=new_id())
        await overrides.save(self._context.wire, schedule.name, made, self._context.now())
        await self._use()
        say(request, f"override of schedule {schedule.name}: {user} from {body.start} to {body.end}")
        return json(views.override(made, schedule.name), 201)

    async def delete_override(self, request: Request) -> Response:
        schedule = self._schedule(request)
        require(request, "responder", team=schedule.team)
        await overrides.delete(self._context.wire, schedule.name, request.path_params["id"])
        await self._use()
        say(request, f"took back an override of schedule {schedule.name}")
        return Response(status_code=204)

    async def _use(self) -> None:
        """The next answer of this process follows the change; other processes hear of it."""
        self._context.use_overrides(await overrides.load_all(self._context.wire))

    def _schedule(self, request: Request) -> Schedule:
        name = request.path_params["name"]
        schedule = self._context.config.schedules.get(name)
        if schedule is None:
            raise NotFound(f"there is no schedule {name[:60]}")
        return schedule
