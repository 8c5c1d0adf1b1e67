"""/api/v1/openapi.json and /api: the API described, for programs and for people."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from amproxy.web.http.deps import Deps
from amproxy.web.http.templates import Looks
from amproxy.web.incidents.api import json
from amproxy.web.openapi.document import ALERTMANAGER, document
from amproxy.web.openapi.outline import outline


class OpenApi:
    def __init__(self, deps: Deps, looks: Looks) -> None:
        self._context, self._looks = deps.context, looks

    def routes(self) -> list[Route]:
        return [
            Route("/api/v1/openapi.json", self.document, methods=["GET"]),
            Route("/api", self.page, methods=["GET"]),
        ]

    async def document(self, request: Request) -> Response:
        return json(document(self._context.external_url))

    async def page(self, request: Request) -> HTMLResponse:
        """Drawn from the document alone."""
        described = document(self._context.external_url)
        return await self._looks.page(request, "api.html", groups=outline(described), document=described, alertmanager=ALERTMANAGER)
