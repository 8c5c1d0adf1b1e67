"""What the page for admins and the API do alike: make and revoke API tokens, look through the audit log.

/api/v1/tokens, /api/v1/audit and /api/v1/sessions: API tokens, the audit log, and where a person is signed in.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from amproxy.clock import rfc3339
from amproxy.context import Context
from amproxy.errors import NotFound
from amproxy.machine.draft import new_id
from amproxy.store import audit, sign_in
from amproxy.store.sign_in import ApiToken, TokenScope
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import Forbidden, principal_of, require_role, set_audit_text
from amproxy.web.http.request import DEFAULT_INCIDENTS_LIMIT, MAX_INCIDENTS_LIMIT, invalid, known_user, parse_json_body, parse_time_param
from amproxy.web.incidents import views
from amproxy.web.incidents.api import json_response
from amproxy.web.signin import session

MAX_TOKEN_NAME: Final = 100  # characters


async def create_token(
    context: Context, request: Request, name: str, scopes: Sequence[TokenScope], *, user: str, expires: float | None
) -> tuple[ApiToken, str]:
    """A new token, and its secret that nobody can read again. expires: Unix seconds, None = never.

    Raises HTTPException 422, StoreUnavailable.
    """
    now, name = context.now(), name.strip()
    if not name or len(name) > MAX_TOKEN_NAME or not name.isprintable():
        raise invalid(f"name must be a text that can be read, of at most {MAX_TOKEN_NAME} characters")
    if not scopes:
        raise invalid("a token needs at least one scope")
    if expires is not None and expires <= now:
        raise invalid("expires must lie in the future")
    token = ApiToken(
        id=new_id(), name=name, scopes=tuple(dict.fromkeys(scopes)), user=known_user(context, user), made=now,
        made_by=principal_of(request).user, expires=expires,
    )  # fmt: skip
    secret = await sign_in.create_token(context.wire, token)
    set_audit_text(request, f"made the API token {name} ({', '.join(token.scopes)})")
    return token, secret


async def revoke_token(context: Context, request: Request, token_id: str) -> None:
    """Raises NotFound, StoreUnavailable."""
    token = await sign_in.revoke_token(context.wire, token_id)
    set_audit_text(request, f"revoked the API token {token.name}")


async def find_audit_entries(context: Context, request: Request, zone: str | None = None) -> audit.AuditEntries:
    """The entries that a query asks for (user, from, to, limit, cursor). zone: of times without offset; None refuses those.

    Raises HTTPException 422, StoreUnavailable.
    """
    query = request.query_params
    start, end = (parse_time_param(query[name], name, zone).timestamp() if query.get(name) else None for name in ("from", "to"))
    limit, cursor = query.get("limit", str(DEFAULT_INCIDENTS_LIMIT)), query.get("cursor", "")
    if not re.fullmatch("[0-9]{1,9}", limit) or not 1 <= int(limit) <= MAX_INCIDENTS_LIMIT:
        raise invalid(f"limit is a number from 1 to {MAX_INCIDENTS_LIMIT}")
    if cursor and not audit.CURSOR_PATTERN.fullmatch(cursor):
        raise invalid("cursor is not one that an earlier answer gave")
    return await audit.find(
        context.wire, user=query.get("user", ""), start=start or 0.0, end=float("inf") if end is None else end, limit=int(limit),
        cursor=cursor,
    )  # fmt: skip


class CreateTokenRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Of a new token."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TOKEN_NAME)]
    scopes: Annotated[list[TokenScope], msgspec.Meta(min_length=1)]
    user: str | None = None
    expires: str | None = None


class SignInApi:
    def __init__(self, deps: Deps) -> None:
        self._context = deps.context

    def routes(self) -> list[Route]:
        return [
            Route("/api/v1/tokens", self.tokens, methods=["GET"]),
            Route("/api/v1/tokens", self.make_token, methods=["POST"]),
            Route("/api/v1/tokens/{id}", self.revoke_token, methods=["DELETE"]),
            Route("/api/v1/audit", self.audit, methods=["GET"]),
            Route("/api/v1/sessions", self.sessions, methods=["GET"]),
            Route("/api/v1/sessions", self.end_sessions, methods=["DELETE"]),
            Route("/api/v1/sessions/{id}", self.end_session, methods=["DELETE"]),
        ]

    async def tokens(self, request: Request) -> Response:
        return json_response([_token_view(one.token, one.used) for one in await sign_in.load_tokens(self._context.wire)])

    async def make_token(self, request: Request) -> Response:
        """The one answer that shows the token itself."""
        body = await parse_json_body(request, CreateTokenRequest)
        expires = parse_time_param(body.expires, "expires").timestamp() if body.expires else None
        token, secret = await create_token(self._context, request, body.name, body.scopes, user=body.user or "", expires=expires)
        return json_response({**_token_view(token, None), "token": secret}, 201)

    async def revoke_token(self, request: Request) -> Response:
        await revoke_token(self._context, request, request.path_params["id"])
        return Response(status_code=204)

    async def audit(self, request: Request) -> Response:
        found = await find_audit_entries(self._context, request)
        return json_response({"entries": [_audit_entry_view(entry) for entry in found.entries], "next": found.cursor or None})

    async def sessions(self, request: Request) -> Response:
        """One's own; those of another person for admins."""
        listed, current = await sign_in.load_sessions(self._context.wire, self._whose(request)), self._current(request)
        return json_response([_session_view(one, current=one.id == current) for one in listed])

    async def end_sessions(self, request: Request) -> Response:
        """Everywhere but here."""
        whose = self._whose(request)
        secret = session.read_cookie(request.scope, session.SESSION_COOKIE, self._context.external_url)
        ended = await sign_in.end_all_sessions(self._context.wire, whose, but=secret)
        set_audit_text(request, f"signed {whose} out everywhere else ({ended})")
        return json_response({"ended": ended})

    async def end_session(self, request: Request) -> Response:
        whose, name = self._whose(request), request.path_params["id"]
        if not await sign_in.end_session_by_id(self._context.wire, whose, name):
            raise NotFound(f"{whose} has no session {name[:60]}")
        set_audit_text(request, f"signed {whose} out of one browser")
        return Response(status_code=204)

    def _whose(self, request: Request) -> str:
        principal, user = principal_of(request), request.query_params.get("user", "")
        if user and user != principal.user:
            require_role(request, "admin")
            return known_user(self._context, user)
        if not principal.user:
            raise Forbidden("nobody in particular asks, and only people have sessions")
        return principal.user

    def _current(self, request: Request) -> str:
        secret = session.read_cookie(request.scope, session.SESSION_COOKIE, self._context.external_url)
        return sign_in.session_list_id(secret) if secret else ""


def _token_view(token: ApiToken, used: float | None) -> views.View:
    return {
        "id": token.id, "name": token.name, "scopes": list(token.scopes), "user": token.user or None, "made_at": rfc3339(token.made),
        "made_by": token.made_by or None, "expires": rfc3339(token.expires), "last_used": rfc3339(used),
    }  # fmt: skip


def _audit_entry_view(entry: audit.AuditEntry) -> views.View:
    return {
        "at": rfc3339(entry.at), "user": entry.user or None, "role": entry.role or None, "via": entry.via, "token": entry.token or None,
        "from": entry.address or None, "what": entry.what, "result": entry.result,
    }  # fmt: skip


def _session_view(one: sign_in.SessionListItem, *, current: bool) -> views.View:
    session = one.session
    return {
        "id": one.id, "current": current, "way": session.way, "agent": session.agent, "address": session.address,
        "signed_in_at": rfc3339(session.made), "seen_at": rfc3339(session.seen), "ends_at": rfc3339(session.ends),
    }  # fmt: skip
