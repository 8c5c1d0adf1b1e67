"""Plots of alerts, asked of the metrics server that the file names; each within a second.

Whoever shows an incident at the same time shares one answer. A failure is counted and logged here,
and is never more than a picture that is missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlencode

from amproxy import metrics, timeouts
from amproxy.config.structs import MetricsServer
from amproxy.context import Context
from amproxy.errors import AmproxyError, DeliveryError
from amproxy.log import EventLog
from amproxy.model import Alert
from amproxy.notify.plots.expression import (
    MAX_EXPRESSION,
    read_expression,
    read_vmalert_ids,
    split_condition,
)
from amproxy.notify.plots.series import (
    Plot,
    choose_period,
    choose_series,
    read_series,
)
from amproxy.text import Words, phrase
from amproxy.text.render import in_english

if TYPE_CHECKING:
    from amproxy.notify.channels.http import HttpClients, RemoteResponse

log = EventLog(__name__)

BUDGET: Final = 1.0  # seconds for all of a plot
KEPT_SECONDS: Final = 30.0  # for which an answer serves others
FAILED_SECONDS: Final = 5.0  # and for which a failure does, so that nobody waits in vain by turns
MAX_KEPT: Final = 100  # plots, and expressions
BODY_LIMIT: Final = 2 * 1024 * 1024  # bytes of an answer; what is longer is none
SERVICE_NAME: Final = phrase("plot.service")


class NoPlot(AmproxyError):
    """There is no picture of an alert's metric; `words` say why."""

    def __init__(self, words: Words, outcome: str) -> None:
        super().__init__(in_english(words))
        self.words, self.outcome = words, outcome


class _Kept(NamedTuple):
    at: float
    asked: asyncio.Task[Plot]

    @property
    def lasts(self) -> float:
        failed = self.asked.done() and (self.asked.cancelled() or self.asked.exception())
        return FAILED_SECONDS if failed else KEPT_SECONDS


def may_have_plot(server: MetricsServer | None, alerts: Sequence[Alert]) -> bool:
    """True where a metrics server is there to be asked, and one of the alerts says for what."""
    return server is not None and any(map(_is_measured, alerts))


def _is_measured(alert: Alert) -> bool:
    return bool(read_expression(alert) or read_vmalert_ids(alert))


def measured_alerts(alerts: Sequence[Alert]) -> list[Alert]:
    """Of alerts those of one rule, that of the first which says what it measures."""
    measured = list(filter(_is_measured, alerts))
    name = measured[0].labels.get("alertname") if measured else None
    return [alert for alert in measured if alert.labels.get("alertname") == name]


