"""/api/v1/incidents/{id}/why, /api/v1/insights and /api/v1/history: what has happened, looked at afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from amproxy.clock import rfc3339
from amproxy.reports import export, insights
from amproxy.reports.export import csv_table
from amproxy.reports.why import why_not
from amproxy.store import incidents
from amproxy.web.http.deps import Deps
from amproxy.web.http.request import invalid
from amproxy.web.incidents import views
from amproxy.web.incidents.api import json
from amproxy.web.reports.insights import asked, between, counted

ALERTS_SHOWN = 100  # rows of the table of alerts in JSON; its CSV has all

_encode = msgspec.json.Encoder().encode


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
        wanted = asked(request, self._context.now())
        found = await counted(self._context, wanted)
        answer: dict[str, Any] = {
            "from": rfc3339(wanted.start), "to": rfc3339(wanted.end), "zone": wanted.zone, "team": wanted.team or None,
            "policy": wanted.policy or None, "user": wanted.user or None, "summary": found.summary(),
        }  # fmt: skip
        answer |= {name: found.table(name) for name in insights.TABLES}
        answer["alerts"] = answer["alerts"][:ALERTS_SHOWN]
        return json(answer)

    async def table(self, request: Request) -> Response:
        """One table of the insights, for a spreadsheet."""
        name = request.path_params["table"]
        if name not in insights.TABLES:
            raise HTTPException(404, f"there is no table {name[:60]}; there are {', '.join(insights.TABLES)}")
        found = await counted(self._context, asked(request, self._context.now()))
        text = csv_table(found.table(name), like=insights.TABLES[name])
        return Response(text, media_type="text/csv", headers={"Content-Disposition": f'attachment; filename="amproxy-{name}.csv"'})

    async def history(self, request: Request) -> Response:
        """Incidents of a span, oldest first, a line of JSON each; all that are kept, unless asked otherwise."""
        start, end = between(request, self._context.now())
        lines = self._lines(0.0 if start is None else start, end)
        first = await anext(lines, b"")  # Redis being away is found out while there can still be an answer
        return StreamingResponse(_joined(first, lines), media_type="application/x-ndjson")

    async def _lines(self, start: float, end: float) -> AsyncIterator[bytes]:
        """Whole lines, some at a time."""
        context = self._context
        async for some in incidents.between(context.wire, start, end):
            timelines = await incidents.timelines(context.wire, [incident.id for incident in some])
            yield b"".join(
                _encode(export.record(incident, timeline, views.incident(incident, context.roster, context.external_url))) + b"\n"
                for incident, timeline in zip(some, timelines, strict=True)
            )


async def _joined(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for some in rest:
        yield some
