"""The sign-in gate: identify the principal of a request, enforce its role, audit its change.

The one place where roles are enforced; web/http/permissions.py says which one an address needs.
Where the file has no `sign_in`, everybody is an admin, and a request costs one look-up.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from amproxy import metrics
from amproxy.accept.body import header
from amproxy.accept.origin import AUTHENTICATED
from amproxy.accept.tokens import LOGIN, parse_credential
from amproxy.config.identities import find_sign_in
from amproxy.config.structs import SignIn
from amproxy.context import Context
from amproxy.errors import AmproxyError, StoreUnavailable
from amproxy.grouping.rights import Principal, may_answer, principal_of_user
from amproxy.log import EventLog
from amproxy.store import audit, sign_in
from amproxy.text import Phrase, phrase
from amproxy.web.alertmanager.http import coded_error
from amproxy.web.http.guard import SAFE_METHODS, with_security_headers
from amproxy.web.http.middleware import link_root
from amproxy.web.http.permissions import (
    ACTING_KEY,
    ANONYMOUS,
    AUDIT_KEY,
    METRICS_PATH,
    REFUSED_KEY,
    Forbidden,
    NotSignedIn,
    is_answer,
    may,
    principal_of,
    required_role,
    set_principal,
)
from amproxy.web.http.request import own_path
from amproxy.web.http.response import PROGRAM_PREFIXES, describe_error
from amproxy.web.http.templates import acting_user, page_address
from amproxy.web.signin.session import (
    SESSION_COOKIE,
    client_address,
    is_from_proxy,
    principal_of_token,
    read_cookie,
)

log = EventLog(__name__)

SIGN_IN_PATH = "/sign-in"
MAX_RETURN_PATH = 2000  # characters of a path to return to after the sign-in
# Sign-ins and button presses in chats write their own entries; a cookie of one browser and the
# preview of a silence change nothing.
_UNAUDITED_PATHS = (
    "/sign-in",
    "/slack/interactivity",
    "/language",
    "/theme",
    "/clock",
    "/me",
    "/api/v1/silences/preview",
    "/api/v1/config/preview",
)

RenderError = Callable[[Request, Exception], Awaitable[Response]]


class IdentifiedCaller(NamedTuple):
    principal: Principal
    metrics: bool = False  # may scrape, whatever the role


class SignInGate:
    """ASGI middleware. `render_error` makes the response for an error, JSON or a page."""

    def __init__(self, app: ASGIApp, context: Context, render_error: RenderError) -> None:
        self._app, self._context, self._render_error = app, context, render_error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        settings = self._context.config.sign_in
        if settings is not None:
            set_principal(scope, ANONYMOUS)
            try:
                await self._admit(scope, settings)
            except AmproxyError as error:
                if REFUSED_KEY in scope and scope["path"] not in _UNAUDITED_PATHS:
                    await self._audit(scope)
                response = await self._refusal(Request(scope, receive), error)
                send = with_security_headers(send, self._context.external_url)
                await response(scope, receive, send)
                return
        elif scope.get(AUTHENTICATED):
            set_principal(scope, self._basic_auth_principal(scope))
        if scope["method"] not in SAFE_METHODS and scope["path"] not in _UNAUDITED_PATHS:
            send = self._with_audit(scope, send)
        await self._app(scope, receive, send)

    async def _admit(self, scope: Scope, settings: SignIn) -> None:
        """Set the principal and check its role. Raises NotSignedIn, Forbidden, StoreUnavailable."""
        method, path = scope["method"], scope["path"]
        needed = required_role(method, path)
        try:
            principal, may_scrape = await identify(self._context, scope, settings)
        except (NotSignedIn, StoreUnavailable):
            if needed is None:
                return  # what is open to strangers is open to them as well
            raise
        set_principal(scope, principal)
        if needed is None or (may_scrape and path == METRICS_PATH):
            return
        if not may(principal, needed) and not (is_answer(path) and may_answer(principal)):
            if principal.via == "open":
                raise NotSignedIn(Phrase("refusal.sign_in"))
            reason = Phrase(
                "refusal.role",
                {
                    "role": Phrase(f"refusal.role_{needed}"),
                    "own": Phrase(f"refusal.role_{principal.role}"),
                },
            )
            if method not in SAFE_METHODS:
                scope[REFUSED_KEY] = reason
            raise Forbidden(reason)
        if method not in SAFE_METHODS:
            _require_browser_headers(scope, principal)

    def _basic_auth_principal(self, scope: Scope) -> Principal:
        """An admin: the web config file lets in only people who may do everything."""
        login = scope.get(LOGIN, "")
        return Principal(user=login if login in self._context.config.users else "", via="basic")

    async def _refusal(self, request: Request, error: AmproxyError) -> Response:
        path = request.url.path
        if path.startswith("/api/v2/"):
            # amtool expects Alertmanager's shape of errors
            described = describe_error(error)
            body = coded_error(described.status, str(error)).body
            headers = described.headers | _challenge(error)
            return Response(body, described.status, headers, "application/json")
        if isinstance(error, NotSignedIn) and not path.startswith(PROGRAM_PREFIXES):
            back = _return_path(request, link_root(self._context.external_url))
            values = {} if back == "/" else {"back": back}
            if request.method not in SAFE_METHODS:
                values["undone"] = "1"  # or somebody would take what they pressed for done
            query = f"?{urlencode(values, safe='/')}" if values else ""
            return RedirectResponse(f"{SIGN_IN_PATH}{query}", 303)
        response = await self._render_error(request, error)
        response.headers.update(_challenge(error))
        return response

    def _with_audit(self, scope: Scope, send: Send) -> Send:
        """A `send` that audits a change before its response: who sees it done finds it logged.

        What the rights of the principal forbade is logged as well. Of an error that comes with a
        phrase for the log a part was done. Without a phrase a page has only shown something.
        """
        is_page = not scope["path"].startswith(PROGRAM_PREFIXES)

        async def send_audited(message: Message) -> None:
            logged = AUDIT_KEY in scope or REFUSED_KEY in scope
            done = message["type"] == "http.response.start" and message["status"] < 400
            if message["type"] == "http.response.start" and (logged or (done and not is_page)):
                await self._audit(scope)
            await send(message)

        return send_audited

    async def _audit(self, scope: Scope) -> None:
        context, principal = self._context, principal_of(Request(scope))
        # a signed link acts for the user it was sent to; its path is a secret, so it is not logged
        is_link = scope["path"].startswith("/act/")
        path = "/act" if is_link else scope["path"]
        reason, is_page = scope.get(REFUSED_KEY), not path.startswith(PROGRAM_PREFIXES)
        # Where nobody signs in, people of pages are those whom they have chosen to be.
        chosen = acting_user(Request(scope), context) if is_page and not is_link else ""
        unnamed = (
            phrase("audit.page_refused", path=path)
            if is_page
            else phrase("audit.request", method=scope["method"], path=path)
        )
        entry = audit.AuditEntry(
            at=context.now(),
            user=scope.get(ACTING_KEY) or principal.user or chosen or scope.get(LOGIN, ""),
            role="" if is_link else principal.role,
            via="link" if is_link else principal.via,
            token=principal.token,
            address=client_address(scope, context.config.sign_in),
            what=scope.get(AUDIT_KEY) or unnamed,
            reason=reason,
            result="refused" if reason and AUDIT_KEY not in scope else "done",
        )
        await write_audit(context, entry)


async def write_audit(context: Context, entry: audit.AuditEntry) -> None:
    """Add an entry to the audit log; without Redis it is a warning in the service's log.

    No error, because the change has happened already.
    """
    try:
        await audit.add(context.wire, entry, context.config.store.retention)
    except StoreUnavailable:
        metrics.unexpected_errors.labels("audit").inc()
        log.warning(
            "not in the audit log: Redis is away", user=entry.user, via=entry.via, what=entry.what
        )


async def identify(context: Context, scope: Scope, settings: SignIn) -> IdentifiedCaller:
    """Identify by API token, else by the proxy's header, else by session.

    Raises NotSignedIn for a token that opens nothing, StoreUnavailable.
    """
    credential = parse_credential(scope)
    if credential.startswith(sign_in.TOKEN_PREFIX):
        return await _identify_by_token(context, credential)
    user = find_proxy_user(context, scope, settings)
    if user:
        config = context.config
        return IdentifiedCaller(principal_of_user(config, user, "proxy"))
    secret = read_cookie(scope, SESSION_COOKIE, context.external_url)
    principal = await _principal_by_session(context, scope, settings, secret) if secret else None
    if principal:
        return IdentifiedCaller(principal)
    return IdentifiedCaller(ANONYMOUS if settings.anonymous == "none" else Principal(role="viewer"))


async def _identify_by_token(context: Context, credential: str) -> IdentifiedCaller:
    now = context.now()
    token = await sign_in.load_token(context.wire, credential, now)
    principal = principal_of_token(context.config, token) if token else None
    if token is None or principal is None:
        raise NotSignedIn(Phrase("refusal.token"))
    await sign_in.record_token_use(context.wire, token, now)
    return IdentifiedCaller(principal, "metrics" in token.scopes)


def find_proxy_user(context: Context, scope: Scope, settings: SignIn) -> str:
    """The user of the file whom a trusted proxy names, "" = nobody."""
    name = proxy_user_name(scope, settings)
    user = find_sign_in(context.config.users.values(), name) if name else None
    return user.name if user else ""


def proxy_user_name(scope: Scope, settings: SignIn) -> str:
    """The name that a trusted proxy gives in its header, "" = none."""
    proxy = settings.proxy_header
    if proxy is None or not is_from_proxy(scope, proxy):
        return ""
    # if it is there twice, one of them may have slipped through from outside
    name = proxy.header.lower().encode()
    given = [value for key, value in scope["headers"] if key == name]
    return given[0].decode("utf-8", "replace").strip() if len(given) == 1 else ""


async def _principal_by_session(
    context: Context, scope: Scope, settings: SignIn, secret: str
) -> Principal | None:
    now = context.now()
    session = await sign_in.load_session(context.wire, secret, now)
    if session is None or session.user not in context.config.users:
        return None
    # a reload that removes a method of signing in ends its sessions, one that shortens
    # their lifetime applies to sessions that exist
    allowed = settings.passwords if session.way == "password" else settings.oidc
    if not allowed or now - session.made > settings.session_lifetime:
        return None
    address = client_address(scope, settings)
    await sign_in.record_session_use(context.wire, secret, session, now, address)
    return principal_of_user(context.config, session.user, "session")


def _require_browser_headers(scope: Scope, principal: Principal) -> None:
    """Refuse a write that may come from a foreign page. Raises Forbidden.

    A browser sends its session, and passes the proxy, whichever site made the page. The guard
    detects foreign pages by two headers; every browser since 2020 sends at least one of them with
    a POST. Without both, our pages look like foreign ones. A token in each form would let such
    browsers in, and there are none to let in.
    """
    has_headers = header(scope, b"sec-fetch-site") or header(scope, b"origin")
    if principal.via in ("session", "proxy") and not has_headers:
        raise Forbidden(Phrase("refusal.no_origin"))


def _return_path(request: Request, root: str) -> str:
    """The page to open after the sign-in: the requested one, or that of the submitted form."""
    if request.method in SAFE_METHODS:
        path = page_address(request)
    else:
        page = urlsplit(request.headers.get("referer", ""))
        path = page._replace(scheme="", netloc="", fragment="").geturl().removeprefix(root)
        path = path if page.netloc == request.url.netloc else "/"
    return own_path(path) if len(path) <= MAX_RETURN_PATH else "/"


def _challenge(error: Exception) -> dict[str, str]:
    return {"WWW-Authenticate": "Bearer"} if isinstance(error, NotSignedIn) else {}
