"""/api/v1/silences: what a silence hides, what one would, and prolonging one. Silences are made by Alertmanager's API (web/v2)."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from amproxy.errors import NotFound
from amproxy.respond import muting
from amproxy.web.alertmanager import shown
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import require, say, who_acts
from amproxy.web.http.request import json_body, known_user
from amproxy.web.incidents.api import json
from amproxy.web.silences import bodies
from amproxy.web.silences import preview as silences_preview
from amproxy.web.silences.asked_window import ExtendBody


class SilencePreviewBody(msgspec.Struct, forbid_unknown_fields=True):
    """Each text holds one matcher or more; all must hold."""

    matchers: list[str]


class SilencesApi:
    def __init__(self, deps: Deps) -> None:
        self._context = deps.context

    def routes(self) -> list[Route]:
        return [
            Route("/api/v1/silences/preview", self.preview, methods=["POST"]),
            Route("/api/v1/silences/{id}/extend", self.extend, methods=["POST"]),
            Route("/api/v1/silences/{id}/hidden", self.hidden, methods=["GET"]),
        ]

    async def preview(self, request: Request) -> Response:
        """The alerts that fire now and that a silence with these matchers would hide, and the incidents that it concerns."""
        body = await json_body(request, SilencePreviewBody)
        return json(await silences_preview.preview(self._context, silences_preview.matchers(body.matchers)))

    async def extend(self, request: Request) -> Response:
        """Answers the silence as Alertmanager's API shows it."""
        require(request, "responder")
        body = await json_body(request, ExtendBody)
        who_acts(request, known_user(self._context, body.user))
        old = await muting.find(self._context, request.path_params["id"])
        longer = await muting.extend(self._context, old.id, bodies.extended(old, body))
        say(request, f"Prolonged the silence {longer.id}.")
        return json(shown.silence(longer, int(self._context.now() * 10**9)))

    async def hidden(self, request: Request) -> Response:
        """What a silence has hidden; also after it is forgotten itself, as long as that is kept."""
        silence_id = request.path_params["id"]
        view = await silences_preview.record(self._context, f"silence:{silence_id}")
        if not view["alerts"] and silence_id not in await muting.known(self._context):
            raise NotFound(f"there is no silence {silence_id[:60]}")
        return json(view)
