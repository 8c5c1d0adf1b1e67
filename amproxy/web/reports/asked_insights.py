"""Which insights a query asks for, and counting them: the same for the API and the page."""

from __future__ import annotations

import asyncio

import msgspec
from starlette.requests import Request

from amproxy.context import Context
from amproxy.model import Incident
from amproxy.reports import insights
from amproxy.reports.insights import Insights
from amproxy.store import incidents
from amproxy.times import parse_duration
from amproxy.web.http.request import invalid, time
from amproxy.web.silences.asked_window import zone as known_zone

DAY = 86400.0
SPAN, LONGEST_SPAN = 30 * DAY, 366 * DAY  # seconds


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a query for insights asks for; times are Unix seconds, texts are empty where all are wanted."""

    start: float
    end: float
    zone: str
    team: str
    policy: str
    user: str

    def wants(self, incident: Incident) -> bool:
        return (
            self.team in ("", incident.team or insights.NO_TEAM)
            and self.policy in ("", incident.policy)
            and (not self.user or insights.concerns(incident, self.user))
        )


def asked(request: Request, now: float, zone: str = "UTC") -> Asked:
    """zone: where the query names none. `from` goes before `span`. Raises HTTPException 422."""
    query = request.query_params
    zone = known_zone(query.get("zone") or zone)
    start, end = between(request, now, zone)
    start = end - _span(query.get("span", "")) if start is None else start
    if end - start > LONGEST_SPAN:
        raise invalid(f"from and to may lie {LONGEST_SPAN / DAY:.0f} days apart at most")
    team, policy, user = (query.get(name, "") for name in ("team", "policy", "user"))
    return Asked(start=start, end=end, zone=zone, team=team, policy=policy, user=user)


async def counted(context: Context, wanted: Asked) -> Insights:
    """Counted slice by slice; a push that comes in meanwhile goes first. Raises StoreUnavailable."""
    zones = {user.name: user.timezone for user in context.config.users.values()}
    found = Insights(zones, wanted.zone, wanted.user)
    async for some in incidents.between(context.wire, wanted.start, wanted.end):
        for incident in some:
            if wanted.wants(incident):
                found.add(incident)
        await asyncio.sleep(0)
    return found


def between(request: Request, now: float, zone: str = "UTC") -> tuple[float | None, float]:
    """`from` (None = not given) and `to` (else now) of a query; a time without offset is of `zone`. Raises HTTPException 422."""
    start, end = (request.query_params.get(name) for name in ("from", "to"))
    since = time(start, "from", zone).timestamp() if start else None
    until = time(end, "to", zone).timestamp() if end else now
    if since is not None and since >= until:
        raise invalid("to must lie after from")
    return since, until


def _span(text: str) -> float:
    """Seconds."""
    if not text:
        return SPAN
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise invalid(f"span: {str(error)[:200]}") from None
    if not seconds:
        raise invalid("span: must be longer than 0")
    return seconds
