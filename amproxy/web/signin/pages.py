"""/sign-in and /sign-out: by password, or at a provider. Every attempt goes into the audit log."""

from __future__ import annotations

import math
from typing import Literal
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from amproxy.config.identities import find_sign_in, fold_name
from amproxy.config.structs import Oidc, SignIn, User
from amproxy.log import EventLog
from amproxy.store import audit, sign_in
from amproxy.store.leases import load_signing_key
from amproxy.text import Phrase, phrase
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import principal_of, set_audit_phrase
from amproxy.web.http.request import own_path, parse_form
from amproxy.web.http.templates import PageTemplates
from amproxy.web.signin.gate import SIGN_IN_PATH, proxy_user_name, write_audit
from amproxy.web.signin.passwords import SignInPasswords
from amproxy.web.signin.provider import BadCallback, OidcFlow, ProviderError, UnknownSignInUser
from amproxy.web.signin.session import (
    SESSION_COOKIE,
    STATE_COOKIE,
    KnownBrowsers,
    client_address,
    read_cookie,
    set_cookie,
)

log = EventLog(__name__)

MAX_AGENT_LENGTH = 200  # characters
MAX_NAME_LENGTH = 200  # characters


class SignInPage:
    def __init__(self, deps: Deps, templates: PageTemplates) -> None:
        self._context, self._templates = deps.context, templates
        self._passwords, self._oidc_flow = SignInPasswords(), OidcFlow(deps.context)
        self._known_browsers: KnownBrowsers | None = None

    def routes(self) -> list[Route]:
        return [
            Route("/sign-in", self.show, methods=["GET"]),
            Route("/sign-in", self.enter, methods=["POST"]),
            Route("/sign-in/oidc", self.go_to_provider, methods=["GET"]),
            Route("/sign-in/callback", self.return_from_provider, methods=["GET"]),
            Route("/sign-out", self.sign_out, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        back = own_path(request.query_params.get("back", ""))
        if self._context.config.sign_in is None or principal_of(request).user:
            return RedirectResponse(back, 303)
        problem = "undone" if "undone" in request.query_params else ""
        return await self._render(request, back, problem=problem)

    async def enter(self, request: Request) -> Response:
        """Sign in by name (or e-mail address) and password."""
        context, settings = self._context, self._settings()
        if not settings.passwords:
            raise HTTPException(404)
        fields = await parse_form(request)
        back = own_path(fields.get("back", ""))
        name, password = (
            fields.get("name", "").strip()[:MAX_NAME_LENGTH],
            fields.get("password", ""),
        )
        user = find_sign_in(context.config.users.values(), name)
        known = (await self._load_known_browsers()).read(request.scope, context.external_url)
        counters = sign_in.attempt_counters(
            fold_name(user.name if user else name),
            client_address(request.scope, settings),
            known.id if user and user.name in known.users else "",
        )
        # counted before the password is checked: many attempts at once must not pass the limit
        wait = await sign_in.begin_attempt(context.wire, *counters)
        if wait:
            return await self._render_too_often(request, back, name, wait)
        fits = await self._passwords.check(user, password, context.config.users.values())
        if user is None or not fits:
            await self._audit(request, name, phrase("audit.sign_in_wrong"), refused=True)
            return await self._render(request, back, 401, given=name, problem="wrong")
        await sign_in.clear_attempts(context.wire, *counters)
        return await self._begin_session(request, user, "password", back)

    async def _render_too_often(
        self, request: Request, back: str, name: str, wait: float
    ) -> Response:
        await self._audit(request, name, phrase("audit.sign_in_too_often"), refused=True)
        headers = {"Retry-After": str(math.ceil(wait))}
        minutes = math.ceil(wait / 60)
        return await self._render(
            request, back, 429, given=name, problem="too_often", minutes=minutes, headers=headers
        )

    async def go_to_provider(self, request: Request) -> Response:
        """Redirect to the provider.

        By GET, from a link: the pages' policy (CSP, form-action) lets no form lead to another site.
        """
        oidc, back = self._oidc(), own_path(request.query_params.get("back", ""))
        try:
            url, state = await self._oidc_flow.begin(oidc, back)
        except ProviderError as error:
            log.warning("nobody can sign in", issuer=oidc.issuer, error=error)
            return await self._render(request, back, 502, problem="provider")
        response = RedirectResponse(url, 303)
        self._set_cookie(response, STATE_COOKIE, state, sign_in.HANDSHAKE_TIMEOUT)
        return response

    async def return_from_provider(self, request: Request) -> Response:
        oidc = self._oidc()
        state = read_cookie(request.scope, STATE_COOKIE, self._context.external_url)
        try:
            user, back = await self._oidc_flow.finish(oidc, dict(request.query_params), state)
        except BadCallback as error:
            what = phrase("audit.callback_in_vain", reason=error.args[0])
            await self._audit(request, "", what, refused=True)
            return await self._render(request, "/", 400, problem="start_again")
        except UnknownSignInUser as error:
            what = Phrase(f"audit.callback_{error.problem}")
            await self._audit(request, error.name, what, refused=True)
            return await self._render(
                request, "/", 403, problem=error.problem, given=error.name, claim=oidc.user_claim
            )
        except ProviderError as error:
            log.warning("somebody could not sign in", issuer=oidc.issuer, error=error)
            what = phrase("audit.callback_invalid")
            await self._audit(request, "", what, refused=True)
            return await self._render(request, "/", 502, problem="provider")
        response = await self._begin_session(request, user, "oidc", back)
        self._set_cookie(response, STATE_COOKIE, "", 0)
        return response

    async def sign_out(self, request: Request) -> Response:
        """End this browser's session, or all of the person's: form field `everywhere`."""
        fields, user, wire = (
            await parse_form(request),
            principal_of(request).user,
            self._context.wire,
        )
        if user and fields.get("everywhere"):
            ended = await sign_in.end_all_sessions(wire, user)
            set_audit_phrase(request, phrase("audit.signed_out_everywhere", count=ended))
        elif user:
            secret = read_cookie(request.scope, SESSION_COOKIE, self._context.external_url)
            await sign_in.end_session(wire, secret, user)
            set_audit_phrase(request, phrase("audit.signed_out"))
        response = RedirectResponse(SIGN_IN_PATH, 303)
        self._set_cookie(response, SESSION_COOKIE, "", 0)
        return response

    async def _begin_session(
        self, request: Request, user: User, method: Literal["password", "oidc"], back: str
    ) -> Response:
        """Start a session under a new secret, and end the one that the browser had.

        A secret that somebody planted in the browser beforehand thus opens nothing.
        """
        context, settings, now = self._context, self._settings(), self._context.now()
        old_secret = read_cookie(request.scope, SESSION_COOKIE, context.external_url)
        old = await sign_in.load_session(context.wire, old_secret, now) if old_secret else None
        if old:
            await sign_in.end_session(context.wire, old_secret, old.user)
        session = sign_in.Session(
            user=user.name,
            way=method,
            made=now,
            seen=now,
            ends=now + settings.session_lifetime,
            agent=request.headers.get("user-agent", "")[:MAX_AGENT_LENGTH],
            address=client_address(request.scope, settings),
        )
        secret = await sign_in.create_session(context.wire, session)
        await self._audit(request, user.name, phrase(f"audit.signed_in_{method}"), role=user.role)
        response = RedirectResponse(back, 303)
        self._set_cookie(response, SESSION_COOKIE, secret, settings.session_lifetime)
        browsers = await self._load_known_browsers()
        known = browsers.read(request.scope, context.external_url)
        browsers.write(response, known.with_user(user.name), context.external_url)
        return response

    async def _load_known_browsers(self) -> KnownBrowsers:
        """Raises StoreUnavailable."""
        if self._known_browsers is None:
            self._known_browsers = KnownBrowsers(await load_signing_key(self._context.wire))
        return self._known_browsers

    def _set_cookie(self, response: Response, kind: str, value: str, age: float) -> None:
        set_cookie(response, kind, value, self._context.external_url, age)

    async def _audit(
        self, request: Request, user: str, what: Phrase, *, role: str = "", refused: bool = False
    ) -> None:
        context = self._context
        entry = audit.AuditEntry(
            at=context.now(),
            user=user,
            role=role,
            via="sign-in",
            address=client_address(request.scope, context.config.sign_in),
            what=what,
            result="refused" if refused else "done",
        )
        await write_audit(context, entry)

    async def _render(
        self,
        request: Request,
        back: str,
        status: int = 200,
        *,
        problem: str = "",
        given: str = "",
        claim: str = "",
        minutes: int = 0,
        headers: dict[str, str] | None = None,
    ) -> Response:
        settings = self._settings()
        return await self._templates.page(
            request,
            "sign_in.html",
            status,
            headers,
            back=back,
            sign_in=settings,
            problem=problem,
            given=given,
            claim=claim,
            minutes=minutes,
            provider=_provider_name(settings.oidc),
            proxied=proxy_user_name(request.scope, settings),
        )

    def _settings(self) -> SignIn:
        """Raises HTTPException 404 where the file has no sign-in."""
        settings = self._context.config.sign_in
        if settings is None:
            raise HTTPException(404)
        return settings

    def _oidc(self) -> Oidc:
        oidc = self._settings().oidc
        if oidc is None:
            raise HTTPException(404)
        return oidc


def _provider_name(oidc: Oidc | None) -> str:
    """The provider's name for people: that of the file, else its host."""
    return (oidc.name or urlsplit(oidc.issuer).hostname or "") if oidc else ""
