"""In front of the whole web part: finds out who asks, lets through what they may do, and writes down what has changed.

The one place where rights are enforced: what a request needs stands in rights.py. Where the file has no `sign_in`, everybody
is an open admin, and reading costs one look at the configuration.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from urllib.parse import quote, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from amproxy import metrics
from amproxy.accept.tokens import AUTHENTICATED, LOGIN
from amproxy.config.structs import SignIn
from amproxy.context import Context
from amproxy.errors import AmproxyError, StoreUnavailable
from amproxy.store import audit
from amproxy.web.alertmanager.answers import coded
from amproxy.web.http import rights
from amproxy.web.http.errors import PROGRAMS
from amproxy.web.http.guard import SAFE, with_headers
from amproxy.web.http.middleware import root_of
from amproxy.web.http.permissions import ACTING, SAID, STRANGER, Forbidden, NotSignedIn, Principal, may, principal_of, set_principal
from amproxy.web.http.request import own_path
from amproxy.web.signin import addresses
from amproxy.web.signin.identify import browser_says_nothing, identify

log = logging.getLogger(__name__)

SIGN_IN = "/sign-in"
LONGEST_BACK = 2000  # characters of a path that is led back to
# Sign-ins and presses in chats write their own entries; a cookie of one browser and a look ahead are no change.
_UNTOLD = ("/sign-in", "/slack/interactivity", "/language", "/me", "/api/v1/silences/preview")

Draw = Callable[[Request, Exception], Awaitable[Response]]


class Gate:
    """ASGI middleware. `draw` makes the answer for an error, JSON or a page."""

    def __init__(self, app: ASGIApp, context: Context, draw: Draw) -> None:
        self._app, self._context, self._draw = app, context, draw

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sign_in = self._context.config.sign_in
        if sign_in is not None:
            set_principal(scope, STRANGER)
            try:
                await self._admit(scope, sign_in)
            except AmproxyError as error:
                answer = await self._refusal(Request(scope, receive), error)
                await answer(scope, receive, with_headers(send, self._context.external_url))
                return
        elif scope.get(AUTHENTICATED):
            set_principal(scope, self._basic(scope))
        if scope["method"] not in SAFE and scope["path"] not in _UNTOLD:
            send = self._told(scope, send)
        await self._app(scope, receive, send)

    async def _admit(self, scope: Scope, sign_in: SignIn) -> None:
        """Raises NotSignedIn, Forbidden, StoreUnavailable."""
        method, path = scope["method"], scope["path"]
        needed = rights.needs(method, path)
        try:
            principal, scrapes = await identify(self._context, scope, sign_in)
        except (NotSignedIn, StoreUnavailable):
            if needed is None:
                return  # what is open to strangers is open to them as well
            raise
        set_principal(scope, principal)
        if needed is None or (scrapes and path == rights.METRICS):
            return
        if not may(principal, needed):
            if principal.via == "open":
                raise NotSignedIn("sign in first")
            raise Forbidden(f"this needs the role {needed}; yours is {principal.role}")
        # A browser sends its session, and passes the proxy, whoever made the page that asks. Guard tells foreign pages by two
        # headers, of which every browser since 2020 sends at least one with a POST. One that sends neither cannot be told from a
        # foreign page, so it may not act; a token in each form would let such browsers in, and there are none to let in.
        if method not in SAFE and principal.via in ("session", "proxy") and browser_says_nothing(scope):
            raise Forbidden("your browser does not say which page asks for this (Origin); a program uses an API token")

    def _basic(self, scope: Scope) -> Principal:
        """Who has come in by the web config file may do everything, as everybody may without sign-in."""
        login = scope.get(LOGIN, "")
        return Principal(user=login if login in self._context.config.users else "", via="basic")

    async def _refusal(self, request: Request, error: AmproxyError) -> Response:
        path = request.url.path
        if path.startswith("/api/v2/") and isinstance(error, (NotSignedIn, Forbidden)):
            status = 401 if isinstance(error, NotSignedIn) else 403
            answer = coded(status, str(error))
            return Response(answer.body, status, _challenge(error), "application/json")
        if isinstance(error, NotSignedIn) and not path.startswith(PROGRAMS):
            back = _back(request, root_of(self._context.external_url))
            return RedirectResponse(SIGN_IN if back == "/" else f"{SIGN_IN}?back={quote(back, safe='/')}", 303)
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
        what = scope.get(SAID) or f"{scope['method']} {'/act' if link else scope['path']}"
        user = scope.get(ACTING) or by.user or scope.get(LOGIN, "")
        entry = audit.Entry(
            at=context.now(), user=user, role="" if link else by.role, via="link" if link else by.via, token=by.token,
            address=addresses.client(scope, context.config.sign_in), what=what,
        )  # fmt: skip
        await write(context, entry)


async def write(context: Context, entry: audit.Entry) -> None:
    """Put an entry into the audit log. What it tells of has happened already: Redis being away now is logged, and no error."""
    try:
        await audit.add(context.wire, entry, context.config.store.retention)
    except StoreUnavailable:
        metrics.unexpected_errors.labels("audit").inc()
        log.warning("not in the audit log, Redis is away: %s by %s over %s", entry.what, entry.user or "somebody", entry.via)


def _back(request: Request, root: str) -> str:
    """Where to go after the sign-in: the page that was asked for, or on which the form stood."""
    if request.method in SAFE:
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    else:
        page = urlsplit(request.headers.get("referer", ""))
        path = page.path.removeprefix(root) if page.netloc == request.url.netloc else "/"
    return own_path(path) if len(path) <= LONGEST_BACK else "/"


def _challenge(error: Exception) -> dict[str, str]:
    return {"WWW-Authenticate": "Bearer"} if isinstance(error, NotSignedIn) else {}
