"""/api/v1/oncall and /api/v1/schedules: who is on call, and overrides made by hand."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from amproxy.clock import utc
from amproxy.config.structs import Schedule
from amproxy.context import Context
from amproxy.errors import NotFound
from amproxy.respond import schedule_changes as by_hand
from amproxy.shifts.final import on_call_then
from amproxy.store import overrides
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import require, say
from amproxy.web.http.request import json_body, time
from amproxy.web.incidents import views
from amproxy.web.incidents.api import json


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
        made = (await overrides.load_all(self._context.wire)).get(schedule.name, ())
        return json([views.override(one, schedule) for one in (*schedule.overrides, *made)])

    async def add_override(self, request: Request) -> Response:
        schedule = schedule_of(self._context, request)
        require(request, "responder", team=schedule.team)
        body = await json_body(request, OverrideBody)
        start, end = time(body.start, "start", schedule.timezone), time(body.end, "end", schedule.timezone)
        made = await by_hand.add(self._context, schedule, user=body.user, start=start, end=end, reason=body.reason or "")
        say(request, f"override of schedule {schedule.name}: {body.user} from {body.start} to {body.end}")
        return json(views.override(made, schedule), 201)

    async def delete_override(self, request: Request) -> Response:
        schedule = schedule_of(self._context, request)
        require(request, "responder", team=schedule.team)
        await by_hand.take_back(self._context, schedule, request.path_params["id"])
        say(request, f"took back an override of schedule {schedule.name}")
        return Response(status_code=204)


def schedule_of(context: Context, request: Request) -> Schedule:
    """The schedule that an address names. Raises NotFound."""
    name = request.path_params["name"]
    schedule = context.config.schedules.get(name)
    if schedule is None:
        raise NotFound(f"there is no schedule {name[:60]}")
    return schedule
