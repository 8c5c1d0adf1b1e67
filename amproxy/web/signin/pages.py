"""/sign-in and /sign-out: by password, or at a provider. Every attempt goes into the audit log."""

from __future__ import annotations

import logging
import math
from typing import Literal
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from amproxy.config.structs import Oidc, SignIn, User
from amproxy.store import audit, sign_in
from amproxy.store import sign_in as store_sign_in
from amproxy.store.sign_in import Session
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import principal_of, set_audit_text
from amproxy.web.http.request import own_path, parse_form
from amproxy.web.http.templates import PageTemplates
from amproxy.web.signin import session
from amproxy.web.signin import session as signin_session
from amproxy.web.signin.gate import proxy_user_name, write_audit
from amproxy.web.signin.passwords import SignInPasswords
from amproxy.web.signin.provider import BadCallback, OidcFlow, ProviderError, UnknownSignInUser

log = logging.getLogger(__name__)

MAX_AGENT_LENGTH = 200  # characters


class SignInPage:
    def __init__(self, deps: Deps, looks: PageTemplates) -> None:
        self._context, self._looks = deps.context, looks
        self._passwords, self._flow = SignInPasswords(), OidcFlow(deps.context)

    def routes(self) -> list[Route]:
        return [
            Route("/sign-in", self.show, methods=["GET"]),
            Route("/sign-in", self.enter, methods=["POST"]),
            Route("/sign-in/oidc", self.leave_for_provider, methods=["GET"]),
            Route("/sign-in/callback", self.come_back, methods=["GET"]),
            Route("/sign-out", self.sign_out, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        back = own_path(request.query_params.get("back", ""))
        if self._context.config.sign_in is None or principal_of(request).user:
            return RedirectResponse(back, 303)
        return await self._draw(request, back)

    async def enter(self, request: Request) -> Response:
        """By name (or e-mail address) and password."""
        sign_in = self._asked_for()
        if not sign_in.passwords:
            raise HTTPException(404)
        fields = await parse_form(request)
        context, back = self._context, own_path(fields.get("back", ""))
        given, password = fields.get("name", "").strip()[:200], fields.get("password", "")
        user = session.find_user(context.config, given)
        by_name = store_sign_in.counter_by_name(user.name if user else given)
        by_address = store_sign_in.counter_by_address(signin_session.client_address(request.scope, sign_in))
        wait = await store_sign_in.begin_attempt(context.wire, by_name, by_address)
        if wait:
            await self._tell(request, given, "tried to sign in too often", refused=True)
            seconds = math.ceil(wait)
            return await self._draw(
                request, back, 429, given=given, problem="too_often", minutes=math.ceil(wait / 60), headers={"Retry-After": str(seconds)}
            )
        right = await self._passwords.right(user, password, context.config.users.values())
        if user is None or not right:
            await self._tell(request, given, "gave a wrong name or password", refused=True)
            return await self._draw(request, back, 401, given=given, problem="wrong")
        await store_sign_in.clear_attempts(context.wire, by_name, by_address)
        return await self._begin(request, user, "password", back)

    async def leave_for_provider(self, request: Request) -> Response:
        """A link and no form: a page's policy (CSP, form-action) lets forms go nowhere but here."""
        oidc, back = self._oidc(), own_path(request.query_params.get("back", ""))
        try:
            url, state = await self._flow.begin(oidc, back)
        except ProviderError as error:
            log.warning("nobody can sign in by %s: %s", oidc.issuer, error)
            return await self._draw(request, back, 502, problem="provider")
        answer = RedirectResponse(url, 303)
        signin_session.set_cookie(answer, signin_session.STATE_COOKIE, state, self._context.external_url, sign_in.HANDSHAKE_TIMEOUT)
        return answer

    async def come_back(self, request: Request) -> Response:
        oidc, external_url = self._oidc(), self._context.external_url
        state = signin_session.read_cookie(request.scope, signin_session.STATE_COOKIE, external_url)
        try:
            user, back = await self._flow.finish(oidc, dict(request.query_params), state)
        except BadCallback as error:
            await self._tell(request, "", f"came back from the provider in vain: {error}", refused=True)
            return await self._draw(request, "/", 400, problem="start_again")
        except UnknownSignInUser as error:
            await self._tell(request, str(error), "is known to the provider and not to the file", refused=True)
            return await self._draw(request, "/", 403, problem="unknown", given=str(error))
        except ProviderError as error:
            log.warning("somebody could not sign in by %s: %s", oidc.issuer, error)
            await self._tell(request, "", "came back from the provider, whose answer does not hold", refused=True)
            return await self._draw(request, "/", 502, problem="provider")
        answer = await self._begin(request, user, "oidc", back)
        signin_session.set_cookie(answer, signin_session.STATE_COOKIE, "", external_url, 0)
        return answer

    async def sign_out(self, request: Request) -> Response:
        """This browser; or all of the person's, where the form says `everywhere`."""
        fields, user, external_url = await parse_form(request), principal_of(request).user, self._context.external_url
        secret = signin_session.read_cookie(request.scope, signin_session.SESSION_COOKIE, external_url)
        if user and fields.get("everywhere"):
            ended = await store_sign_in.end_all_sessions(self._context.wire, user)
            set_audit_text(request, f"signed out everywhere ({ended})")
        elif user:
            await store_sign_in.end_session(self._context.wire, secret, user)
            set_audit_text(request, "signed out")
        answer = RedirectResponse("/sign-in", 303)
        signin_session.set_cookie(answer, signin_session.SESSION_COOKIE, "", external_url, 0)
        return answer

    async def _begin(self, request: Request, user: User, way: Literal["password", "oidc"], back: str) -> Response:
        """A new session under a new secret, whatever the browser came with; the one it had before ends."""
        context, sign_in = self._context, self._asked_for()
        now, old = context.now(), signin_session.read_cookie(request.scope, signin_session.SESSION_COOKIE, context.external_url)
        before = await store_sign_in.load_session(context.wire, old, now) if old else None
        if before:
            await store_sign_in.end_session(context.wire, old, before.user)
        session = Session(
            user=user.name, way=way, made=now, seen=now, ends=now + sign_in.session_lifetime,
            agent=request.headers.get("user-agent", "")[:MAX_AGENT_LENGTH], address=signin_session.client_address(request.scope, sign_in),
        )  # fmt: skip
        secret = await store_sign_in.create_session(context.wire, session)
        await self._tell(request, user.name, f"signed in by {way}", role=user.role)
        answer = RedirectResponse(back, 303)
        signin_session.set_cookie(answer, signin_session.SESSION_COOKIE, secret, context.external_url, sign_in.session_lifetime)
        return answer

    async def _tell(self, request: Request, user: str, what: str, *, role: str = "", refused: bool = False) -> None:
        context = self._context
        address = signin_session.client_address(request.scope, context.config.sign_in)
        entry = audit.AuditEntry(
            at=context.now(), user=user, role=role, via="sign-in", address=address, what=what, result="refused" if refused else "done"
        )
        await write_audit(context, entry)

    async def _draw(
        self, request: Request, back: str, status: int = 200, *, problem: str = "", given: str = "", minutes: int = 0,
        headers: dict[str, str] | None = None,
    ) -> Response:  # fmt: skip
        sign_in = self._asked_for()
        return await self._looks.page(
            request, "sign_in.html", status, headers, back=back, sign_in=sign_in, problem=problem, given=given, minutes=minutes,
            provider=_provider_name(sign_in.oidc), proxied=proxy_user_name(request.scope, sign_in),
        )  # fmt: skip

    def _asked_for(self) -> SignIn:
        sign_in = self._context.config.sign_in
        if sign_in is None:
            raise HTTPException(404)
        return sign_in

    def _oidc(self) -> Oidc:
        oidc = self._asked_for().oidc
        if oidc is None:
            raise HTTPException(404)
        return oidc


def _provider_name(oidc: Oidc | None) -> str:
    """How people know the provider."""
    return (oidc.name or urlsplit(oidc.issuer).hostname or "") if oidc else ""
