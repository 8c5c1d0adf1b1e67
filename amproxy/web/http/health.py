"""/-/healthy, /-/ready and /-/reload, as the Prometheus family has them: plain text."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from amproxy.errors import ConfigError, StoreUnavailable
from amproxy.web.http.deps import Deps

PATIENCE = 1.0  # seconds for Redis to answer


class Health:
    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def routes(self) -> list[Route]:
        return [
            Route("/-/healthy", self.healthy, methods=["GET"]),
            Route("/-/ready", self.ready, methods=["GET"]),
            Route("/-/reload", self.reload, methods=["POST", "PUT"]),
        ]

    async def healthy(self, request: Request) -> PlainTextResponse:
        return PlainTextResponse("OK")

    async def ready(self, request: Request) -> PlainTextResponse:
        """503 while a push could not be stored."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self._deps.context.wire.call("PING")
        except (StoreUnavailable, TimeoutError):
            return PlainTextResponse("Redis is away", 503, {"Retry-After": "1"})
        if not self._deps.ready():
            return PlainTextResponse("still starting", 503, {"Retry-After": "1"})
        return PlainTextResponse("OK")

    async def reload(self, request: Request) -> PlainTextResponse:
        try:
            await self._deps.reload()
        except ConfigError as error:
            return PlainTextResponse(f"failed to reload config: {error}", 500)
        return PlainTextResponse("OK")
