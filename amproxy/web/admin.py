"""The page /admin: the state of amproxy, the file, tokens and the audit log; for admins only."""

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

from amproxy import offload
from amproxy.correlate import heartbeats
from amproxy.engine import dead_mans_switch as engine_health
from amproxy.errors import ConfigError, ConfigProblem
from amproxy.machine.lost_names import find_losses
from amproxy.store import audit, incidents, sign_in
from amproxy.store import health as store_health
from amproxy.store.sign_in import TokenScope
from amproxy.text import phrase
from amproxy.web.config.change import ConfigFileChecker
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import require_role, set_audit_phrase
from amproxy.web.http.query import parse_query
from amproxy.web.http.request import parse_form, parse_form_lists, parse_time_param
from amproxy.web.http.response import describe_error
from amproxy.web.http.templates import PageTemplates, reader_zone
from amproxy.web.service import load_processes
from amproxy.web.signin.api import (
    MAX_TOKEN_NAME,
    AuditParameters,
    create_token,
    find_audit_entries,
    revoke_token,
)

AUDIT_FILTERS = ("user", "from", "to")  # fields of an address
TOKEN_SCOPES: tuple[TokenScope, ...] = get_args(TokenScope)
# Ways in that have a name in the texts; a chat is called by its channel.
_NAMED_VIAS = frozenset({"open", "session", "token", "proxy", "basic", "link", "sign-in"})


class AdminPage:
    def __init__(self, deps: Deps, templates: PageTemplates) -> None:
        self._deps, self._context, self._templates = deps, deps.context, templates
        self._checks = ConfigFileChecker(deps)

    def routes(self) -> list[Route]:
        return [
            Route("/admin", self.show, methods=["GET"]),
            Route("/admin/reload", self.reload, methods=["POST"]),
            Route("/admin/tokens", self.make_token, methods=["POST"]),
            Route("/admin/tokens/{id}/delete", self.revoke_token, methods=["POST"]),
            *(
                Route(f"/admin/{path}", self.back, methods=["GET"])
                for path in ("reload", "tokens", "tokens/{id}/delete")
            ),
        ]

    async def show(self, request: Request) -> HTMLResponse:
        return await self._draw(request)

    async def back(self, request: Request) -> Response:
        """The address of a form that was answered with the page, loaded again."""
        return RedirectResponse("/admin", 303)

    async def reload(self, request: Request) -> Response:
        """As POST /-/reload: the errors of a broken file are shown, and the file in force stays."""
        require_role(request, "admin")
        await parse_form(request)
        try:
            await self._deps.reload()
        except ConfigError as error:
            return await self._draw(request, status=422, refused=error.problems)
        set_audit_phrase(request, phrase("audit.file_loaded"))
        return RedirectResponse("/admin?done=reload#file", 303)

    async def make_token(self, request: Request) -> Response:
        """Make a token; this response alone shows the token itself."""
        require_role(request, "admin")
        fields = await parse_form_lists(request)
        given = {name: fields.get(name, [""])[-1] for name in ("name", "user", "expires")}
        scopes = [scope for scope in TOKEN_SCOPES if scope in fields.get("scopes", [])]
        try:
            expires = self._parse_expiry(request, given["expires"])
            token, secret = await create_token(
                self._context, request, given["name"], scopes, user=given["user"], expires=expires
            )
        except HTTPException as error:
            return await self._draw(request, error=error, given={**given, "scopes": scopes})
        return await self._draw(request, made=token.name, secret=secret)

    def _parse_expiry(self, request: Request, text: str) -> float | None:
        """Unix seconds, of a time on the reader's clock; None = never. Raises HTTPException 422."""
        if not text:
            return None
        zone = reader_zone(request, self._context)
        return parse_time_param(text, "expires", zone).timestamp()

    async def revoke_token(self, request: Request) -> Response:
        require_role(request, "admin")
        await parse_form(request)
        await revoke_token(self._context, request, request.path_params["id"])
        return RedirectResponse("/admin#tokens", 303)

    async def _draw(
        self,
        request: Request,
        *,
        error: HTTPException | None = None,
        status: int = 200,
        refused: Sequence[ConfigProblem] = (),
        given: Mapping[str, Any] | None = None,
        made: str = "",
        secret: str = "",
    ) -> HTMLResponse:
        query = request.query_params
        audit_log, audit_error = await self._audit_log(request)
        error = error or audit_error
        filters = {name: query.get(name, "") for name in AUDIT_FILTERS}
        return await self._templates.page(
            request,
            "admin.html",
            describe_error(error).status if error else status,
            # a secret must not stay in a cache of the browser
            {"Cache-Control": "no-store"} if secret else None,
            problem=describe_error(error).phrase if error else "",
            refused=refused,
            **await self._service_values(),
            entries=audit_log.entries,
            filters=filters,
            filtered=any(filters.values()),
            scopes=TOKEN_SCOPES,
            longest=MAX_TOKEN_NAME,
            given=given or {"name": "", "user": "", "expires": "", "scopes": []},
            made=made,
            secret=secret,
            older=_older_query(filters, audit_log.cursor),
            done=query.get("done", ""),
            vias=_NAMED_VIAS,
        )

    async def _service_values(self) -> dict[str, Any]:
        """The values of the page that show the state of amproxy."""
        context, wire = self._context, self._context.wire
        # first and alone, because the time of its response is measured
        redis = await store_health.load_redis_info(wire)
        file, opened, tokens, replicas, heartbeat_states, problems = await asyncio.gather(
            self._checks.state(),
            incidents.load_open(wire),
            sign_in.load_tokens(wire),
            load_processes(context),
            heartbeats.list_heartbeats(context),
            engine_health.find_problem_phrases(
                context, ready=self._deps.ready(), stopped=self._deps.stopped
            ),
        )
        return {
            "last_refused": context.failed_load,
            "since": context.in_force_since,
            "config_path": context.config.path,
            "file": file,
            "losses": await offload.run(len(opened), find_losses, context.config, opened),
            "tokens": tokens,
            "replicas": replicas,
            "digests": {loaded.digest for _, loaded in replicas if loaded},
            "redis": redis,
            "heartbeats": heartbeat_states,
            "health_problems": problems,
            "python": ".".join(map(str, sys.version_info[:3])),
        }

    async def _audit_log(self, request: Request) -> tuple[audit.AuditEntries, HTTPException | None]:
        """The entries that the address selects; none, and the error, where it is wrong."""
        zone = reader_zone(request, self._context)
        try:
            query = parse_query(request, AuditParameters)
            return await find_audit_entries(self._context, query, zone), None
        except HTTPException as error:
            return audit.AuditEntries([], ""), error


def _older_query(filters: Mapping[str, str], cursor: str) -> str:
    """The query of the next page of the audit log; "" where there is none."""
    chosen = {name: value for name, value in filters.items() if value}
    return urlencode({**chosen, "cursor": cursor}) if cursor else ""
