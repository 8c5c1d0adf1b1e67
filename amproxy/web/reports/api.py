"""The API of the past: /api/v1/incidents/{id}/why, /api/v1/insights and /api/v1/history."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from functools import partial

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from amproxy.clock import rfc3339
from amproxy.model import Incident, TimelineEntry
from amproxy.reports import export, insights
from amproxy.reports.export import csv_columns, csv_text
from amproxy.reports.why import why_not_paged
from amproxy.store import incidents
from amproxy.web.http.deps import Deps
from amproxy.web.http.request import invalid
from amproxy.web.http.response import json_response
from amproxy.web.incidents import views
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
        """Explain why somebody was paged for an incident, or was not."""
        context, incident_id = self._context, request.path_params["id"]
        user = request.query_params.get("user", "")
        if not user:
            raise invalid("user is missing: the name of the person in question")
        incident = await incidents.load(context.wire, incident_id)
        timeline = await incidents.load_timeline(context.wire, incident_id)
        verdict = why_not_paged(incident, timeline, user, context.roster, context.now())
        if not verdict.known:
            raise invalid(f"there is no user {user[:60]!r}")
        return json_response(
            {
                "user": user,
                "paged": verdict.paged,
                "reasons": verdict.reasons,
                "pages": [views.page_view(one) for one in verdict.pages],
            }
        )

    async def insights(self, request: Request) -> Response:
        query = parse_insights_query(request, self._context.now())
        found = await load_insights(self._context, query)
        tables = {name: found.table(name) for name in insights.TABLES}
        return json_response(
            {
                "from": rfc3339(query.start),
                "to": rfc3339(query.end),
                "zone": query.zone,
                "team": query.team or None,
                "policy": query.policy or None,
                "user": query.user or None,
                "summary": found.summary(),
                **tables,
                "alerts": tables["alerts"][:MAX_ALERTS],
            }
        )

    async def table(self, request: Request) -> Response:
        """One table of the insights, for a spreadsheet."""
        name = request.path_params["table"]
        if name not in insights.TABLES:
            raise HTTPException(
                404, f"there is no table {name[:60]}; there are {', '.join(insights.TABLES)}"
            )
        query = parse_insights_query(request, self._context.now())
        found = await load_insights(self._context, query)
        text = csv_text(csv_columns(insights.TABLES[name]), found.table(name))
        headers = {"Content-Disposition": f'attachment; filename="amproxy-{name}.csv"'}
        return Response(text, headers=headers, media_type="text/csv")

    async def history(self, request: Request) -> Response:
        """Incidents of a period (all unless given), oldest first, as JSON lines."""
        start, end = parse_period(request, self._context.now())
        lines = self._lines(0.0 if start is None else start, end)
        # The first lines are read before the response starts, while a 503 is still possible.
        first = await anext(lines, b"")
        return StreamingResponse(_prepend(first, lines), media_type="application/x-ndjson")

    async def _lines(self, start: float, end: float) -> AsyncIterator[bytes]:
        """Whole lines, a batch at a time."""
        context = self._context
        turns = await incidents.load_turns(context.wire)
        async for batch in incidents.iterate_between(context.wire, start, end):
            timelines = await incidents.load_timelines(
                context.wire, [incident.id for incident in batch]
            )
            yield b"".join(map(partial(self._line, turns), batch, timelines))

    def _line(
        self, turns: Mapping[str, int], incident: Incident, timeline: list[TimelineEntry]
    ) -> bytes:
        context = self._context
        view = views.incident_view(incident, context.roster, context.external_url, turns)
        return _encode(export.history_line(incident, timeline, view)) + b"\n"


async def _prepend(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for lines in rest:
        yield lines
