"""Everything below one path, such as /oncall: requests lose the path, redirects get what links begin with.

Who is at the other end of the connection, whatever a header says.

uvicorn puts the client of a proxy on this machine in the place of the proxy, because a header says so. That is right for
deciding who may push; for deciding whose word counts about who somebody is, it is not.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote, urlsplit

from amproxy.accept.body import Application, Receive, Scope, Send, header

_TEXT_HEADER = (b"content-type", b"text/plain; charset=utf-8")


class PrefixMiddleware:
    """Pure ASGI. Both paths are asked for at each request, because a reload may change them.

    prefix: below what is served, "" = everything is.
    root: what the paths of our links begin with. It differs from the prefix behind a proxy that takes a path away.
    """

    def __init__(self, app: Application, prefix: Callable[[], str], root: Callable[[], str]) -> None:
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
        inside = {**scope, "path": path[len(prefix) :]}
        await self._app(inside, receive, _with_root(send, root, f"{scope['scheme']}://{header(scope, b'host')}"))


async def _respond_outside(prefix: str, path: str, method: str, send: Send) -> None:
    """As Alertmanager: / leads to the prefix, the prefix to itself with a slash, and there is nothing else."""
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
    """A `send` whose redirects to our own paths begin with the root; those to other places stay."""

    async def send_rooted(message: Scope) -> None:
        if message["type"] == "http.response.start" and 300 <= message["status"] < 400:
            message["headers"] = [
                (name, _rewrite_location(value, root, origin) if name.lower() == b"location" else value)
                for name, value in message["headers"]
            ]
        await send(message)

    return send_rooted


def _rewrite_location(value: bytes, root: str, origin: str) -> bytes:
    location = value.decode("latin-1")
    own = location.removeprefix(origin) if location.startswith(f"{origin}/") else location
    return f"{root}{own}".encode("latin-1") if own.startswith("/") and not own.startswith("//") else value


def link_root(external_url: str) -> str:
    """What the paths of our links begin with: the path of the external URL, without a slash at its end."""
    return urlsplit(external_url).path.rstrip("/")


PEER_SCOPE_KEY = "amproxy.web.http.middleware"  # key of a scope: as `client`, before anybody changed it


class PeerMiddleware:
    """Pure ASGI, outside of everything that looks at headers."""

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[PEER_SCOPE_KEY] = scope.get("client")
        await self._app(scope, receive, send)
