"""/api/v1/redis and /api/v1/replicas: what amproxy stands on, and which of its processes deliver.

/api/v1/health and /api/v1/heartbeats: whether amproxy is well, and what it waits to hear of.

/admin: whether all parts are well, the file, API tokens and the audit log. For admins only: rights.py says so.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from typing import Any, get_args
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from amproxy.clock import rfc3339
from amproxy.correlate import heartbeats
from amproxy.correlate.heartbeats import HeartbeatState
from amproxy.engine import health as engine_health
from amproxy.errors import ConfigError, ConfigProblem
from amproxy.store import audit, outbox, sign_in
from amproxy.store import health as store_health
from amproxy.store.sign_in import TokenScope
from amproxy.times import format_duration
from amproxy.web.config.change import ConfigFileChecker
from amproxy.web.http.deps import Deps
from amproxy.web.http.errors import describe_error
from amproxy.web.http.permissions import require_role, set_audit_text
from amproxy.web.http.request import parse_form, parse_form_lists, parse_time_param
from amproxy.web.http.templates import PageTemplates, reader_zone
from amproxy.web.incidents.api import json_response
from amproxy.web.incidents.views import View
from amproxy.web.signin.api import MAX_TOKEN_NAME, create_token, find_audit_entries, revoke_token


class ReplicasApi:
    def __init__(self, deps: Deps) -> None:
        self._context = deps.context

    def routes(self) -> list[Route]:
        return [
            Route("/api/v1/redis", self.redis, methods=["GET"]),
            Route("/api/v1/replicas", self.replicas, methods=["GET"]),
        ]

    async def redis(self, request: Request) -> Response:
        found = await store_health.load_redis_info(self._context.wire)
        return json_response(
            {
                "version": found.version or None, "role": found.role or None, "uptime": found.uptime,
                "ping_ms": round(found.ping * 1000, 3),
                "memory": found.memory, "memory_limit": found.memory_limit, "eviction": found.policy or None, "clients": found.clients,
                "aof": found.aof, "aof_ok": found.aof_ok, "saved_at": rfc3339(found.saved_at), "save_ok": found.save_ok,
                "unsaved_changes": found.unsaved, "keys": found.keys, "all_keys_counted": found.all_counted,
            }
        )  # fmt: skip

    async def replicas(self, request: Request) -> Response:
        found = await outbox.load_consumers(self._context.wire)
        return json_response([{"name": one.name, "alive": one.alive, "pending": one.pending, "idle": round(one.idle, 3)} for one in found])


class HealthApi:
    def __init__(self, deps: Deps) -> None:
        self._deps, self._context = deps, deps.context

    def routes(self) -> list[Route]:
        return [
            Route("/api/v1/health", self.health, methods=["GET"]),
            Route("/api/v1/heartbeats", self.heartbeats, methods=["GET"]),
        ]

    async def health(self, request: Request) -> Response:
        """Always 200: that something is wrong is one of the things to say."""
        reasons = await engine_health.find_problems(self._context, ready=self._deps.ready())
        return json_response({"well": not reasons, "reasons": reasons})

    async def heartbeats(self, request: Request) -> Response:
        now = self._context.now()
        return json_response([_heartbeat_view(pulse, now) for pulse in await heartbeats.list_heartbeats(self._context)])


def _heartbeat_view(pulse: HeartbeatState, now: float) -> View:
    return {
        "name": pulse.heartbeat.name,
        "every": format_duration(pulse.heartbeat.every),
        "matchers": [str(matcher) for matcher in pulse.heartbeat.matchers],
        "last_beat": rfc3339(pulse.last),
        "age": round(max(0.0, now - pulse.since), 3),
        "source": pulse.source,
        "missing": pulse.missing_since is not None,
        "missing_since": rfc3339(pulse.missing_since),
        "next_due": rfc3339(pulse.next_due),
    }


AUDIT_FILTERS = ("user", "from", "to")
TOKEN_SCOPES: tuple[TokenScope, ...] = get_args(TokenScope)


class AdminPage:
    def __init__(self, deps: Deps, looks: PageTemplates) -> None:
        self._deps, self._context, self._looks = deps, deps.context, looks
        self._checks = ConfigFileChecker(deps.context)

    def routes(self) -> list[Route]:
        return [
            Route("/admin", self.show, methods=["GET"]),
            Route("/admin/reload", self.reload, methods=["POST"]),
            Route("/admin/tokens", self.make_token, methods=["POST"]),
            Route("/admin/tokens/{id}/delete", self.revoke_token, methods=["POST"]),
            *(Route(f"/admin/{path}", self.back, methods=["GET"]) for path in ("reload", "tokens", "tokens/{id}/delete")),
        ]

    async def show(self, request: Request) -> HTMLResponse:
        return await self._draw(request)

    async def back(self, request: Request) -> Response:
        """The address of a form that was answered with the page, loaded again."""
        return RedirectResponse("/admin", 303)

    async def reload(self, request: Request) -> Response:
        """As POST /-/reload: a file that is broken is shown, and the one in force goes on."""
        require_role(request, "admin")
        await parse_form(request)
        try:
            await self._deps.reload()
        except ConfigError as error:
            return await self._draw(request, status=422, refused=error.problems)
        set_audit_text(request, "loaded the file anew")
        return RedirectResponse("/admin?done=reload#file", 303)

    async def make_token(self, request: Request) -> Response:
        """The one answer that shows the token itself."""
        require_role(request, "admin")
        fields = await parse_form_lists(request)
        given = {name: fields.get(name, [""])[-1] for name in ("name", "user", "expires")}
        scopes = [scope for scope in TOKEN_SCOPES if scope in fields.get("scopes", [])]
        try:
            expires = (
                parse_time_param(given["expires"], "expires", reader_zone(request, self._context)).timestamp() if given["expires"] else None
            )
            token, secret = await create_token(self._context, request, given["name"], scopes, user=given["user"], expires=expires)
        except HTTPException as error:
            return await self._draw(request, error=error, given={**given, "scopes": scopes})
        return await self._draw(request, made=token.name, secret=secret)

    async def revoke_token(self, request: Request) -> Response:
        require_role(request, "admin")
        await parse_form(request)
        await revoke_token(self._context, request, request.path_params["id"])
        return RedirectResponse("/admin#tokens", 303)

    async def _draw(
        self, request: Request, *, error: HTTPException | None = None, status: int = 200, refused: Sequence[ConfigProblem] = (),
        given: Mapping[str, Any] | None = None, made: str = "", secret: str = "",
    ) -> HTMLResponse:  # fmt: skip
        context, wire, query = self._context, self._context.wire, request.query_params
        found = audit.AuditEntries([], "")
        try:
            found = await find_audit_entries(context, request, reader_zone(request, context))
        except HTTPException as wrong:
            error = error or wrong
        asked = {name: query.get(name, "") for name in AUDIT_FILTERS}
        redis = await store_health.load_redis_info(wire)  # first and alone: the time of its answer is measured
        file, tokens, replicas, pulses, wrong_parts = await asyncio.gather(
            self._checks.state(), sign_in.load_tokens(wire), outbox.load_consumers(wire), heartbeats.list_heartbeats(context),
            engine_health.find_problems(context, ready=self._deps.ready()),
        )  # fmt: skip
        return await self._looks.page(
            request, "admin.html", describe_error(error).status if error else status, {"Cache-Control": "no-store"} if secret else None,
            problem=describe_error(error).detail if error else "", refused=refused, last_refused=context.refused, since=context.in_force_since,
            config_path=context.config.path, file=file, tokens=tokens, replicas=replicas, redis=redis, pulses=pulses, wrong=wrong_parts,
            entries=found.entries, asked=asked, filtered=any(asked.values()), scopes=TOKEN_SCOPES, longest=MAX_TOKEN_NAME,
            given=given or {"name": "", "user": "", "expires": "", "scopes": []}, made=made, secret=secret,
            older=urlencode({**{name: value for name, value in asked.items() if value}, "cursor": found.cursor}) if found.cursor else "",
            done=query.get("done", ""), python=".".join(map(str, sys.version_info[:3])),
        )  # fmt: skip
