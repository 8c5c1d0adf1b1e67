"""Insights: the query and the count, for the API too, the page, and its plots.

Templates draw the plots as SVG; lengths are in units of the drawing, 100 or the bars wide.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from amproxy.clock import rfc3339, utc
from amproxy.context import Context
from amproxy.grouping.rights import concerns_user
from amproxy.model import Incident
from amproxy.oncall.hours import DAYTIMES
from amproxy.reports import insights
from amproxy.reports.insights import NO_TEAM, Insights, find_highlights
from amproxy.reports.insights_rows import TABLES, DayRowView, HoursRowView
from amproxy.store import incidents
from amproxy.text import Phrase, Texts
from amproxy.text.render import day_text
from amproxy.times import parse_duration
from amproxy.web.http import format
from amproxy.web.http.deps import Deps
from amproxy.web.http.query import (
    IncidentFilterParameters,
    PeriodParameters,
    parse_query,
)
from amproxy.web.http.request import field_name, invalid, known_zone, parse_time_param
from amproxy.web.http.response import describe_error
from amproxy.web.http.templates import PageTemplates, reader_texts, reader_zone

DAY = 86400.0
DEFAULT_INSIGHTS_PERIOD, MAX_INSIGHTS_PERIOD = 30 * DAY, 366 * DAY  # seconds
PERIOD_CHOICES = ("7d", "30d", "90d", "365d")
DEFAULT_PERIOD_CHOICE = "30d"
# the fields of an address that select incidents
INSIGHTS_FILTERS = ("span", "from", "to", "team", "policy", "user", "zone")
MAX_LISTED_ALERTS = 15
PLOT_HEIGHT = 40.0  # of bars over time, in units of the drawing
DAY_LABELS = 5  # along the axis of time, at most
MAX_SINGLE_DAYS = 62  # days up to which each has a bar of its own; beyond, seven share one
DAYS_PER_WEEK = 7
HEAT_LEVELS = 5  # of a heat map, above none


class InsightsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A query for insights; times are Unix seconds, an empty text selects all."""

    start: float
    end: float
    zone: str
    team: str
    policy: str
    user: str

    def matches(self, incident: Incident) -> bool:
        return (
            self.team in ("", incident.team or insights.NO_TEAM)
            and self.policy in ("", incident.policy)
            and (not self.user or concerns_user(incident, self.user))
        )


class InsightsParameters(IncidentFilterParameters, frozen=True, kw_only=True):
    span: Annotated[
        str, msgspec.Meta(description="A duration, such as 30d, instead of a beginning.")
    ] = ""


def parse_insights_query(given: InsightsParameters, now: float, zone: str = "UTC") -> InsightsQuery:
    """zone: where the query names none. Raises HTTPException 422."""
    zone = known_zone(given.zone or zone)
    start, end = parse_period(given, now, zone)
    if start is None:  # `from` goes before `span`
        start = end - _parse_period_length(given.span)
    if end - start > MAX_INSIGHTS_PERIOD:
        raise invalid(Phrase("refusal.apart_days", {"days": round(MAX_INSIGHTS_PERIOD / DAY)}))
    return InsightsQuery(
        start=start, end=end, zone=zone, team=given.team, policy=given.policy, user=given.user
    )


async def load_insights(context: Context, query: InsightsQuery) -> Insights:
    """Count the incidents of a query. Raises StoreUnavailable."""
    zones = {user.name: user.timezone for user in context.config.users.values()}
    found = Insights(zones, query.zone, query.user)
    async for batch in incidents.iterate_between(context.wire, query.start, query.end):
        for incident in batch:
            if query.matches(incident):
                found.add(incident)
        await asyncio.sleep(0)  # a push that comes in meanwhile goes first
    return found


def parse_period(
    given: PeriodParameters, now: float, zone: str = "UTC"
) -> tuple[float | None, float]:
    """`from` (None = not given) and `to` (else now) of a query, as Unix seconds.

    zone: of times without offset. Raises HTTPException 422.
    """
    since = parse_time_param(given.from_, "from", zone).timestamp() if given.from_ else None
    until = parse_time_param(given.to, "to", zone).timestamp() if given.to else now
    if since is not None and since >= until:
        raise invalid(Phrase("refusal.to_after_from"))
    return since, until


