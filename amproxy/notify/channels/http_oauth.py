"""`oauth2` of an http_config: a token for client credentials, or for a signed assertion.

As Alertmanager's: the token is fetched at the first call, kept until it is about to expire, and
fetched with the section's own TLS and proxy settings. One that is refused is fetched anew, once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import parse_qsl, quote_plus
from uuid import uuid4

import httpx
import msgspec

from amproxy import clock
from amproxy.config.structs import OAuth2Settings
from amproxy.errors import DeliveryError
from amproxy.secret import reveal
from amproxy.text import PhraseValue, phrase

SERVICE: Final = "OAuth2"
JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
EXPIRY_MARGIN: Final = 10.0  # seconds before its end at which a token counts as expired
ASSERTION_SECONDS: Final = 600  # that a signed assertion is valid
_TYPES: Final = {"": "Bearer", "bearer": "Bearer", "mac": "MAC", "basic": "Basic"}
_FORM_TYPES: Final = ("application/x-www-form-urlencoded", "text/plain")


class TokenAnswer(Protocol):
    """An HTTP response of the token's address, whatever its status."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> httpx.Headers: ...
    @property
    def body(self) -> bytes: ...


# Posts a form with some headers to the token's address. Raises DeliveryError.
Ask = Callable[[Mapping[str, str], Mapping[str, str]], Awaitable[TokenAnswer]]


class _OAuthToken(NamedTuple):
    header: str  # of Authorization
    expires: float  # monotonic time
    secret: str  # that it was fetched with: a changed file takes effect


class OAuthCredentials(httpx.Auth):
    """Sets the Authorization header of each request to a token."""

    def __init__(self, settings: OAuth2Settings, ask: Ask) -> None:
        self._settings, self._ask = settings, ask
        self._token: _OAuthToken | None = None
        self._fetching = asyncio.Lock()
        # Whether the server wants the credentials in the form; None = not known yet.
        self._in_form: bool | None = None

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Raises DeliveryError where no token can be had; then nothing was sent."""
        known = self._token
        used = await self._current()
        request.headers["Authorization"] = used.header
        response = yield request
        if response.status_code == 401 and used is known:  # it was revoked before its time
            await self._forget(used)
            request.headers["Authorization"] = (await self._current()).header
            yield request

    async def _forget(self, token: _OAuthToken) -> None:
        async with self._fetching:
            if self._token is token:
                self._token = None

    async def _current(self) -> _OAuthToken:
        secret = self._read_secret()
        async with self._fetching:  # many calls at once need one token
            token = self._token
            if token is None or token.secret != secret or token.expires <= time.monotonic():
                self._token = token = await self._fetch(secret)
            return token

    def _read_secret(self) -> str:
        """The client's secret, or the key that it signs with."""
        one = self._settings
        try:
            if one.grant_type == JWT_BEARER:
                return reveal(one.client_certificate_key, one.client_certificate_key_file)
            return reveal(one.client_secret, one.client_secret_file)
        except (OSError, UnicodeError) as error:
            words = phrase("failure.credentials_unread", said=str(error))
            raise DeliveryError(words, permanent=True, reason="auth_error") from None

    async def _fetch(self, secret: str) -> _OAuthToken:
        one = self._settings
        form = dict(one.endpoint_params)
        if one.grant_type == JWT_BEARER:
            form |= {"grant_type": JWT_BEARER, "assertion": _assertion(one, secret)}
            return _read_token(await self._post(form, {}), secret)
        form["grant_type"] = form.get("grant_type", "client_credentials")
        if one.scopes:
            form["scope"] = " ".join(one.scopes)
        answer = await self._post(*self._with_credentials(form, secret))
        if answer.status >= 400 and self._in_form is None:
            # Some servers know only one of the two ways; nobody says which.
            self._in_form = True
            answer = await self._post(*self._with_credentials(form, secret))
            if answer.status >= 400:
                self._in_form = None
        elif self._in_form is None:
            self._in_form = False
        return _read_token(answer, secret)

    def _with_credentials(
        self, form: Mapping[str, str], secret: str
    ) -> tuple[dict[str, str], dict[str, str]]:
        """The form and headers of a request with the client's credentials in one of them."""
        name = self._settings.client_id
        if self._in_form:
            return {**form, "client_id": name, "client_secret": secret}, {}
        basic = httpx.BasicAuth(quote_plus(name), quote_plus(secret))._auth_header
        return dict(form), {"Authorization": basic}

    async def _post(self, form: Mapping[str, str], headers: Mapping[str, str]) -> TokenAnswer:
        try:
            return await self._ask(form, headers)
        except DeliveryError as error:
            error.ambiguous = False  # of the token: the message itself was not sent
            raise


def _assertion(settings: OAuth2Settings, key: str) -> str:
    """A signed statement of who asks (RFC 7523)."""
    from joserfc import jwt
    from joserfc.errors import JoseError
    from joserfc.jwk import RSAKey

    now = int(clock.now())
    header = {"alg": settings.signature_algorithm or "RS256"}
    if settings.client_certificate_key_id:
        header["kid"] = settings.client_certificate_key_id
    claims: dict[str, Any] = {
        "iss": settings.iss or settings.client_id,
        "sub": settings.client_id,
        "jti": str(uuid4()),
        "aud": settings.audience or settings.token_url,
        "iat": now,
        "exp": now + ASSERTION_SECONDS,
    }
    if settings.scopes:
        claims["scope"] = " ".join(settings.scopes)
    try:
        signing_key = RSAKey.import_key(key)
        return jwt.encode(header, claims | settings.claims, signing_key, algorithms=[header["alg"]])
    except (ValueError, TypeError, JoseError):  # none of their texts is shown: they may quote it
        raise _auth_error("oauth_key") from None


def _read_token(answer: TokenAnswer, secret: str) -> _OAuthToken:
    """Raises DeliveryError: a refusal of the server, or an answer without a token."""
    fields = _fields(answer)
    error = fields.get("error")
    if answer.status >= 400 or error:
        word = error if isinstance(error, str) and error.isascii() and len(error) < 60 else ""
        key, said = ("status_said", {"said": word}) if word else ("status", {})
        error_of_token = _auth_error(key, status=answer.status, **said)
        if answer.status in {408, 429} or answer.status >= 500:
            error_of_token.permanent, error_of_token.reason = False, "server_error"
        raise error_of_token
    token = fields.get("access_token")
    if answer.status >= 300 or not isinstance(token, str) or not token:
        raise _auth_error("no_token")
    kind = str(fields.get("token_type") or "")
    try:
        seconds = float(fields.get("expires_in") or 0) or float("inf")
    except (TypeError, ValueError):
        seconds = float("inf")
    header = f"{_TYPES.get(kind.lower(), kind)} {token}"
    return _OAuthToken(header, time.monotonic() + seconds - EXPIRY_MARGIN, secret)


def _fields(answer: TokenAnswer) -> dict[str, Any]:
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in _FORM_TYPES:
        return dict(parse_qsl(answer.body.decode("utf-8", "replace")))
    try:
        found = msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def _auth_error(key: str, **values: PhraseValue) -> DeliveryError:
    words = phrase(f"failure.{key}", service=SERVICE, **values)
    return DeliveryError(words, permanent=True, reason="auth_error")
