"""Who asks: by API token, by the word of a proxy, by session; in this order, the first that is given decides."""

from __future__ import annotations

from typing import NamedTuple

from starlette.types import Scope

from amproxy.accept.body import header
from amproxy.accept.tokens import credential_of
from amproxy.config.structs import SignIn
from amproxy.context import Context
from amproxy.store import api_tokens
from amproxy.store import sign_in as store_sign_in
from amproxy.web.http.permissions import STRANGER, NotSignedIn, Principal
from amproxy.web.signin import addresses, people, session


class Known(NamedTuple):
    principal: Principal
    metrics: bool = False  # may scrape, whatever the role


async def identify(context: Context, scope: Scope, sign_in: SignIn) -> Known:
    """Raises NotSignedIn for a token that opens nothing, StoreUnavailable."""
    credential = credential_of(scope)
    if credential.startswith(api_tokens.PREFIX):
        return await _by_token(context, credential)
    user = proxied(context, scope, sign_in)
    if user:
        return Known(people.person(context.config, context.config.users[user], "proxy"))
    secret = session.read(scope, session.SESSION, context.external_url)
    found = await _by_session(context, scope, sign_in, secret) if secret else None
    if found:
        return Known(found)
    return Known(STRANGER if sign_in.anonymous == "none" else Principal(role="viewer"))


async def _by_token(context: Context, credential: str) -> Known:
    now = context.now()
    token = await api_tokens.load(context.wire, credential, now)
    principal = people.program(context.config, token) if token else None
    if token is None or principal is None:
        raise NotSignedIn("this API token is unknown, revoked or expired, or its user is no more in the file")
    await api_tokens.used(context.wire, token, now)
    return Known(principal, "metrics" in token.scopes)


def said_by_proxy(scope: Scope, sign_in: SignIn) -> str:
    """Whom a proxy whose word counts names, "" = nobody."""
    proxy = sign_in.proxy_header
    if proxy is None or not addresses.from_proxy(scope, proxy):
        return ""
    # given twice, one of them may have slipped through from outside
    name = proxy.header.lower().encode()
    given = [value for key, value in scope["headers"] if key == name]
    return given[0].decode("utf-8", "replace").strip() if len(given) == 1 else ""


def proxied(context: Context, scope: Scope, sign_in: SignIn) -> str:
    """The user of the file whom the proxy names, "" = nobody."""
    user = people.named(context.config, said_by_proxy(scope, sign_in)) if sign_in.proxy_header else None
    return user.name if user else ""


async def _by_session(context: Context, scope: Scope, sign_in: SignIn, secret: str) -> Principal | None:
    now = context.now()
    session = await store_sign_in.load(context.wire, secret, now)
    user = context.config.users.get(session.user) if session else None
    # a way in that the file has closed lets nobody stay
    if session is None or user is None or not (sign_in.passwords if session.way == "password" else sign_in.oidc):
        return None
    if now - session.made > sign_in.session_lifetime:
        return None
    await store_sign_in.saw(context.wire, secret, session, now, addresses.client(scope, sign_in))
    return people.person(context.config, user, "session")


def browser_says_nothing(scope: Scope) -> bool:
    """Whether a request has none of the headers by which browsers tell our own pages from foreign ones."""
    return not header(scope, b"sec-fetch-site") and not header(scope, b"origin")
