"""The API of the past: /api/v1/incidents/{id}/why, /api/v1/insights and /api/v1/history."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
from starlette.requests import Request

from amproxy.clock import Timestamp, rfc3339
from amproxy.correlate.muting import load_incident_mutings
from amproxy.errors import NotFound
from amproxy.grouping.muting import IncidentMuting
from amproxy.model import Incident, TimelineEntry
from amproxy.reports import export
from amproxy.reports.export import csv_columns, csv_text
from amproxy.reports.insights_rows import (
    TABLES,
    AlertRowView,
    DayRowView,
    HoursRowView,
    IncidentTallyView,
    PagesRowView,
    PersonRowView,
    PolicyRowView,
    TeamRowView,
)
from amproxy.reports.why import why_not_paged
from amproxy.store import incidents
from amproxy.text import Phrase
from amproxy.text.render import english
from amproxy.web.http.api import CsvResponse, JsonLinesResponse, operation
from amproxy.web.http.deps import Deps
from amproxy.web.http.query import PeriodParameters
from amproxy.web.http.request import invalid
from amproxy.web.incidents import views
from amproxy.web.reports.insights import (
    InsightsParameters,
    load_insights,
    parse_insights_query,
    parse_period,
)

MAX_ALERTS = 100  # rows of the table of alerts in JSON; its CSV has all

_encode = msgspec.json.Encoder().encode


class WhyParameters(msgspec.Struct, frozen=True):
    user: Annotated[str, msgspec.Meta(description="The name of the person in question.")]


class WhyView(msgspec.Struct, kw_only=True):
    user: str
    paged: bool
    reasons: list[str]
    reason_codes: list[views.ReasonView]
    pages: list[views.PageView]


class InsightsView(msgspec.Struct, kw_only=True, rename={"from_": "from"}):
    from_: Timestamp
    to: Timestamp
    zone: str
    team: str | None
    policy: str | None
    user: str | None
    summary: IncidentTallyView
    teams: list[TeamRowView]
    policies: list[PolicyRowView]
    people: list[PersonRowView]
    pages: list[PagesRowView]
    alerts: list[AlertRowView]
    hours: list[HoursRowView]
    days: list[DayRowView]


class ReportsApi:
    def __init__(self, deps: Deps) -> None:
        self._context = deps.context

    @operation(
        "incidents",
        "GET /api/v1/incidents/{id}/why",
        "explainPages",
        "Why a person was paged, or was not",
    )
    async def why(self, request: Request, query: WhyParameters) -> WhyView:
        """Explain why somebody was paged for an incident, or was not."""
        context, incident_id, user = self._context, request.path_params["id"], query.user
        incident = await incidents.load(context.wire, incident_id)
        timeline = await incidents.load_timeline(context.wire, incident_id)
        verdict = why_not_paged(incident, timeline, user, context.roster, context.now())
        if not verdict.known:
            raise invalid(Phrase("refusal.unknown_user", {"user": user[:60]}))
        known = context.config.users.get(user)
        # On the clock of the person in question: programs ask in somebody's name.
        words = english(
            context.roster.config.full_name, ZoneInfo(known.timezone if known else "UTC")
        )
        return WhyView(
            user=user,
            paged=verdict.paged,
            reasons=[words.text(reason) for reason in verdict.reasons],
            reason_codes=[views.reason_view(reason) for reason in verdict.reasons],
            pages=[views.page_view(one, words) for one in verdict.pages],
        )

    @operation("hindsight", "GET /api/v1/insights", "showInsights", "How a span of time was")
    async def insights(self, request: Request, query: InsightsParameters) -> InsightsView:
        chosen = parse_insights_query(query, self._context.now())
        found = await load_insights(self._context, chosen)
        return InsightsView(
            from_=rfc3339(chosen.start),
            to=rfc3339(chosen.end),
            zone=chosen.zone,
            team=chosen.team or None,
            policy=chosen.policy or None,
            user=chosen.user or None,
            summary=found.summary(),
            teams=found.teams(),
            policies=found.policies(),
            people=found.people(),
            pages=found.pages(),
            alerts=found.alerts()[:MAX_ALERTS],
            hours=found.hours(),
            days=found.days(),
        )

    @operation(
        "hindsight",
        "GET /api/v1/insights/{table}.csv",
        "exportInsights",
        "One table of the insights",
    )
    async def table(self, request: Request, query: InsightsParameters) -> CsvResponse:
        """One table of the insights, for a spreadsheet."""
        name = request.path_params["table"]
        if name not in TABLES:
            raise NotFound(
                Phrase("refusal.no_table", {"table": name[:60], "known": ", ".join(TABLES)})
            )
        found = await load_insights(self._context, parse_insights_query(query, self._context.now()))
        rows = map(msgspec.to_builtins, found.table(name))
        headers = {"Content-Disposition": f'attachment; filename="amproxy-{name}.csv"'}
        return CsvResponse(csv_text(csv_columns(TABLES[name]), rows), headers=headers)

    @operation(
        "hindsight",
        "GET /api/v1/history",
        "exportHistory",
        "Incidents of a span, oldest first, a line of JSON each",
    )
    async def history(
        self, request: Request, query: PeriodParameters
    ) -> JsonLinesResponse[export.HistoryLine[views.IncidentView]]:
        """Incidents of a period (all unless given), oldest first, as JSON lines."""
        start, end = parse_period(query, self._context.now())
        lines = self._lines(0.0 if start is None else start, end)
        # The first lines are read before the response starts, while a 503 is still possible.
        first = await anext(lines, b"")
        return JsonLinesResponse(_prepend(first, lines))

    async def _lines(self, start: float, end: float) -> AsyncIterator[bytes]:
        """Whole lines, a batch at a time."""
        context = self._context
        turns = await incidents.load_turns(context.wire)
        async for batch in incidents.iterate_between(context.wire, start, end):
            timelines = await incidents.load_timelines(
                context.wire, [incident.id for incident in batch]
            )
            mutings = await load_incident_mutings(context, batch)
            yield b"".join(map(partial(self._line, turns, mutings), batch, timelines))

    def _line(
        self,
        turns: Mapping[str, int],
        mutings: Mapping[str, IncidentMuting],
        incident: Incident,
        timeline: list[TimelineEntry],
    ) -> bytes:
        roster, url = self._context.roster, self._context.external_url
        hold = mutings[incident.id].hold_at
        view = views.incident_view(incident, roster, url, turns, hold)
        return (
            _encode(export.history_line(incident, timeline, view, english(roster.config.full_name)))
            + b"\n"
        )


async def _prepend(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for lines in rest:
        yield lines
