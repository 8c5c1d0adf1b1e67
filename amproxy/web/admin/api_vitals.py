"""/api/v1/health and /api/v1/heartbeats: whether amproxy is well, and what it waits to hear of."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from amproxy.clock import rfc3339
from amproxy.correlate import heartbeats
from amproxy.correlate.heartbeats import Pulse
from amproxy.engine import health
from amproxy.times import format_duration
from amproxy.web.http.deps import Deps
from amproxy.web.incidents.api import json
from amproxy.web.incidents.views import View


class VitalsApi:
    def __init__(self, deps: Deps) -> None:
        self._deps, self._context = deps, deps.context

    def routes(self) -> list[Route]:
        return [
            Route("/api/v1/health", self.health, methods=["GET"]),
            Route("/api/v1/heartbeats", self.heartbeats, methods=["GET"]),
        ]

    async def health(self, request: Request) -> Response:
        """Always 200: that something is wrong is one of the things to say."""
        reasons = await health.wrong(self._context, ready=self._deps.ready())
        return json({"well": not reasons, "reasons": reasons})

    async def heartbeats(self, request: Request) -> Response:
        now = self._context.now()
        return json([_view(pulse, now) for pulse in await heartbeats.pulses(self._context)])


def _view(pulse: Pulse, now: float) -> View:
    return {
        "name": pulse.heartbeat.name,
        "every": format_duration(pulse.heartbeat.every),
        "matchers": [str(matcher) for matcher in pulse.heartbeat.matchers],
        "last_beat": rfc3339(pulse.last),
        "age": round(max(0.0, now - pulse.since), 3),
        "source": pulse.source,
        "missing": pulse.missing_since is not None,
        "missing_since": rfc3339(pulse.missing_since),
        "next_due": rfc3339(pulse.next_due),
    }