class Plotter:
    """The plots of one process."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._clients: HttpClients | None = None
        self._kept: dict[str, _Kept] = {}
        # An alert that is over is unknown to vmalert's API: (group, alertname) → expression.
        self._expressions: dict[tuple[str, str], str] = {}

    async def plot(self, key: str, alerts: Sequence[Alert]) -> Plot:
        """The plot of an incident's alerts, its firing ones first. Raises NoPlot.

        key: of the incident; whoever asks for the same shares one answer.
        """
        now = self._context.now()
        kept = self._kept.get(key)
        if kept is None or not 0 <= now - kept.at < kept.lasts:
            while len(self._kept) >= MAX_KEPT:
                del self._kept[next(iter(self._kept))]
            kept = self._kept[key] = _Kept(now, asyncio.create_task(self._count(key, alerts)))
        # One who gives up takes it from no other.
        return await asyncio.shield(kept.asked)

    async def close(self) -> None:
        """End what is under way, and connections."""
        for kept in self._kept.values():
            kept.asked.cancel()
        if self._clients is not None:
            await self._clients.close()

    async def _count(self, key: str, alerts: Sequence[Alert]) -> Plot:
        try:
            async with timeouts.limit(BUDGET):
                plot = await self._ask(alerts)
        except TimeoutError:
            failure = NoPlot(phrase("plot.late"), "late")
        except NoPlot as error:
            failure = error
        except DeliveryError as error:
            failure = NoPlot(error.words, "late" if error.reason == "timeout" else "failed")
        else:
            metrics.plots.labels("drawn").inc()
            return plot
        metrics.plots.labels(failure.outcome).inc()
        level = log.debug if failure.outcome == "empty" else log.warning
        level("no picture of the metric", incident=key, error=str(failure))
        raise failure

    async def _ask(self, alerts: Sequence[Alert]) -> Plot:
        """Raises NoPlot, DeliveryError."""
        server = self._context.config.metrics
        shown = measured_alerts(alerts)
        if server is None or not shown:
            raise NoPlot(phrase("plot.unsaid"), "empty")
        now = self._context.now()
        condition = split_condition(await self._expression(server, shown))
        began = min(alert.starts_ns for alert in shown) / 10**9
        ends = [alert.ends_ns for alert in shown if alert.resolved(int(now * 10**9))]
        ended = max(ends) / 10**9 if len(ends) == len(shown) and any(ends) else None
        period = choose_period(now, server.range, began, ended)
        asked = {
            "query": condition.measured,
            "start": f"{period.begin:.3f}",
            "end": f"{period.end:.3f}",
            "step": f"{period.step:g}",
        }
        response = await self._call(server, server.url.reveal(), "/api/v1/query_range", data=asked)
        if len(response.body) >= BODY_LIMIT:
            raise NoPlot(phrase("plot.too_much"), "failed")
        try:
            found = await asyncio.to_thread(read_series, response.body)
        except ValueError:
            raise NoPlot(phrase("failure.unreadable", service=SERVICE_NAME), "failed") from None
        series, left_out = choose_series(found, shown)
        if not series:
            raise NoPlot(phrase("plot.empty"), "empty")
        return Plot(condition, period, series, left_out, began, ended)

    async def _expression(self, server: MetricsServer, alerts: Sequence[Alert]) -> str:
        """The expression of the alerts' rule, which vmalert may have to be asked for.

        Only the ids of an alert's address are used: it comes from outside, and amproxy calls
        nothing but what the file names. Raises NoPlot, DeliveryError.
        """
        if said := next(filter(None, map(read_expression, alerts)), ""):
            return said
        for alert in alerts:
            if (ids := read_vmalert_ids(alert)) is None:
                continue
            known = ids.group, alert.labels.get("alertname", "")
            if known not in self._expressions:
                base = (server.vmalert_url or server.url).reveal()
                query = urlencode({"group_id": ids.group, "alert_id": ids.alert})
                path = f"/vmalert/api/v1/alert?{query}"
                response = await self._call(server, base, path, method="GET")
                while len(self._expressions) >= MAX_KEPT:
                    del self._expressions[next(iter(self._expressions))]
                self._expressions[known] = _told_expression(response.json())
            return self._expressions[known]
        raise NoPlot(phrase("plot.unsaid"), "empty")

    async def _call(
        self, server: MetricsServer, base: str, path: str, **request: Any
    ) -> RemoteResponse:
        """A good answer below an address of the file. Raises DeliveryError."""
        # Here because a file without `metrics` needs no HTTP client for it.
        from amproxy.notify.channels import http

        if self._clients is None:
            self._clients = http.HttpClients()
        client = self._clients.client(server.http, BUDGET)
        response = await http.send_request(
            client,
            SERVICE_NAME,
            base.rstrip("/") + path,
            within=BUDGET,
            limit=BODY_LIMIT,
            **request,
        )
        if response.status != 200:
            raise http.response_error(response, SERVICE_NAME)
        return response


def _told_expression(told: object) -> str:
    """The expression in an answer of vmalert. Raises NoPlot."""
    expression = told.get("expression") if isinstance(told, dict) else None
    if not isinstance(expression, str) or not 0 < len(expression) <= MAX_EXPRESSION:
        raise NoPlot(phrase("failure.unreadable", service="vmalert"), "failed")
    return expression
