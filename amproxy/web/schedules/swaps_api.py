"""/api/v1/schedules/{name}/swaps and /api/v1/swaps: offer shifts to others, take over theirs."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from amproxy.clock import rfc3339
from amproxy.model import Swap
from amproxy.oncall.roster import Roster
from amproxy.oncall.swaps import swap_state
from amproxy.respond import schedule_changes
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import (
    principal_of,
    require_role,
    require_swap,
    resolve_actor,
    set_audit_text,
)
from amproxy.web.http.request import known_user, parse_json_body, parse_time_param
from amproxy.web.http.response import View, json_response
from amproxy.web.incidents import views
from amproxy.web.schedules.api import find_schedule


class CreateSwapRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A swap of the shifts of `user`; `by`: the person who asks, if somebody else.

    Times without offset are wall-clock times of the schedule's zone.
    """

    user: str
    start: str
    end: str
    by: str | None = None
    reason: str | None = None


class TakeSwapRequest(msgspec.Struct, forbid_unknown_fields=True):
    """`user` takes over the shifts; `by`: the person who says so, if somebody else."""

    user: str
    by: str | None = None


class UntakeSwapRequest(msgspec.Struct, forbid_unknown_fields=True):
    by: str | None = None


class SwapsApi:
    def __init__(self, deps: Deps) -> None:
        self._context = deps.context

    def routes(self) -> list[Route]:
        return [
            Route("/api/v1/schedules/{name}/swaps", self.index, methods=["GET"]),
            Route("/api/v1/schedules/{name}/swaps", self.create, methods=["POST"]),
            Route("/api/v1/swaps/{id}/take", self.accept, methods=["POST"]),
            Route("/api/v1/swaps/{id}/untake", self.give_back, methods=["POST"]),
            Route("/api/v1/swaps/{id}", self.delete, methods=["DELETE"]),
        ]

    async def index(self, request: Request) -> Response:
        """Those of a schedule, in the order in which they begin."""
        schedule = find_schedule(self._context, request)
        await self._context.load_schedule_changes()
        swaps = self._context.schedule_changes.swaps.get(schedule.name, ())
        return json_response([self._view(swap) for swap in swaps])

    async def create(self, request: Request) -> Response:
        schedule = find_schedule(self._context, request)
        body = await parse_json_body(request, CreateSwapRequest)
        # People may offer their own shifts, whichever team the schedule belongs to.
        if body.user != principal_of(request).user:
            require_role(request, "responder", team=schedule.team)
        swap = await schedule_changes.create_swap(
            self._context,
            schedule,
            user=body.user,
            start=parse_time_param(body.start, "start", schedule.timezone),
            end=parse_time_param(body.end, "end", schedule.timezone),
            reason=body.reason or "",
            by=resolve_actor(request, known_user(self._context, body.by)),
        )
        set_audit_text(
            request, f"asked for a swap in schedule {swap.schedule}: shifts of {swap.user}"
        )
        return json_response(self._view(swap), 201)

    async def accept(self, request: Request) -> Response:
        body = await parse_json_body(request, TakeSwapRequest)
        by = resolve_actor(request, known_user(self._context, body.by))
        await require_swap(request, self._context, request.path_params["id"])
        swap = await schedule_changes.accept_swap(
            self._context, request.path_params["id"], user=body.user, by=by
        )
        set_audit_text(
            request,
            f"swap in schedule {swap.schedule}: {swap.taken_by} takes over shifts of {swap.user}",
        )
        return json_response(self._view(swap))

    async def give_back(self, request: Request) -> Response:
        body = await parse_json_body(request, UntakeSwapRequest)
        by = resolve_actor(request, known_user(self._context, body.by))
        await require_swap(request, self._context, request.path_params["id"])
        swap = await schedule_changes.return_swap(self._context, request.path_params["id"], by=by)
        set_audit_text(
            request, f"swap in schedule {swap.schedule}: shifts of {swap.user} are open again"
        )
        return json_response(self._view(swap))

    async def delete(self, request: Request) -> Response:
        await require_swap(request, self._context, request.path_params["id"])
        await schedule_changes.delete_swap(self._context, request.path_params["id"])
        return Response(status_code=204)

    def _view(self, swap: Swap) -> View:
        return swap_view(swap, self._context.roster, self._context.now())


def swap_view(swap: Swap, roster: Roster, now: float) -> View:
    """One swap with the shifts of `user` that it is about, as they are without it.

    now: Unix seconds.
    """
    # The schedule may be gone from the file since.
    shifts = roster.swapped_shifts(swap) if swap.schedule in roster.config.schedules else []
    return {
        "id": swap.id,
        "schedule": swap.schedule,
        "state": swap_state(swap, now),
        "user": swap.user,
        "start": rfc3339(swap.start),
        "end": rfc3339(swap.end),
        "reason": swap.reason or None,
        "asked_by": swap.asked_by or None,
        "asked_at": rfc3339(swap.asked_at),
        "taken_by": swap.taken_by or None,
        "taken_through": swap.taken_through or None,
        "taken_at": rfc3339(swap.taken_at),
        "shifts": [views.planned_shift_view(shift) for shift in shifts],
    }
