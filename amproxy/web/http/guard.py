"""Guard of every page and API call: no foreign site may read or act through a person's browser.

A browser reaches loopback addresses that the internet cannot. A name that is made to point here
(DNS rebinding) shows in Host; a form or script of another site shows in Sec-Fetch-Site or Origin.
Programs send neither of the two.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

import msgspec
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from amproxy.context import Context

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
# Served under any host name, as the network has it: nothing here is of use to a foreign site.
_PROBE_PATHS = ("/metrics", "/-/")


class CrossSiteGuard:
    """ASGI middleware. The endpoints for alerts lie outside: a hot path that no browser needs."""

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self._app, self._context = app, context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        send_guarded = with_security_headers(send, self._context.external_url)
        reason = self._refusal_reason(scope["method"], scope["path"], Headers(scope=scope))
        if not reason:
            await self._app(scope, receive, send_guarded)
            return
        body = msgspec.json.encode({"error": "forbidden", "detail": reason})
        await Response(body, 403, media_type="application/json")(scope, receive, send_guarded)

    def _refusal_reason(self, method: str, path: str, headers: Headers) -> str:
        """The reason for refusing a request, "" = it is served."""
        host = headers.get("host", "")
        if not path.startswith(_PROBE_PATHS) and not self._is_own_name(_host_name(host)):
            return (
                "This service is not called by this name; web.external_url says what it is called."
            )
        if method not in SAFE_METHODS and not self._is_same_site(host, headers):
            return "Another site asked the browser for this; only amproxy's own pages may."
        return ""

    def _is_own_name(self, name: str) -> bool:
        if name == "localhost" or name.endswith(".localhost"):
            return True
        try:
            ipaddress.ip_address(name)
            return True  # nobody can make an address point elsewhere
        except ValueError:
            return bool(name) and name in (
                _host_name(self._context.config.web.listen),
                _host_name(urlsplit(self._context.external_url).netloc),
            )

    def _is_same_site(self, host: str, headers: Headers) -> bool:
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        if site is not None:
            return site in ("same-origin", "none")  # none: typed or bookmarked by the person
        if origin is None:
            return True  # no browser
        return urlsplit(origin).netloc.lower() in (
            host.lower(),
            urlsplit(self._context.external_url).netloc.lower(),
        )


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


def _host_name(netloc: str) -> str:
    """The host of "host:port", "[::1]:80" or "host"; "" for nonsense."""
    try:
        return (urlsplit(f"//{netloc}").hostname or "").rstrip(".")
    except ValueError:
        return ""
