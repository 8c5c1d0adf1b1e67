"""The page of insights: a sentence on what matters, plots, the numbers beneath them, and the way to a spreadsheet."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from amproxy.clock import utc
from amproxy.oncall.daytime import DAYTIMES
from amproxy.reports import insights
from amproxy.reports.findings import findings
from amproxy.reports.insights import NO_TEAM
from amproxy.text import Texts
from amproxy.web.http import format
from amproxy.web.http.deps import Deps
from amproxy.web.http.errors import told
from amproxy.web.http.templates import Looks, acting, language
from amproxy.web.reports import plots
from amproxy.web.reports.asked_insights import Asked, asked, counted

SPANS = ("7d", "30d", "90d", "365d")
SPAN = "30d"
SHOWN_ALERTS = 15
FILTERS = ("span", "from", "to", "team", "policy", "user", "zone")


class InsightsPage:
    def __init__(self, deps: Deps, looks: Looks) -> None:
        self._context, self._looks = deps.context, looks

    def routes(self) -> list[Route]:
        return [Route("/insights", self.show, methods=["GET"])]

    async def show(self, request: Request) -> HTMLResponse:
        user = acting(request, self._context)
        zone = self._context.config.users[user].timezone if user else "UTC"
        try:
            return await self._draw(request, asked(request, self._context.now(), zone))
        except HTTPException as error:
            return await self._looks.page(
                request, "insights.html", told(error).status, problem=told(error).detail, **self._filter(request, zone), query=None
            )

    async def _draw(self, request: Request, query: Asked) -> HTMLResponse:
        found, t, zone = await counted(self._context, query), language(request), ZoneInfo(query.zone)
        tables = {name: found.table(name) for name in insights.TABLES}
        named = [row for row in tables["alerts"] if row["by"] == "alertname"]
        kept = [(name, value) for name in FILTERS if (value := request.query_params.get(name))]
        return await self._looks.page(
            request, "insights.html", problem="", **self._filter(request, query.zone), found=findings(found), query=query, tables=tables,
            summary=found.summary(), length=lambda seconds: length(seconds, t), daytimes=DAYTIMES, alerts=named[:SHOWN_ALERTS],
            more_alerts=max(0, len(named) - SHOWN_ALERTS), widest=plots.widest, cells=plots.week(tables["hours"]), height=plots.HEIGHT,
            days=plots.days(tables["days"], utc(query.start).astimezone(zone).date(), utc(query.end - 1).astimezone(zone).date()),
            day_of=lambda day: format.day_of(day, t), weekdays=t.plain("time.weekdays").split(),
            csv=urlencode(kept if ("zone", query.zone) in kept else [*kept, ("zone", query.zone)]),
        )  # fmt: skip

    def _filter(self, request: Request, zone: str) -> dict[str, Any]:
        """What the form offers, and what was chosen."""
        config, query = self._context.config, request.query_params
        zones = dict.fromkeys((zone, "UTC", *(user.timezone for user in config.users.values())))
        written = {name: query.get(name, "") for name in FILTERS}
        return {
            "written": written | {"span": query.get("span") or SPAN, "zone": zone},
            "spans": SPANS,
            "zones": list(zones),
            "teams": [*config.teams, NO_TEAM],
            "policies": list(config.policies),
        }


def length(seconds: float | None, t: Texts) -> str:
    """A length of time in words: "42 s", "4 min", then as countdowns have it; "–" for none."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return t.plain("insights.seconds", s=round(seconds))
    return t.plain("insights.minutes", m=round(seconds / 60)) if seconds < 3600 else format.span(seconds, t)
