"""Who is at the other end of the connection, whatever a header says.

uvicorn puts the client of a proxy on this machine in the place of the proxy, because a header says so. That is right for
deciding who may push; for deciding whose word counts about who somebody is, it is not.
"""

from __future__ import annotations

from amproxy.accept.body import Application, Receive, Scope, Send

PEER = "amproxy.web.http.peer"  # key of a scope: as `client`, before anybody changed it


class Peer:
    """Pure ASGI, outside of everything that looks at headers."""

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[PEER] = scope.get("client")
        await self._app(scope, receive, send)
