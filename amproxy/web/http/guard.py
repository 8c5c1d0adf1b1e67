"""Guard of pages and API: no foreign site may read or act through a person's browser.

accept/origin.py has the rule, which pushes and heartbeats keep to as well; here stands what is
special to pages, and the headers of their responses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from amproxy.accept.origin import foreign_name, foreign_page, foreign_read
from amproxy.context import Context
from amproxy.text import Phrase, as_sentence
from amproxy.text.render import arguments_of, code_of
from amproxy.web.http.api import ErrorView, JsonResponse

CONTENT_POLICY: Final = "Content-Security-Policy"
# A host as a policy can name it: neither an IPv6 address nor anything that would end the directive.
_POLICY_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", re.ASCII)


def page_policy(picture_origins: Iterable[str] = ()) -> str:
    """The policy of a page: nothing from elsewhere but pictures of these origins."""
    images = " ".join(("'self' data:", *sorted(set(picture_origins))))
    return (
        f"default-src 'none'; style-src 'self'; script-src 'self'; img-src {images}; "
        "connect-src 'self'; worker-src 'self'; manifest-src 'self'; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    )


def picture_origin(url: str) -> str:
    """The origin of an address that was checked, as a policy names it; "" where it cannot."""
    parts = urlsplit(url)
    try:
        host, port = (parts.hostname or "").encode("idna").decode(), parts.port
    except ValueError:  # also UnicodeError: no name that a resolver could ask for
        return ""
    if not _POLICY_HOST.fullmatch(host):
        return ""
    return f"{parts.scheme}://{host}" + (f":{port}" if port else "")


SECURITY_HEADERS = {
    CONTENT_POLICY: page_policy(),
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
            code=code_of(reason, alone=True),
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
    """A `send` that adds the security headers to each response; a page may bring its policy."""

    async def send_guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                if name == CONTENT_POLICY:
                    headers.setdefault(name, value)
                else:
                    headers[name] = value
            if external_url.startswith("https://"):
                headers["Strict-Transport-Security"] = HSTS
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return send_guarded
