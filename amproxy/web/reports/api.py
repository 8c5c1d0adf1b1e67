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
from amproxy.reports.export import report_csv
from amproxy.reports.why import why_not_paged
from amproxy.store import incidents
from amproxy.web.http.deps import Deps
from amproxy.web.http.request import invalid
from amproxy.web.incidents import views
from amproxy.web.incidents.api import json_response
from amproxy.web.reports.insights import load_insights, parse_insights_query, parse_period

MAX_ALERTS = 100  # rows of the table of alerts in JSON; its CSV has all

_encode = msgspec.json.Encoder().encode


class ReportsApi:
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
        verdict = why_not_paged(incident, timeline, user, context.roster, context.now())
        if not verdict.known:
            raise invalid(f"there is no user {user[:60]!r}")
        return json_response(
            {"user": user, "paged": verdict.paged, "reasons": verdict.reasons, "pages": [views.page_view(one) for one in verdict.pages]}
        )

    async def insights(self, request: Request) -> Response:
        wanted = parse_insights_query(request, self._context.now())
        found = await load_insights(self._context, wanted)
        answer: dict[str, Any] = {
            "from": rfc3339(wanted.start), "to": rfc3339(wanted.end), "zone": wanted.zone, "team": wanted.team or None,
            "policy": wanted.policy or None, "user": wanted.user or None, "summary": found.summary(),
        }  # fmt: skip
        answer |= {name: found.table(name) for name in insights.TABLES}
        answer["alerts"] = answer["alerts"][:MAX_ALERTS]
        return json_response(answer)

    async def table(self, request: Request) -> Response:
        """One table of the insights, for a spreadsheet."""
        name = request.path_params["table"]
        if name not in insights.TABLES:
            raise HTTPException(404, f"there is no table {name[:60]}; there are {', '.join(insights.TABLES)}")
        found = await load_insights(self._context, parse_insights_query(request, self._context.now()))
        text = report_csv(found.table(name), like=insights.TABLES[name])
        return Response(text, media_type="text/csv", headers={"Content-Disposition": f'attachment; filename="amproxy-{name}.csv"'})

    async def history(self, request: Request) -> Response:
        """Incidents of a span, oldest first, a line of JSON each; all that are kept, unless asked otherwise."""
        start, end = parse_period(request, self._context.now())
        lines = self._lines(0.0 if start is None else start, end)
        first = await anext(lines, b"")  # Redis being away is found out while there can still be an answer
        return StreamingResponse(_prepend(first, lines), media_type="application/x-ndjson")

    async def _lines(self, start: float, end: float) -> AsyncIterator[bytes]:
        """Whole lines, some at a time."""
        context = self._context
        async for some in incidents.iterate_between(context.wire, start, end):
            timelines = await incidents.load_timelines(context.wire, [incident.id for incident in some])
            yield b"".join(
                _encode(export.history_line(incident, timeline, views.incident_view(incident, context.roster, context.external_url)))
                + b"\n"
                for incident, timeline in zip(some, timelines, strict=True)
            )


async def _prepend(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for some in rest:
        yield some
