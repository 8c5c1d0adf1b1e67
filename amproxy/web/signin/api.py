"""/api/v1/tokens, /audit and /sessions; the admin page makes tokens and reads the audit log too."""

from __future__ import annotations

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
from amproxy.web.http.request import (
    invalid,
    known_user,
    parse_json_body,
    parse_page,
    parse_time_param,
)
from amproxy.web.http.response import View, json_response
from amproxy.web.signin.session import SESSION_COOKIE, read_cookie

MAX_TOKEN_NAME: Final = 100  # characters


async def create_token(
    context: Context,
    request: Request,
    name: str,
    scopes: Sequence[TokenScope],
    *,
    user: str,
    expires: float | None,
) -> tuple[ApiToken, str]:
    """Create a token; return it and its secret, which nobody can read again.

    expires: Unix seconds, None = never. Raises HTTPException 422, StoreUnavailable.
    """
    now, name = context.now(), name.strip()
    if not name or len(name) > MAX_TOKEN_NAME or not name.isprintable():
        limit = f"of at most {MAX_TOKEN_NAME} characters"
        raise invalid(f"name must be a text that can be read, {limit}")
    if not scopes:
        raise invalid("a token needs at least one scope")
    if expires is not None and expires <= now:
        raise invalid("expires must lie in the future")
    token = ApiToken(
        id=new_id(),
        name=name,
        scopes=tuple(dict.fromkeys(scopes)),
        user=known_user(context, user),
        made=now,
        made_by=principal_of(request).user,
        expires=expires,
    )
    secret = await sign_in.create_token(context.wire, token)
    set_audit_text(request, f"made the API token {name} ({', '.join(token.scopes)})")
    return token, secret


async def revoke_token(context: Context, request: Request, token_id: str) -> None:
    """Revoke a token. Raises NotFound, StoreUnavailable."""
    token = await sign_in.revoke_token(context.wire, token_id)
    set_audit_text(request, f"revoked the API token {token.name}")


async def find_audit_entries(
    context: Context, request: Request, zone: str | None = None
) -> audit.AuditEntries:
    """The audit entries of a query (user, from, to, limit, cursor).

    zone: of times without offset; None refuses those. Raises HTTPException 422, StoreUnavailable.
    """
    query = request.query_params
    start, end = (
        parse_time_param(query[name], name, zone).timestamp() if query.get(name) else None
        for name in ("from", "to")
    )
    limit, cursor = parse_page(request, audit.CURSOR_PATTERN)
    return await audit.find(
        context.wire,
        user=query.get("user", ""),
        start=start or 0.0,
        end=float("inf") if end is None else end,
        limit=limit,
        cursor=cursor,
    )


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
        listed = await sign_in.load_tokens(self._context.wire)
        return json_response([_token_view(item.token, item.used) for item in listed])

    async def make_token(self, request: Request) -> Response:
        """Create a token; this is the only response that contains its secret."""
        body = await parse_json_body(request, CreateTokenRequest)
        expires = parse_time_param(body.expires, "expires").timestamp() if body.expires else None
        token, secret = await create_token(
            self._context, request, body.name, body.scopes, user=body.user or "", expires=expires
        )
        return json_response({**_token_view(token, None), "token": secret}, 201)

    async def revoke_token(self, request: Request) -> Response:
        await revoke_token(self._context, request, request.path_params["id"])
        return Response(status_code=204)

    async def audit(self, request: Request) -> Response:
        page = await find_audit_entries(self._context, request)
        entries = [_audit_entry_view(entry) for entry in page.entries]
        return json_response({"entries": entries, "next": page.cursor or None})

    async def sessions(self, request: Request) -> Response:
        """List one's own sessions; admins may list another person's."""
        listed = await sign_in.load_sessions(self._context.wire, self._user_of(request))
        secret = self._session_secret(request)
        current = sign_in.session_list_id(secret) if secret else ""
        return json_response([_session_view(item, current=item.id == current) for item in listed])

    async def end_sessions(self, request: Request) -> Response:
        """End all sessions but the one that the request comes from."""
        user, secret = self._user_of(request), self._session_secret(request)
        ended = await sign_in.end_all_sessions(self._context.wire, user, but=secret)
        set_audit_text(request, f"signed {user} out everywhere else ({ended})")
        return json_response({"ended": ended})

    async def end_session(self, request: Request) -> Response:
        user, session_id = self._user_of(request), request.path_params["id"]
        if not await sign_in.end_session_by_id(self._context.wire, user, session_id):
            raise NotFound(f"{user} has no session {session_id[:60]}")
        set_audit_text(request, f"signed {user} out of one browser")
        return Response(status_code=204)

    def _user_of(self, request: Request) -> str:
        """The user whose sessions are meant. Raises Forbidden, HTTPException 422."""
        principal, user = principal_of(request), request.query_params.get("user", "")
        if user and user != principal.user:
            require_role(request, "admin")
            return known_user(self._context, user)
        if not principal.user:
            raise Forbidden("nobody in particular asks, and only people have sessions")
        return principal.user

    def _session_secret(self, request: Request) -> str:
        return read_cookie(request.scope, SESSION_COOKIE, self._context.external_url)


def _token_view(token: ApiToken, used: float | None) -> View:
    return {
        "id": token.id,
        "name": token.name,
        "scopes": list(token.scopes),
        "user": token.user or None,
        "made_at": rfc3339(token.made),
        "made_by": token.made_by or None,
        "expires": rfc3339(token.expires),
        "last_used": rfc3339(used),
    }


def _audit_entry_view(entry: audit.AuditEntry) -> View:
    return {
        "at": rfc3339(entry.at),
        "user": entry.user or None,
        "role": entry.role or None,
        "via": entry.via,
        "token": entry.token or None,
        "from": entry.address or None,
        "what": entry.what,
        "result": entry.result,
    }


def _session_view(item: sign_in.SessionListItem, *, current: bool) -> View:
    session = item.session
    return {
        "id": item.id,
        "current": current,
        "way": session.way,
        "agent": session.agent,
        "address": session.address,
        "signed_in_at": rfc3339(session.made),
        "seen_at": rfc3339(session.seen),
        "ends_at": rfc3339(session.ends),
    }
