"""ASGI middleware: a path prefix such as /oncall, the real peer, and presses of press.js.

uvicorn replaces a local proxy's address by the one in the proxy's header. That is right for
deciding who may push, but not for deciding whose headers are trusted to name a user.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote, urlsplit

from amproxy.accept.body import Application, Receive, Scope, Send, header

# Key of an ASGI scope: its `client` before any header was considered.
PEER_SCOPE_KEY = "amproxy.web.http.middleware"
PRESS_HEADER = b"x-press"  # sent by press.js with a form
_TEXT_HEADER = (b"content-type", b"text/plain; charset=utf-8")


class PeerMiddleware:
    """Pure ASGI, outside of everything that reads headers."""

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[PEER_SCOPE_KEY] = scope.get("client")
        await self._app(scope, receive, send)


class PrefixMiddleware:
    """Pure ASGI: take the prefix off requests, put the root in front of redirects.

    prefix: the path below which everything is served, "" = none. root: the first part of our
    links' paths; it differs from the prefix behind a proxy that strips a path. Both are functions,
    because a reload may change them.
    """

    def __init__(
        self, app: Application, prefix: Callable[[], str], root: Callable[[], str]
    ) -> None:
        self._app, self._prefix, self._root = app, prefix, root

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        prefix, root = self._prefix(), self._root()
        if scope["type"] != "http" or not (prefix or root):
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        if prefix and not path.startswith(f"{prefix}/"):
            await _respond_outside(prefix, path, scope["method"], send)
            return
        inner_scope = {**scope, "path": path[len(prefix) :]}
        origin = f"{scope['scheme']}://{header(scope, b'host')}"
        await self._app(inner_scope, receive, _with_root(send, root, origin))


async def _respond_outside(prefix: str, path: str, method: str, send: Send) -> None:
    """As Alertmanager: redirect / to the prefix, the prefix to itself with a slash, else 404."""
    reading = method in ("GET", "HEAD")
    if reading and path in ("", "/"):
        await _send_response(send, 302, b"", (b"location", quote(prefix).encode()))
    elif reading and path == prefix:
        await _send_response(send, 301, b"", (b"location", quote(prefix).encode() + b"/"))
    else:
        await _send_response(send, 404, b"404 page not found\n", _TEXT_HEADER)


async def _send_response(send: Send, status: int, body: bytes, header: tuple[bytes, bytes]) -> None:
    headers = [header, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _with_root(send: Send, root: str, origin: str) -> Send:
    """A `send` whose redirects to our own paths begin with the root; other redirects stay."""

    def rewrite(name: bytes, value: bytes) -> tuple[bytes, bytes]:
        is_location = name.lower() == b"location"
        return name, _rewrite_location(value, root, origin) if is_location else value

    async def send_rooted(message: Scope) -> None:
        if message["type"] == "http.response.start" and 300 <= message["status"] < 400:
            message["headers"] = [rewrite(name, value) for name, value in message["headers"]]
        await send(message)

    return send_rooted


def _rewrite_location(value: bytes, root: str, origin: str) -> bytes:
    location = value.decode("latin-1")
    own = location.removeprefix(origin) if location.startswith(f"{origin}/") else location
    # "//host/" is another host, not a path
    is_path = own.startswith("/") and not own.startswith("//")
    return f"{root}{own}".encode("latin-1") if is_path else value


class PressMiddleware:
    """Pure ASGI: where a form was sent by press.js, name the next page instead of redirecting.

    A redirect that fetch() follows would draw that page twice, and lose the anchor of its address.
    The address is without the root, which press.js knows.
    """

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_press = scope["type"] == "http" and bool(header(scope, PRESS_HEADER))
        await self._app(scope, receive, _with_next_page(send) if is_press else send)


def _with_next_page(send: Send) -> Send:
    async def send_named(message: Scope) -> None:
        if message["type"] == "http.response.start" and message["status"] == 303:
            names = {b"location": b"x-location"}
            message["status"] = 200
            message["headers"] = [
                (names.get(name.lower(), name), value) for name, value in message["headers"]
            ]
        await send(message)

    return send_named


def link_root(external_url: str) -> str:
    """The first part of our links' paths: the path of the external URL, no slash at its end."""
    return urlsplit(external_url).path.rstrip("/")
