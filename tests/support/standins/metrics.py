"""A metrics server on loopback: one query_range API with series that the test chooses, and vmalert's API of one alert."""

from __future__ import annotations

import asyncio
import math
from typing import Any, Final
from urllib.parse import parse_qs

from tests.support.standins.services import ServiceStandIn, check
from tests.support.standins.serving import Request, Response

MAX_POINTS: Final = 11_000  # of one series, as Prometheus


class MetricsStandIn(ServiceStandIn):
    """`series` are answered to every query: labels, and a value for each share (0 to 1) of the period that was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.hangs = False
        self.series: list[dict[str, str]] = [{"__name__": "load", "instance": "web-1"}]
        self.expressions: dict[tuple[str, str], str] = {}  # of vmalert's alerts: group and alert id

    @property
    def queries(self) -> list[dict[str, str]]:
        """What was asked for, the first question first."""
        return [fields(request.body.decode()) for request in self.taken if request.method == "POST"]

    async def _handle(self, request: Request) -> Response:
        if self.hangs:
            self.requests.append(request)
            await asyncio.Event().wait()
        return await super()._handle(request)

    def take(self, request: Request) -> Response:
        if request.path == "/vmalert/api/v1/alert":
            ids = fields(request.query)
            expression = self.expressions.get((ids["group_id"], ids["alert_id"]))
            check(expression, 404, "can't find alert")
            return Response.json({"name": "Load", "expression": expression})
        check(request.path == "/api/v1/query_range", 404, "404 page not found")
        asked = fields(request.body.decode())
        begin, end, step = (float(asked[name]) for name in ("start", "end", "step"))
        check(asked["query"] and begin < end and step > 0, 400, {"status": "error"})
        check((end - begin) / step < MAX_POINTS, 400, {"error": "exceeded maximum resolution"})
        times = [begin + n * step for n in range(math.floor((end - begin) / step) + 1)]
        values = [(at, str((at - begin) / (end - begin))) for at in times]
        return matrix([{"metric": one, "values": values} for one in self.series])


def fields(text: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(text).items()}


def matrix(result: Any) -> Response:
    return Response.json({"status": "success", "data": {"resultType": "matrix", "result": result}})
