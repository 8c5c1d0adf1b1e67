"""The pages as an app that a phone installs: the manifest, and the worker for pushes.

Both lie at the root of the pages, because a worker is in charge of what lies below its own address.
Strangers may read them: browsers fetch a manifest without a session, and nothing of it is secret.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from amproxy.context import Context
from amproxy.web.http.deps import Deps
from amproxy.web.http.middleware import link_root
from amproxy.web.http.templates import STATIC, THEME_COLOURS, reader_texts, static_version

MANIFEST_PATH, WORKER_PATH = "/manifest.webmanifest", "/service-worker.js"
_PNG: Final = "image/png"
_ICONS: Final = {
    "icon.svg": {"sizes": "any", "type": "image/svg+xml", "purpose": "any"},
    "icon-192.png": {"sizes": "192x192", "type": _PNG, "purpose": "any"},
    "icon-512.png": {"sizes": "512x512", "type": _PNG, "purpose": "any"},
    "icon-maskable-512.png": {"sizes": "512x512", "type": _PNG, "purpose": "maskable"},
}


class InstalledApp:
    """Routes of the manifest and the worker."""

    def __init__(self, deps: Deps) -> None:
        self._context = deps.context

    def routes(self) -> list[Route]:
        return [
            Route(MANIFEST_PATH, self.manifest, methods=["GET"]),
            Route(WORKER_PATH, self.worker, methods=["GET"]),
        ]

    async def manifest(self, request: Request) -> Response:
        body = msgspec.json.encode(build_manifest(request, self._context))
        return _fresh(body, "application/manifest+json")

    async def worker(self, request: Request) -> Response:
        """The worker, which browsers must ask for anew: an old one shows what it knows."""
        return _fresh(_worker_text(), "text/javascript")


def build_manifest(request: Request, context: Context) -> dict[str, Any]:
    """The W3C's manifest, in the reader's language."""
    t, root = reader_texts(request), link_root(context.external_url)
    return {
        "id": f"{root}/",
        "name": "amproxy",
        "short_name": "amproxy",
        "description": t.plain("page.app"),
        "lang": t.language,
        "start_url": f"{root}/",
        "scope": f"{root}/",
        "display": "standalone",
        "theme_color": THEME_COLOURS["dark"],
        "background_color": THEME_COLOURS["dark"],
        "icons": [
            {"src": f"{root}/static/{name}?v={static_version()}", **about}
            for name, about in _ICONS.items()
        ],
        # pages that a long press on the icon offers
        "shortcuts": [
            {"name": t.plain(f"page.{key}"), "url": f"{root}/{key}"}
            for key in ("incidents", "schedules", "me")
        ],
    }


def _fresh(body: bytes, media_type: str) -> Response:
    return Response(body, media_type=media_type, headers={"Cache-Control": "no-cache"})


@cache
def _worker_text() -> bytes:
    return (STATIC / "service-worker.js").read_bytes()