def _parse_period_length(text: str) -> float:
    """Seconds. Raises HTTPException 422."""
    if not text:
        return DEFAULT_INSIGHTS_PERIOD
    try:
        seconds = parse_duration(text)
    except ValueError:
        raise invalid(
            Phrase("refusal.field_duration", {"field": field_name("span"), "text": text[:60]})
        ) from None
    if not seconds:
        raise invalid(Phrase("refusal.field_positive", {"field": field_name("span")}))
    return seconds


class InsightsPage:
    def __init__(self, deps: Deps, templates: PageTemplates) -> None:
        self._context, self._templates = deps.context, templates

    def routes(self) -> list[Route]:
        return [Route("/insights", self.show, methods=["GET"])]

    async def show(self, request: Request) -> HTMLResponse:
        zone = reader_zone(request, self._context)
        try:
            given = parse_query(request, InsightsParameters)
            query = parse_insights_query(given, self._context.now(), zone)
            return await self._draw(request, query)
        except HTTPException as error:
            what = describe_error(error)
            return await self._templates.page(
                request,
                "insights.html",
                what.status,
                problem=what.phrase,
                **self._form_values(request, zone),
                query=None,
            )

    async def _draw(self, request: Request, query: InsightsQuery) -> HTMLResponse:
        found, t = await load_insights(self._context, query), reader_texts(request)
        before = await load_insights(self._context, period_before(query))
        named = [row for row in found.alerts() if row.by == "alertname"]
        filters = [
            (name, value) for name in INSIGHTS_FILTERS if (value := request.query_params.get(name))
        ]
        if ("zone", query.zone) not in filters:
            filters.append(("zone", query.zone))  # the API's default is another than the page's
        return await self._templates.page(
            request,
            "insights.html",
            problem="",
            **self._form_values(request, query.zone),
            highlights=find_highlights(found),
            query=query,
            tables={name: found.table(name) for name in TABLES},
            summary=found.summary(),
            before=before.summary(),
            pages_before=sum(row.pages for row in before.people()),
            incidents_of=partial(incidents_query, query),
            length=lambda seconds: duration_or_dash(seconds, t),
            daytimes=DAYTIMES,
            alerts=named[:MAX_LISTED_ALERTS],
            more_alerts=max(0, len(named) - MAX_LISTED_ALERTS),
            widest=largest_value,
            cells=plot_week(found.hours()),
            height=PLOT_HEIGHT,
            days=plot_days(found.days(), *_period_days(query)),
            day_of=lambda day: day_text(day, t),
            weekdays=t.plain("time.weekdays").split(),
            csv=urlencode(filters),
        )

    def _form_values(self, request: Request, zone: str) -> dict[str, Any]:
        """The choices of the form, and the fields as the reader filled them."""
        config, query = self._context.config, request.query_params
        zones = dict.fromkeys((zone, "UTC", *(user.timezone for user in config.users.values())))
        written = {name: query.get(name, "") for name in INSIGHTS_FILTERS}
        return {
            "written": written | {"span": query.get("span") or DEFAULT_PERIOD_CHOICE, "zone": zone},
            "periods": PERIOD_CHOICES,
            "zones": list(zones),
            "teams": [*config.teams, NO_TEAM],
            "policies": list(config.policies),
        }


