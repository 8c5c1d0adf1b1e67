"""What the page for admins and the API do alike: make and revoke API tokens, look through the audit log."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from starlette.requests import Request

from amproxy.context import Context
from amproxy.machine.draft import new_id
from amproxy.store import api_tokens, audit
from amproxy.store.api_tokens import ApiToken, TokenScope
from amproxy.web.http.permissions import principal_of, say
from amproxy.web.http.request import LONGEST_PAGE, PAGE, invalid, known_user, time

LONGEST_NAME: Final = 100  # characters


async def make(
    context: Context, request: Request, name: str, scopes: Sequence[TokenScope], *, user: str, expires: float | None
) -> tuple[ApiToken, str]:
    """A new token, and its secret that nobody can read again. expires: Unix seconds, None = never.

    Raises HTTPException 422, StoreUnavailable.
    """
    now, name = context.now(), name.strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise invalid(f"name must be a text that can be read, of at most {LONGEST_NAME} characters")
    if not scopes:
        raise invalid("a token needs at least one scope")
    if expires is not None and expires <= now:
        raise invalid("expires must lie in the future")
    token = ApiToken(
        id=new_id(), name=name, scopes=tuple(dict.fromkeys(scopes)), user=known_user(context, user), made=now,
        made_by=principal_of(request).user, expires=expires,
    )  # fmt: skip
    secret = await api_tokens.make(context.wire, token)
    say(request, f"made the API token {name} ({', '.join(token.scopes)})")
    return token, secret


async def revoke(context: Context, request: Request, token_id: str) -> None:
    """Raises NotFound, StoreUnavailable."""
    token = await api_tokens.revoke(context.wire, token_id)
    say(request, f"revoked the API token {token.name}")


async def find(context: Context, request: Request, zone: str | None = None) -> audit.Found:
    """The entries that a query asks for (user, from, to, limit, cursor). zone: of times without offset; None refuses those.

    Raises HTTPException 422, StoreUnavailable.
    """
    query = request.query_params
    start, end = (time(query[name], name, zone).timestamp() if query.get(name) else None for name in ("from", "to"))
    limit, cursor = query.get("limit", str(PAGE)), query.get("cursor", "")
    if not re.fullmatch("[0-9]{1,9}", limit) or not 1 <= int(limit) <= LONGEST_PAGE:
        raise invalid(f"limit is a number from 1 to {LONGEST_PAGE}")
    if cursor and not audit.CURSOR.fullmatch(cursor):
        raise invalid("cursor is not one that an earlier answer gave")
    return await audit.find(
        context.wire, user=query.get("user", ""), start=start or 0.0, end=float("inf") if end is None else end, limit=int(limit),
        cursor=cursor,
    )  # fmt: skip
