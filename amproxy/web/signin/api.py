"""/api/v1/tokens, /audit and /sessions; the admin page makes tokens and reads the audit log too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec
from starlette.requests import Request

from amproxy.clock import Timestamp, rfc3339
from amproxy.context import Context
from amproxy.errors import NotFound
from amproxy.machine.draft import new_id
from amproxy.store import audit, sign_in
from amproxy.store.sign_in import ApiToken, TokenScope
from amproxy.text import Phrase, phrase
from amproxy.text.render import arguments_of, code_of, in_english
from amproxy.web.http.api import Created, JsonBody, operation
from amproxy.web.http.audited import session_ended_phrase, sessions_ended_phrase
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import Forbidden, principal_of, require_role, set_audit_phrase
from amproxy.web.http.query import (
    DEFAULT_PAGE_LIMIT,
    PageCursor,
    PageLimit,
    check_cursor,
    time_meta,
)
from amproxy.web.http.request import invalid, known_user, parse_time_param
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
        raise invalid(Phrase("refusal.token_name", {"most": MAX_TOKEN_NAME}))
    if not scopes:
        raise invalid(Phrase("refusal.token_scope"))
    if expires is not None and expires <= now:
        raise invalid(Phrase("refusal.token_expires"))
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
    scopes_listed = ", ".join(token.scopes)
    set_audit_phrase(request, phrase("audit.token_made", token=name, scopes=scopes_listed))
    return token, secret


async def revoke_token(context: Context, request: Request, token_id: str) -> None:
    """Revoke a token. Raises NotFound, StoreUnavailable."""
    token = await sign_in.revoke_token(context.wire, token_id)
    set_audit_phrase(request, phrase("audit.token_revoked", token=token.name))


class AuditParameters(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    user: Annotated[str, msgspec.Meta(description="Only what this person did.")] = ""
    from_: Annotated[str, time_meta("The beginning.")] = ""
    to: Annotated[str, time_meta("The end, excluded.")] = ""
    limit: PageLimit = DEFAULT_PAGE_LIMIT
    cursor: PageCursor = ""


async def find_audit_entries(
    context: Context, given: AuditParameters, zone: str | None = None
) -> audit.AuditEntries:
    """The audit entries of a query.

    zone: of times without offset; None refuses those. Raises HTTPException 422, StoreUnavailable.
    """
    start, end = (
        parse_time_param(text, name, zone).timestamp() if text else None
        for name, text in (("from", given.from_), ("to", given.to))
    )
    return await audit.find(
        context.wire,
        user=given.user,
        start=start or 0.0,
        end=float("inf") if end is None else end,
        limit=given.limit,
        cursor=check_cursor(given.cursor, audit.CURSOR_PATTERN),
    )


class CreateTokenRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Of a new token."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TOKEN_NAME)]
    scopes: Annotated[list[TokenScope], msgspec.Meta(min_length=1)]
    user: str | None = None
    expires: str | None = None


class SessionsParameters(msgspec.Struct, frozen=True):
    user: Annotated[
        str, msgspec.Meta(description="Whose; one's own unless given. Of others only for admins.")
    ] = ""


class TokenView(msgspec.Struct, kw_only=True):
    id: str
    name: str
    scopes: tuple[TokenScope, ...]
    user: str | None
    made_at: Timestamp
    made_by: str | None
    expires: Timestamp | None
    last_used: Timestamp | None


class NewTokenView(TokenView, kw_only=True):
    token: str  # the secret


class AuditEntryView(msgspec.Struct, kw_only=True, rename={"from_": "from"}):
    at: Timestamp
    user: str | None
    role: str | None
    via: str
    token: str | None
    from_: str | None
    what: str
    code: str | None  # of an entry of an earlier version none
    arguments: dict[str, Any] | None
    reason: str | None  # of a refusal; `what` ends with it
    reason_code: str | None
    reason_arguments: dict[str, Any] | None
    result: audit.AuditResult


class AuditLogView(msgspec.Struct, kw_only=True):
    entries: list[AuditEntryView]
    next: str | None  # cursor


class SessionView(msgspec.Struct, kw_only=True):
    id: str
    current: bool
    way: str
    agent: str
    address: str
    signed_in_at: Timestamp
    seen_at: Timestamp
    ends_at: Timestamp


class EndedSessionsView(msgspec.Struct, kw_only=True):
    ended: int


class SignInApi:
    def __init__(self, deps: Deps) -> None:
        self._context = deps.context

    @operation("sign_in", "GET /api/v1/tokens", "listTokens", "API tokens")
    async def tokens(self, request: Request) -> list[TokenView]:
        listed = await sign_in.load_tokens(self._context.wire)
        return [_token_view(item.token, item.used) for item in listed]

    @operation(
        "sign_in", "POST /api/v1/tokens", "makeToken", "Make an API token, and show it this once"
    )
    async def make_token(
        self, request: Request, body: JsonBody[CreateTokenRequest]
    ) -> Created[NewTokenView]:
        """Create a token; this is the only response that contains its secret."""
        given = await body.read()
        expires = parse_time_param(given.expires, "expires").timestamp() if given.expires else None
        token, secret = await create_token(
            self._context, request, given.name, given.scopes, user=given.user or "", expires=expires
        )
        fields = msgspec.structs.asdict(_token_view(token, None))
        return Created(NewTokenView(**fields, token=secret))

    @operation("sign_in", "DELETE /api/v1/tokens/{id}", "revokeToken", "Revoke an API token")
    async def revoke_token(self, request: Request) -> None:
        await revoke_token(self._context, request, request.path_params["id"])

    @operation("sign_in", "GET /api/v1/audit", "readAuditLog", "Who changed what, newest first")
    async def audit(self, request: Request, query: AuditParameters) -> AuditLogView:
        page = await find_audit_entries(self._context, query)
        entries = [_audit_entry_view(entry) for entry in page.entries]
        return AuditLogView(entries=entries, next=page.cursor or None)

    @operation("sign_in", "GET /api/v1/sessions", "listSessions", "Where a person is signed in")
    async def sessions(self, request: Request, query: SessionsParameters) -> list[SessionView]:
        """List one's own sessions; admins may list another person's."""
        user, secret = self._user_of(request, query), self._session_secret(request)
        listed = await sign_in.load_sessions(self._context.wire, user)
        current = sign_in.session_list_id(secret) if secret else ""
        return [_session_view(item, current=item.id == current) for item in listed]

    @operation("sign_in", "DELETE /api/v1/sessions", "endSessions", "Sign out everywhere but here")
    async def end_sessions(self, request: Request, query: SessionsParameters) -> EndedSessionsView:
        """End all sessions but the one that the request comes from."""
        user, secret = self._user_of(request, query), self._session_secret(request)
        ended = await sign_in.end_all_sessions(self._context.wire, user, but=secret)
        set_audit_phrase(request, sessions_ended_phrase(user, ended))
        return EndedSessionsView(ended=ended)

    @operation("sign_in", "DELETE /api/v1/sessions/{id}", "endSession", "Sign out of one browser")
    async def end_session(self, request: Request, query: SessionsParameters) -> None:
        user, session_id = self._user_of(request, query), request.path_params["id"]
        if not await sign_in.end_session_by_id(self._context.wire, user, session_id):
            raise NotFound(
                Phrase("refusal.no_session_of", {"user": user, "session": session_id[:60]})
            )
        set_audit_phrase(request, session_ended_phrase(user))

    def _user_of(self, request: Request, query: SessionsParameters) -> str:
        """The user whose sessions are meant. Raises Forbidden, HTTPException 422."""
        principal, user = principal_of(request), query.user
        if user and user != principal.user:
            require_role(request, "admin")
            return known_user(self._context, user)
        if not principal.user:
            raise Forbidden(Phrase("refusal.sessions_of_people"))
        return principal.user

    def _session_secret(self, request: Request) -> str:
        return read_cookie(request.scope, SESSION_COOKIE, self._context.external_url)


def _token_view(token: ApiToken, used: float | None) -> TokenView:
    return TokenView(
        id=token.id,
        name=token.name,
        scopes=token.scopes,
        user=token.user or None,
        made_at=rfc3339(token.made),
        made_by=token.made_by or None,
        expires=rfc3339(token.expires),
        last_used=rfc3339(used),
    )


def _audit_entry_view(entry: audit.AuditEntry) -> AuditEntryView:
    what, reason = in_english(entry.what), in_english(entry.reason) if entry.reason else None
    return AuditEntryView(
        at=rfc3339(entry.at),
        user=entry.user or None,
        role=entry.role or None,
        via=entry.via,
        token=entry.token or None,
        from_=entry.address or None,
        what=f"{what}: {reason}" if reason else what,
        code=code_of(entry.what),
        arguments=arguments_of(entry.what),
        reason=reason,
        reason_code=code_of(entry.reason),
        reason_arguments=arguments_of(entry.reason),
        result=entry.result,
    )


def _session_view(item: sign_in.SessionListItem, *, current: bool) -> SessionView:
    session = item.session
    return SessionView(
        id=item.id,
        current=current,
        way=session.way,
        agent=session.agent,
        address=session.address,
        signed_in_at=rfc3339(session.made),
        seen_at=rfc3339(session.seen),
        ends_at=rfc3339(session.ends),
    )
