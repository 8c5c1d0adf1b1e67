"""Whose things a request touches: a responder acts on those of their own teams and of nobody's."""

from __future__ import annotations

from starlette.requests import Request

from amproxy.context import Context
from amproxy.errors import NotFound
from amproxy.model import Incident
from amproxy.reports.insights import concerns
from amproxy.store import incidents, swaps
from amproxy.web.http.permissions import Forbidden, Principal, may, require


def may_act(principal: Principal, incident: Incident) -> bool:
    """Whether somebody may act on an incident. Whoever was paged for it may, of whatever team: they were asked to."""
    return may(principal, "responder", _team(principal, incident))


async def require_own(request: Request, context: Context, *incident_ids: str) -> None:
    """Raises Forbidden where one of the incidents is another team's, NotFound, StoreUnavailable."""
    principal = require(request, "responder")
    if principal.role == "admin":
        return
    for incident_id in incident_ids:
        incident = await incidents.load(context.wire, incident_id)
        require(request, "responder", _team(principal, incident))


async def not_own(request: Request, context: Context, incident_ids: list[str]) -> dict[str, str]:
    """Of many incidents those that somebody may not act on: id → why. Raises StoreUnavailable."""
    refused = {}
    for incident_id in dict.fromkeys(incident_ids):
        try:
            await require_own(request, context, incident_id)
        except Forbidden as error:
            refused[incident_id] = str(error)
        except NotFound:
            continue  # said by whoever acts on it
    return refused


def _team(principal: Principal, incident: Incident) -> str:
    return "" if principal.user and concerns(incident, principal.user) else incident.team


async def require_swap(request: Request, context: Context, swap_id: str) -> None:
    """A swap is of its schedule's team, and of those between whom it is. Raises Forbidden, StoreUnavailable."""
    principal = require(request, "responder")
    if principal.role == "admin":
        return
    for swap in await swaps.load_all(context.wire):
        if swap.id == swap_id and principal.user not in (swap.user, swap.taken_by):
            require_schedule(request, context, swap.schedule)


def require_schedule(request: Request, context: Context, name: str) -> None:
    """Raises Forbidden where the schedule is another team's."""
    schedule = context.config.schedules.get(name)  # it may be gone from the file since
    require(request, "responder", schedule.team if schedule else "")


def require_person(request: Request, context: Context, name: str) -> None:
    """A person's absences are theirs and their teams'; of somebody in no team, everybody's. Raises Forbidden."""
    principal = require(request, "responder")
    teams = [team.name for team in context.config.teams.values() if name in team.members]
    if principal.user != name and teams and not any(may(principal, "responder", team) for team in teams):
        require(request, "responder", teams[0])
