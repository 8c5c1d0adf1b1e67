"""Guard of pages and API: no foreign site may read or act through a person's browser.

accept/origin.py has the rule, which pushes and heartbeats keep to as well; here stands what is
special to pages, and the headers of their responses.
"""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from amproxy.accept.origin import foreign_name, foreign_page, foreign_read
from amproxy.context import Context
from amproxy.text import Phrase, as_sentence, phrase_code
from amproxy.text.render import arguments_of
from amproxy.web.http.api import ErrorView, JsonResponse

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # Not "no-referrer": under that, browsers hide the Origin of our own forms too, and over plain
    # HTTP nothing else distinguishes them from foreign ones. Other sites get nothing either way.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
HSTS = "max-age=31536000"  # this host only: its sibling domains are not ours to decide about
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# Read under any host name, as the network has it: nothing here is of use to a foreign site.
_PROBE_PATHS = ("/metrics", "/-/healthy", "/-/ready")


class CrossSiteGuard:
    """ASGI middleware. The endpoints for alerts lie outside and keep to the rule by themselves."""

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self._app, self._context = app, context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        send_guarded = with_security_headers(send, self._context.external_url)
        reason = refusal_reason(scope, self._context) or foreign_read(scope, self._context)
        if not reason:
            await self._app(scope, receive, send_guarded)
            return
        # JSON on pages as well: a page shows names and numbers, which a foreign site must not read
        view = ErrorView(
            error="forbidden",
            detail=as_sentence(str(reason)),
            code=phrase_code(reason),
            arguments=arguments_of(reason),
        )
        response = JsonResponse(view, 403)
        await response(scope, receive, send_guarded)


def refusal_reason(scope: Scope, context: Context) -> Phrase | None:
    """The reason for refusing a request of pages or API, None = it is served."""
    reading = scope["method"] in SAFE_METHODS
    if not reading and (reason := foreign_page(scope, context)):
        return reason
    is_probe = reading and scope["path"] in _PROBE_PATHS
    return None if is_probe else foreign_name(scope, context)


def with_security_headers(send: Send, external_url: str) -> Send:
    """A `send` that adds the security headers to each response."""

    async def send_guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers[name] = value
            if external_url.startswith("https://"):
                headers["Strict-Transport-Security"] = HSTS
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return send_guarded
