"""/api/v1/schedules/{name}/swaps and /api/v1/swaps: offer shifts to others, take over theirs."""

from __future__ import annotations

import msgspec
from starlette.requests import Request

from amproxy.model import Swap
from amproxy.respond import schedule_changes
from amproxy.web.http.api import Created, JsonBody, operation
from amproxy.web.http.audited import swap_phrase, swap_taken_phrase
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import (
    principal_of,
    require_role,
    require_swap,
    resolve_actor,
    set_audit_phrase,
)
from amproxy.web.http.request import known_user, parse_time_param
from amproxy.web.schedules.api import find_schedule
from amproxy.web.schedules.views import SwapView, swap_view


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

    @operation(
        "schedules",
        "GET /api/v1/schedules/{name:path}/swaps",
        "listSwaps",
        "Swaps that were asked for",
    )
    async def index(self, request: Request) -> list[SwapView]:
        """Those of a schedule, in the order in which they begin."""
        schedule = find_schedule(self._context, request)
        await self._context.load_schedule_changes()
        swaps = self._context.schedule_changes.swaps.get(schedule.name, ())
        return [self._view(swap) for swap in swaps]

    @operation(
        "schedules",
        "POST /api/v1/schedules/{name:path}/swaps",
        "askForSwap",
        "Ask others to take over shifts",
        errors=(409,),
    )
    async def create(
        self, request: Request, body: JsonBody[CreateSwapRequest]
    ) -> Created[SwapView]:
        schedule = find_schedule(self._context, request)
        given = await body.read()
        # People may offer their own shifts, whichever team the schedule belongs to.
        if given.user != principal_of(request).user:
            require_role(request, "responder", team=schedule.team)
        swap = await schedule_changes.create_swap(
            self._context,
            schedule,
            user=given.user,
            start=parse_time_param(given.start, "start", schedule.timezone),
            end=parse_time_param(given.end, "end", schedule.timezone),
            reason=given.reason or "",
            by=resolve_actor(request, known_user(self._context, given.by)),
        )
        set_audit_phrase(request, swap_phrase("asked", swap))
        return Created(self._view(swap))

    @operation(
        "schedules",
        "POST /api/v1/swaps/{id}/take",
        "takeSwap",
        "Take over the shifts of a swap",
        errors=(409,),
    )
    async def accept(self, request: Request, body: JsonBody[TakeSwapRequest]) -> SwapView:
        given = await body.read()
        by = resolve_actor(request, known_user(self._context, given.by))
        await require_swap(request, self._context, request.path_params["id"])
        swap = await schedule_changes.accept_swap(
            self._context, request.path_params["id"], user=given.user, by=by
        )
        set_audit_phrase(request, swap_taken_phrase(swap))
        return self._view(swap)

    @operation(
        "schedules", "POST /api/v1/swaps/{id}/untake", "untakeSwap", "Give them back", errors=(409,)
    )
    async def give_back(self, request: Request, body: JsonBody[UntakeSwapRequest]) -> SwapView:
        given = await body.read()
        by = resolve_actor(request, known_user(self._context, given.by))
        await require_swap(request, self._context, request.path_params["id"])
        swap = await schedule_changes.return_swap(self._context, request.path_params["id"], by=by)
        set_audit_phrase(request, swap_phrase("returned", swap))
        return self._view(swap)

    @operation(
        "schedules", "DELETE /api/v1/swaps/{id}", "deleteSwap", "Forget a swap", errors=(409,)
    )
    async def delete(self, request: Request) -> None:
        await require_swap(request, self._context, request.path_params["id"])
        swap = await schedule_changes.delete_swap(self._context, request.path_params["id"])
        set_audit_phrase(request, swap_phrase("deleted", swap))

    def _view(self, swap: Swap) -> SwapView:
        return swap_view(swap, self._context.roster, self._context.now())
