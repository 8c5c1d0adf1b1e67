"""Who asks: by API token, by the word of a proxy, by session; in this order, the first that is given decides.

In front of the whole web part: finds out who asks, lets through what they may do, and writes down what has changed.

The one place where rights are enforced: what a request needs stands in rights.py. Where the file has no `sign_in`, everybody
is an open admin, and reading costs one look at the configuration.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from amproxy import metrics
from amproxy.accept.body import header
from amproxy.accept.tokens import AUTHENTICATED, LOGIN, parse_credential
from amproxy.config.structs import SignIn
from amproxy.context import Context
from amproxy.errors import AmproxyError, StoreUnavailable
from amproxy.store import audit
from amproxy.store import sign_in as store_sign_in
from amproxy.web.alertmanager.http import coded_error
from amproxy.web.http import permissions
from amproxy.web.http.errors import PROGRAM_PREFIXES
from amproxy.web.http.guard import SAFE_METHODS, with_security_headers
from amproxy.web.http.middleware import link_root
from amproxy.web.http.permissions import (
    ACTING_KEY,
    ANONYMOUS,
    AUDIT_TEXT_KEY,
    Forbidden,
    NotSignedIn,
    Principal,
    may,
    principal_of,
    set_principal,
)
from amproxy.web.http.request import own_path
from amproxy.web.signin import session
from amproxy.web.signin import session as signin_session


class IdentifiedCaller(NamedTuple):
    principal: Principal
    metrics: bool = False  # may scrape, whatever the role


async def identify(context: Context, scope: Scope, sign_in: SignIn) -> IdentifiedCaller:
    """Raises NotSignedIn for a token that opens nothing, StoreUnavailable."""
    credential = parse_credential(scope)
    if credential.startswith(store_sign_in.TOKEN_PREFIX):
        return await _by_token(context, credential)
    user = find_proxy_user(context, scope, sign_in)
    if user:
        return IdentifiedCaller(signin_session.principal_of_user(context.config, context.config.users[user], "proxy"))
    secret = session.read_cookie(scope, session.SESSION_COOKIE, context.external_url)
    found = await _by_session(context, scope, sign_in, secret) if secret else None
    if found:
        return IdentifiedCaller(found)
    return IdentifiedCaller(ANONYMOUS if sign_in.anonymous == "none" else Principal(role="viewer"))


async def _by_token(context: Context, credential: str) -> IdentifiedCaller:
    now = context.now()
    token = await store_sign_in.load_token(context.wire, credential, now)
    principal = signin_session.principal_of_token(context.config, token) if token else None
    if token is None or principal is None:
        raise NotSignedIn("this API token is unknown, revoked or expired, or its user is no more in the file")
    await store_sign_in.record_token_use(context.wire, token, now)
    return IdentifiedCaller(principal, "metrics" in token.scopes)


def proxy_user_name(scope: Scope, sign_in: SignIn) -> str:
    """Whom a proxy whose word counts names, "" = nobody."""
    proxy = sign_in.proxy_header
    if proxy is None or not signin_session.is_from_proxy(scope, proxy):
        return ""
    # given twice, one of them may have slipped through from outside
    name = proxy.header.lower().encode()
    given = [value for key, value in scope["headers"] if key == name]
    return given[0].decode("utf-8", "replace").strip() if len(given) == 1 else ""


def find_proxy_user(context: Context, scope: Scope, sign_in: SignIn) -> str:
    """The user of the file whom the proxy names, "" = nobody."""
    user = signin_session.find_user(context.config, proxy_user_name(scope, sign_in)) if sign_in.proxy_header else None
    return user.name if user else ""


async def _by_session(context: Context, scope: Scope, sign_in: SignIn, secret: str) -> Principal | None:
    now = context.now()
    session = await store_sign_in.load_session(context.wire, secret, now)
    user = context.config.users.get(session.user) if session else None
    # a way in that the file has closed lets nobody stay
    if session is None or user is None or not (sign_in.passwords if session.way == "password" else sign_in.oidc):
        return None
    if now - session.made > sign_in.session_lifetime:
        return None
    await store_sign_in.record_session_use(context.wire, secret, session, now, signin_session.client_address(scope, sign_in))
    return signin_session.principal_of_user(context.config, user, "session")


def lacks_browser_headers(scope: Scope) -> bool:
    """Whether a request has none of the headers by which browsers tell our own pages from foreign ones."""
    return not header(scope, b"sec-fetch-site") and not header(scope, b"origin")


log = logging.getLogger(__name__)

SIGN_IN_PATH = "/sign-in"
MAX_RETURN_PATH = 2000  # characters of a path that is led back to
# Sign-ins and presses in chats write their own entries; a cookie of one browser and a look ahead are no change.
_UNAUDITED_PATHS = ("/sign-in", "/slack/interactivity", "/language", "/me", "/api/v1/silences/preview")

RenderError = Callable[[Request, Exception], Awaitable[Response]]


class SignInGate:
    """ASGI middleware. `draw` makes the answer for an error, JSON or a page."""

    def __init__(self, app: ASGIApp, context: Context, draw: RenderError) -> None:
        self._app, self._context, self._draw = app, context, draw

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sign_in = self._context.config.sign_in
        if sign_in is not None:
            set_principal(scope, ANONYMOUS)
            try:
                await self._admit(scope, sign_in)
            except AmproxyError as error:
                answer = await self._refusal(Request(scope, receive), error)
                await answer(scope, receive, with_security_headers(send, self._context.external_url))
                return
        elif scope.get(AUTHENTICATED):
            set_principal(scope, self._basic(scope))
        if scope["method"] not in SAFE_METHODS and scope["path"] not in _UNAUDITED_PATHS:
            send = self._told(scope, send)
        await self._app(scope, receive, send)

    async def _admit(self, scope: Scope, sign_in: SignIn) -> None:
        """Raises NotSignedIn, Forbidden, StoreUnavailable."""
        method, path = scope["method"], scope["path"]
        needed = permissions.required_role(method, path)
        try:
            principal, scrapes = await identify(self._context, scope, sign_in)
        except (NotSignedIn, StoreUnavailable):
            if needed is None:
                return  # what is open to strangers is open to them as well
            raise
        set_principal(scope, principal)
        if needed is None or (scrapes and path == permissions.METRICS_PATH):
            return
        if not may(principal, needed):
            if principal.via == "open":
                raise NotSignedIn("sign in first")
            raise Forbidden(f"this needs the role {needed}; yours is {principal.role}")
        # A browser sends its session, and passes the proxy, whoever made the page that asks. Guard tells foreign pages by two
        # headers, of which every browser since 2020 sends at least one with a POST. One that sends neither cannot be told from a
        # foreign page, so it may not act; a token in each form would let such browsers in, and there are none to let in.
        if method not in SAFE_METHODS and principal.via in ("session", "proxy") and lacks_browser_headers(scope):
            raise Forbidden("your browser does not say which page asks for this (Origin); a program uses an API token")

    def _basic(self, scope: Scope) -> Principal:
        """Who has come in by the web config file may do everything, as everybody may without sign-in."""
        login = scope.get(LOGIN, "")
        return Principal(user=login if login in self._context.config.users else "", via="basic")

    async def _refusal(self, request: Request, error: AmproxyError) -> Response:
        path = request.url.path
        if path.startswith("/api/v2/") and isinstance(error, (NotSignedIn, Forbidden)):
            status = 401 if isinstance(error, NotSignedIn) else 403
            answer = coded_error(status, str(error))
            return Response(answer.body, status, _challenge(error), "application/json")
        if isinstance(error, NotSignedIn) and not path.startswith(PROGRAM_PREFIXES):
            back = _return_path(request, link_root(self._context.external_url))
            return RedirectResponse(SIGN_IN_PATH if back == "/" else f"{SIGN_IN_PATH}?back={quote(back, safe='/')}", 303)
        drawn = await self._draw(request, error)
        drawn.headers.update(_challenge(error))
        return drawn

    def _told(self, scope: Scope, send: Send) -> Send:
        """A `send` that writes down a change before it is answered: whoever is told that it is done finds it in the log."""

        async def send_told(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < 400:
                await self._write(scope)
            await send(message)

        return send_told

    async def _write(self, scope: Scope) -> None:
        context, by, link = self._context, principal_of(Request(scope)), scope["path"].startswith("/act/")
        what = scope.get(AUDIT_TEXT_KEY) or f"{scope['method']} {'/act' if link else scope['path']}"
        user = scope.get(ACTING_KEY) or by.user or scope.get(LOGIN, "")
        entry = audit.AuditEntry(
            at=context.now(), user=user, role="" if link else by.role, via="link" if link else by.via, token=by.token,
            address=session.client_address(scope, context.config.sign_in), what=what,
        )  # fmt: skip
        await write_audit(context, entry)


async def write_audit(context: Context, entry: audit.AuditEntry) -> None:
    """Put an entry into the audit log. What it tells of has happened already: Redis being away now is logged, and no error."""
    try:
        await audit.add(context.wire, entry, context.config.store.retention)
    except StoreUnavailable:
        metrics.unexpected_errors.labels("audit").inc()
        log.warning("not in the audit log, Redis is away: %s by %s over %s", entry.what, entry.user or "somebody", entry.via)


def _return_path(request: Request, root: str) -> str:
    """Where to go after the sign-in: the page that was asked for, or on which the form stood."""
    if request.method in SAFE_METHODS:
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    else:
        page = urlsplit(request.headers.get("referer", ""))
        path = page.path.removeprefix(root) if page.netloc == request.url.netloc else "/"
    return own_path(path) if len(path) <= MAX_RETURN_PATH else "/"


def _challenge(error: Exception) -> dict[str, str]:
    return {"WWW-Authenticate": "Bearer"} if isinstance(error, NotSignedIn) else {}
