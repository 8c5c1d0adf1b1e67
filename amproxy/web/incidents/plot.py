"""The picture of an incident's metric, which its page shows: fetched by the browser afterwards.

So a metrics server that hangs keeps no page waiting, and readers without scripts see it too.
"""

from __future__ import annotations

from typing import Final, cast
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from amproxy.notify.compose import MAX_CARD_ALERTS
from amproxy.notify.plots.drawing import draw_notice, draw_plot, short_number
from amproxy.notify.plots.plotter import NoPlot
from amproxy.notify.plots.series import Plot
from amproxy.notify.plots.svg import SVG_POLICY, Theme, render_svg
from amproxy.store import incidents
from amproxy.text import Texts
from amproxy.text.render import PhraseRenderer
from amproxy.web.http.deps import Deps
from amproxy.web.http.guard import CONTENT_POLICY
from amproxy.web.http.templates import reader_texts, reader_theme, reader_zone
from amproxy.web.incidents.page import load_first_alerts

WIDE: Final = (720, 260)  # pixels; the markup says the same, so that nothing moves
NARROW: Final = (360, 240)  # on a phone, with letters of the same size


class IncidentPlot:
    def __init__(self, deps: Deps) -> None:
        self._context, self._plotter = deps.context, deps.plotter

    def routes(self) -> list[Route]:
        return [Route("/incidents/{id}/plot.svg", self.show, methods=["GET"])]

    async def show(self, request: Request) -> Response:
        """Draw the metric, or the reason why that cannot be done: an image has no other words."""
        context, t = self._context, reader_texts(request)
        incident = await incidents.load(context.wire, request.path_params["id"])
        found = await load_first_alerts(context, incident, MAX_CARD_ALERTS)
        zone = ZoneInfo(reader_zone(request, context))
        size = NARROW if "narrow" in request.query_params else WIDE
        try:
            plot = await self._plotter.plot(incident.id, found.shown)
        except NoPlot as error:
            title, description = t.plain("plot.none"), PhraseRenderer(t).text(error.words)
            drawing = draw_notice(f"{title}: {description}", *size)
        else:
            title, description = plot.condition.measured, describe_plot(plot, t)
            drawing = draw_plot(plot, *size, zone, t)
        headers = {"Cache-Control": "private, max-age=30", CONTENT_POLICY: SVG_POLICY}
        # the reader's theme, language and clock change what the same address shows
        headers["Vary"] = "Cookie, Accept-Language"
        theme = cast("Theme", reader_theme(request))
        body = render_svg(drawing, theme, title, description)
        return Response(body, headers=headers, media_type="image/svg+xml")


def describe_plot(plot: Plot, t: Texts) -> str:
    """The picture in words: the last value, and the limit."""
    _, last = plot.series[0].points[-1]
    words = [t.plain("plot.last", value=short_number(last))]
    if plot.condition.threshold is not None:
        limit = f"{plot.condition.comparison} {short_number(plot.condition.threshold)}"
        words.append(t.plain("plot.limit", limit=limit))
    return " ".join(words)
