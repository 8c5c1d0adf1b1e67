"""/api/v1/redis and /api/v1/replicas: what amproxy stands on, and which of its processes deliver."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from amproxy.clock import rfc3339
from amproxy.store import health, outbox
from amproxy.web.http.deps import Deps
from amproxy.web.incidents.api import json


class PartsApi:
    def __init__(self, deps: Deps) -> None:
        self._context = deps.context

    def routes(self) -> list[Route]:
        return [
            Route("/api/v1/redis", self.redis, methods=["GET"]),
            Route("/api/v1/replicas", self.replicas, methods=["GET"]),
        ]

    async def redis(self, request: Request) -> Response:
        found = await health.load(self._context.wire)
        return json(
            {
                "version": found.version or None, "role": found.role or None, "uptime": found.uptime,
                "ping_ms": round(found.ping * 1000, 3),
                "memory": found.memory, "memory_limit": found.memory_limit, "eviction": found.policy or None, "clients": found.clients,
                "aof": found.aof, "aof_ok": found.aof_ok, "saved_at": rfc3339(found.saved_at), "save_ok": found.save_ok,
                "unsaved_changes": found.unsaved, "keys": found.keys, "all_keys_counted": found.all_counted,
            }
        )  # fmt: skip

    async def replicas(self, request: Request) -> Response:
        found = await outbox.consumers(self._context.wire)
        return json([{"name": one.name, "alive": one.alive, "pending": one.pending, "idle": round(one.idle, 3)} for one in found])