def duration_or_dash(seconds: float | None, t: Texts) -> str:
    """A length of time in words: "42 s", "4 min", then as countdowns have it; "–" for none."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return t.plain("insights.seconds", s=round(seconds))
    if seconds < 3600:
        return t.plain("insights.minutes", m=round(seconds / 60))
    return format.duration_text(seconds, t)


def _period_days(query: InsightsQuery) -> tuple[date, date]:
    """The first and the last day of a period, in the zone of the query."""
    zone = ZoneInfo(query.zone)
    # one second earlier, because a period that ends at midnight does not have the day after
    return utc(query.start).astimezone(zone).date(), utc(query.end - 1).astimezone(zone).date()


def period_before(query: InsightsQuery) -> InsightsQuery:
    """The same query for the period of the same length that ends where this one begins."""
    start = query.start - (query.end - query.start)
    return msgspec.structs.replace(query, start=start, end=query.start)


def incidents_query(
    query: InsightsQuery, first: date | None = None, days: int = 0, **narrow: str
) -> str:
    """The query of the list of the incidents that are counted: those of some days, else all.

    narrow: of these only those of one team or policy.
    """
    start, end = query.start, query.end
    if first:
        zone, after = ZoneInfo(query.zone), first + timedelta(days=days)
        start = max(start, datetime.combine(first, time(), zone).timestamp())
        end = min(end, datetime.combine(after, time(), zone).timestamp())
    filters = {"team": query.team, "policy": query.policy, "user": query.user, **narrow}
    pairs = [
        *(("state", state) for state in incidents.STATES),
        *((name, value) for name, value in filters.items() if value),
        ("from", rfc3339(start)),
        ("to", rfc3339(end)),
    ]
    return urlencode(pairs)


class PlotBar(NamedTuple):
    """One bar: a day, or a week."""

    day: date  # its first
    incidents: int
    pages: int
    height: float  # of the incidents


class DailyPlot(NamedTuple):
    """Incidents as bars and pages as a line, over time, on one scale."""

    bars: list[PlotBar]
    line: str  # points of a polyline
    top: int  # the number at the top, an even one
    each: int  # days of a bar
    labels: list[date]  # along the axis, from the first bar to the last


class HourCell(NamedTuple):
    """An hour of the week."""

    weekday: int  # 0 = Monday
    hour: int
    incidents: int
    level: int  # 0 = none, up to HEAT_LEVELS


def plot_days(rows: Sequence[DayRowView], first: date, last: date) -> DailyPlot:
    """rows: the table of days; a day that is missing had nothing. The last day is included."""
    known = {row.day: row for row in rows}
    count = (last - first).days + 1
    each = 1 if count <= MAX_SINGLE_DAYS else DAYS_PER_WEEK
    sums = list[tuple[date, int, int]]()
    for begin in range(0, count, each):
        found = [
            known[day]
            for n in range(begin, min(begin + each, count))
            if (day := first + timedelta(days=n)) in known
        ]
        opened, pages = sum(row.incidents for row in found), sum(row.pages for row in found)
        sums.append((first + timedelta(days=begin), opened, pages))
    most = max(max(incidents, pages) for _, incidents, pages in sums)
    top = max(2, most + most % 2)  # so that half of it is a number too
    bars = [
        PlotBar(day, incidents, pages, round(PLOT_HEIGHT * incidents / top, 2))
        for day, incidents, pages in sums
    ]
    line = " ".join(
        f"{n + 0.5:g},{PLOT_HEIGHT - PLOT_HEIGHT * bar.pages / top:.2f}"
        for n, bar in enumerate(bars)
    )
    steps = min(DAY_LABELS, len(bars)) - 1
    places = [round(step * (len(bars) - 1) / steps) for step in range(steps + 1)] if steps else [0]
    return DailyPlot(bars, line, top, each, [bars[place].day for place in places])


def plot_week(rows: Sequence[HoursRowView]) -> list[HourCell]:
    """rows: the table of hours, Monday first."""
    most = max((n for row in rows for n in row.by_hour()), default=0)
    return [
        HourCell(weekday, hour, n, -(-n * HEAT_LEVELS // most) if n else 0)
        for weekday, row in enumerate(rows)
        for hour, n in enumerate(row.by_hour())
    ]


def largest_value(rows: Sequence[msgspec.Struct], *path: str) -> float:
    """The largest value under these keys, for a scale that rows share; never 0, to divide by."""
    return max([1e-9, *(value for row in rows if (value := _value_at(row, path)) is not None)])


def _value_at(row: Any, path: Sequence[str]) -> float | None:
    for name in path:
        row = getattr(row, name)
    return None if row is None else float(row)
