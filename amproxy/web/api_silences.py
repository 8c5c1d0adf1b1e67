"""/api/v1/silences: what a silence hides, and what one would. Silences themselves are made by Alertmanager's API (web/v2)."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from amproxy.correlate import silencing
from amproxy.errors import NotFound
from amproxy.store import silences
from amproxy.web import hidden
from amproxy.web.api_incidents import json
from amproxy.web.deps import Deps
from amproxy.web.reading import json_body


class PreviewBody(msgspec.Struct, forbid_unknown_fields=True):
    """Each text holds one matcher or more; all must hold."""

    matchers: list[str]


class SilencesApi:
    def __init__(self, deps: Deps) -> None:
        self._context = deps.context

    def routes(self) -> list[Route]:
        return [
            Route("/api/v1/silences/preview", self.preview, methods=["POST"]),
            Route("/api/v1/silences/{id}/hidden", self.hidden, methods=["GET"]),
        ]

    async def preview(self, request: Request) -> Response:
        """The alerts that fire now and that a silence with these matchers would hide."""
        body = await json_body(request, PreviewBody)
        return json(await hidden.preview(self._context, hidden.matchers(body.matchers)))

    async def hidden(self, request: Request) -> Response:
        """What a silence has hidden; also after it is forgotten itself, as long as that is kept."""
        silence_id = request.path_params["id"]
        view = await hidden.record(self._context, f"silence:{silence_id}")
        if not view["alerts"]:
            stored = await silences.load(self._context.wire, silence_id)
            if stored is None or silencing.forgotten(stored.silence, int(self._context.now() * 10**9)):
                raise NotFound(f"there is no silence {silence_id[:60]}")
        return json(view)
