"""/api/v1/incidents/{id}/why, /api/v1/insights and /api/v1/history: what has happened, looked at afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from amproxy.clock import rfc3339
from amproxy.hindsight import history, insights
from amproxy.hindsight.csv_table import csv_table
from amproxy.hindsight.insights import Insights
from amproxy.hindsight.why import why_not
from amproxy.model import Incident
from amproxy.store import incidents
from amproxy.web import views
from amproxy.web.api_incidents import json
from amproxy.web.deps import Deps
from amproxy.web.reading import invalid, known_zone, time

DAY = 86400.0
SPAN, LONGEST_SPAN = 30 * DAY, 366 * DAY  # of insights, in seconds
ALERTS_SHOWN = 100  # rows of the table of alerts in JSON; its CSV has all

_encode = msgspec.json.Encoder().encode


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


class HindsightApi:
    def __init__(self, deps: Deps) -> None:
        self._context = deps.context

    def routes(self) -> list[Route]:
        return [
            Route("/api/v1/incidents/{id}/why", self.why, methods=["GET"]),
            Route("/api/v1/insights", self.insights, methods=["GET"]),
            Route("/api/v1/insights/{table}.csv", self.table, methods=["GET"]),
            Route("/api/v1/history", self.history, methods=["GET"]),
        ]

    async def why(self, request: Request) -> Response:
        """Why somebody was paged for an incident, or was not."""
        context, incident_id, user = self._context, request.path_params["id"], request.query_params.get("user", "")
        if not user:
            raise invalid("user is missing: the name of the person in question")
        incident = await incidents.load(context.wire, incident_id)
        timeline = await incidents.load_timeline(context.wire, incident_id)
        verdict = why_not(incident, timeline, user, context.roster, context.now())
        if not verdict.known:
            raise invalid(f"there is no user {user[:60]!r}")
        return json({"user": user, "paged": verdict.paged, "reasons": verdict.reasons, "pages": [views.page(one) for one in verdict.pages]})

    async def insights(self, request: Request) -> Response:
        asked = self._asked(request)
        found = await self._insights(asked)
        answer: dict[str, Any] = {
            "from": rfc3339(asked.start), "to": rfc3339(asked.end), "zone": asked.zone, "team": asked.team or None,
            "policy": asked.policy or None, "user": asked.user or None, "summary": found.summary(),
        }  # fmt: skip
        answer |= {name: found.table(name) for name in insights.TABLES}
        answer["alerts"] = answer["alerts"][:ALERTS_SHOWN]
        return json(answer)

    async def table(self, request: Request) -> Response:
        """One table of the insights, for a spreadsheet."""
        name = request.path_params["table"]
        if name not in insights.TABLES:
            raise HTTPException(404, f"there is no table {name[:60]}; there are {', '.join(insights.TABLES)}")
        found = await self._insights(self._asked(request))
        text = csv_table(found.table(name), like=insights.TABLES[name])
        return Response(text, media_type="text/csv", headers={"Content-Disposition": f'attachment; filename="amproxy-{name}.csv"'})

    async def history(self, request: Request) -> Response:
        """Incidents of a span, oldest first, a line of JSON each; all that are kept, unless asked otherwise."""
        start, end = _span(request, self._context.now())
        lines = self._lines(0.0 if start is None else start, end)
        first = await anext(lines, b"")  # Redis being away is found out while there can still be an answer
        return StreamingResponse(_joined(first, lines), media_type="application/x-ndjson")

    def _asked(self, request: Request) -> Asked:
        query = request.query_params
        zone = known_zone(query.get("zone"))
        start, end = _span(request, self._context.now(), zone)
        start = end - SPAN if start is None else start
        if end - start > LONGEST_SPAN:
            raise invalid(f"from and to may lie {LONGEST_SPAN / DAY:.0f} days apart at most")
        team, policy, user = (query.get(name, "") for name in ("team", "policy", "user"))
        return Asked(start=start, end=end, zone=zone, team=team, policy=policy, user=user)

    async def _insights(self, asked: Asked) -> Insights:
        """Counted slice by slice; a push that comes in meanwhile goes first."""
        zones = {user.name: user.timezone for user in self._context.config.users.values()}
        found = Insights(zones, asked.zone, asked.user)
        async for some in incidents.between(self._context.wire, asked.start, asked.end):
            for incident in some:
                if asked.wants(incident):
                    found.add(incident)
            await asyncio.sleep(0)
        return found

    async def _lines(self, start: float, end: float) -> AsyncIterator[bytes]:
        """Whole lines, some at a time."""
        context = self._context
        async for some in incidents.between(context.wire, start, end):
            timelines = await incidents.timelines(context.wire, [incident.id for incident in some])
            yield b"".join(
                _encode(history.record(incident, timeline, views.incident(incident, context.roster, context.external_url))) + b"\n"
                for incident, timeline in zip(some, timelines, strict=True)
            )


async def _joined(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for some in rest:
        yield some


def _span(request: Request, now: float, zone: str = "UTC") -> tuple[float | None, float]:
    """`from` (None = not given) and `to` (else now) of a query; a time without offset is of `zone`. Raises HTTPException 422."""
    start, end = (request.query_params.get(name) for name in ("from", "to"))
    since = time(start, "from", zone).timestamp() if start else None
    until = time(end, "to", zone).timestamp() if end else now
    if since is not None and since >= until:
        raise invalid("to must lie after from")
    return since, until
