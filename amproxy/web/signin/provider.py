"""Sign-in at an OpenID Connect provider: authorization code with PKCE, state and nonce."""

from __future__ import annotations

import hmac
import secrets
import time
from typing import Any, Final, Literal, NamedTuple, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import httpx
import msgspec

from amproxy.config.identities import find_sign_in
from amproxy.config.structs import Oidc, User
from amproxy.context import Context
from amproxy.errors import AmproxyError
from amproxy.secret import reveal
from amproxy.store import sign_in
from amproxy.store.sign_in import Handshake
from amproxy.text import phrase

CALLBACK = "/sign-in/callback"
TIMEOUT: Final = 10.0  # seconds
METADATA_MAX_AGE: Final = 600.0  # seconds
LEEWAY: Final = 60  # seconds that the clocks may be apart
# Asymmetric signatures only: never "none", never HS256, whose secret the client knows as well.
ALGORITHMS: Final = (
    *("RS256", "RS384", "RS512"),
    *("PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512"),
    "EdDSA",
)

Decoded = TypeVar("Decoded")


class ProviderError(AmproxyError):
    """The provider does not answer, or its answer is not valid; the text is for log and people."""


class BadCallback(AmproxyError):
    """A return from the provider that this browser did not begin; a phrase for the audit log."""


class UnknownSignInUser(AmproxyError):
    """Known to the provider, not to the file.

    name: the provider's of the person, "" = it gave none. is_verified: it vouches for the name.
    """

    def __init__(self, name: str, *, is_verified: bool = True) -> None:
        super().__init__(name)
        self.name, self.is_verified = name, is_verified

    @property
    def problem(self) -> Literal["unknown", "unverified", "nameless"]:
        """The word of it in texts."""
        if not self.is_verified:
            return "unverified"
        return "unknown" if self.name else "nameless"


class CompletedSignIn(NamedTuple):
    user: User
    back: str  # path to return to


class ProviderMetadata(msgspec.Struct, frozen=True):
    """The provider's discovery document, as far as it is used."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str = ""
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)


class ProviderTokens(msgspec.Struct, frozen=True):
    """The provider's answer to an authorization code, as far as it is used."""

    id_token: str
    access_token: str = ""


class OidcFlow:
    """The two halves of a sign-in: off to the provider, and back from it."""

    def __init__(self, context: Context) -> None:
        self._context, self._issuer = context, Issuer()

    async def begin(self, oidc: Oidc, back: str) -> tuple[str, str]:
        """Return the URL at the provider, and the state for this browser's cookie.

        Raises ProviderError, StoreUnavailable.
        """
        from authlib.oauth2.rfc7636 import create_s256_code_challenge

        metadata = await self._issuer.metadata(oidc)
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        handshake = Handshake(issuer=metadata.issuer, nonce=nonce, verifier=verifier, back=back)
        await sign_in.save_handshake(self._context.wire, state, handshake)
        query = {
            "response_type": "code",
            "client_id": oidc.client_id,
            "redirect_uri": self._callback(),
            "scope": " ".join(oidc.scopes),
            "state": state,
            "nonce": nonce,
            "code_challenge": create_s256_code_challenge(verifier),
            "code_challenge_method": "S256",
        }
        endpoint = metadata.authorization_endpoint
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}", state

    async def finish(self, oidc: Oidc, query: dict[str, str], state: str) -> CompletedSignIn:
        """Return the user who has come back from the provider.

        state: of the cookie, so that a link that somebody else has begun signs nobody in.
        Raises BadCallback, UnknownSignInUser, ProviderError, StoreUnavailable.
        """
        returned = query.get("state", "")
        if not state or not hmac.compare_digest(state.encode(), returned.encode()):
            raise BadCallback(phrase("audit.callback_of_other"))
        handshake = await sign_in.take_handshake(self._context.wire, state)
        if handshake is None:
            raise BadCallback(phrase("audit.callback_too_old"))
        if query.get("iss", handshake.issuer) != handshake.issuer:
            raise BadCallback(phrase("audit.callback_other_provider"))
        if "code" not in query:
            if not (said := query.get("error", "")[:100]):
                raise BadCallback(phrase("audit.callback_no_code"))
            raise BadCallback(phrase("audit.callback_refused", said=said))
        callback, now = self._callback(), self._context.now()
        tokens = await self._issuer.exchange(oidc, query["code"], handshake.verifier, callback)
        claims = await self._issuer.claims(oidc, tokens, handshake.nonce, now)
        return CompletedSignIn(self._user_of(oidc, claims), handshake.back)

    def _user_of(self, oidc: Oidc, claims: dict[str, Any]) -> User:
        """Raises UnknownSignInUser."""
        name = claims.get(oidc.user_claim)
        # anybody can enter somebody else's address at a provider that does not verify them
        if oidc.user_claim == "email" and claims.get("email_verified") in (False, "false"):
            raise UnknownSignInUser(str(name or ""), is_verified=False)
        users = self._context.config.users.values()
        user = find_sign_in(users, name) if isinstance(name, str) else None
        if user is None:
            raise UnknownSignInUser(str(name or ""))
        return user

    def _callback(self) -> str:
        return f"{self._context.external_url}{CALLBACK}"


class Issuer:
    """The provider over HTTP. Only discovery is cached: a new signing key is valid at once."""

    def __init__(self) -> None:
        self._cache: dict[str, tuple[float, ProviderMetadata]] = {}

    async def metadata(self, oidc: Oidc) -> ProviderMetadata:
        """Raises ProviderError."""
        cached = self._cache.get(oidc.issuer)
        if cached and time.monotonic() - cached[0] < METADATA_MAX_AGE:
            return cached[1]
        url = f"{oidc.issuer.rstrip('/')}/.well-known/openid-configuration"
        metadata = _decode_json(await _request_provider("GET", url), ProviderMetadata)
        if metadata.issuer.rstrip("/") != oidc.issuer.rstrip("/"):
            raise ProviderError(f"{url} speaks of another issuer, {metadata.issuer[:200]}")
        # an issuer by plain HTTP is for tests; one by HTTPS must not lead out of it
        secure = urlsplit(oidc.issuer).scheme == "https"
        for address in (
            metadata.authorization_endpoint,
            metadata.token_endpoint,
            metadata.jwks_uri,
        ):
            if urlsplit(address).scheme not in (("https",) if secure else ("https", "http")):
                raise ProviderError(f"{address[:200]} is not https")
        self._cache = {oidc.issuer: (time.monotonic(), metadata)}
        return metadata

    async def exchange(
        self, oidc: Oidc, code: str, verifier: str, redirect_uri: str
    ) -> ProviderTokens:
        """Exchange an authorization code for tokens. Raises ProviderError."""
        metadata = await self.metadata(oidc)
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        try:
            secret = reveal(oidc.client_secret, oidc.client_secret_file)
        except OSError as error:
            raise ProviderError(f"the client's secret cannot be read: {error.strerror}") from None
        auth = None
        if not secret:
            fields["client_id"] = oidc.client_id
        elif "client_secret_basic" in metadata.token_endpoint_auth_methods_supported:
            auth = httpx.BasicAuth(quote(oidc.client_id, safe=""), quote(secret, safe=""))
        else:
            fields |= {"client_id": oidc.client_id, "client_secret": secret}
        data = await _request_provider("POST", metadata.token_endpoint, data=fields, auth=auth)
        return _decode_json(data, ProviderTokens)

    async def claims(
        self, oidc: Oidc, tokens: ProviderTokens, nonce: str, now: float
    ) -> dict[str, Any]:
        """The claims of the ID token: signature, issuer, audience, times, nonce are checked.

        If the token lacks the file's user_claim, the provider's userinfo adds it. now: Unix
        seconds. Raises ProviderError.
        """
        metadata = await self.metadata(oidc)
        keys = await _request_provider("GET", metadata.jwks_uri)
        claims = _verify_claims(tokens, keys, metadata.issuer, oidc.client_id, nonce, now)
        if oidc.user_claim not in claims and metadata.userinfo_endpoint and tokens.access_token:
            bearer = {"Authorization": f"Bearer {tokens.access_token}"}
            data = await _request_provider("GET", metadata.userinfo_endpoint, headers=bearer)
            more = _decode_json(data, dict[str, Any])
            if more.get("sub") != claims["sub"]:
                raise ProviderError("the provider speaks of somebody else than the ID token")
            claims = more | claims  # what is signed has precedence
        return claims


def _verify_claims(
    tokens: ProviderTokens, keys: bytes, issuer: str, client_id: str, nonce: str, now: float
) -> dict[str, Any]:
    # imported here: they take longer to load than all of the service, and few installations use it
    from authlib.oidc.core import CodeIDToken
    from joserfc import jwt
    from joserfc.errors import JoseError
    from joserfc.jwk import KeySet

    try:
        key_set = KeySet.import_key_set(msgspec.json.decode(keys))
        token = jwt.decode(tokens.id_token, key_set, algorithms=ALGORITHMS)
        essential = {
            "iss": {"essential": True, "value": issuer},
            "aud": {"essential": True, "value": client_id},
        }
        params = {"nonce": nonce, "client_id": client_id, "access_token": tokens.access_token}
        claims = CodeIDToken(token.claims, token.header, essential, params)
        claims.validate(now=now, leeway=LEEWAY)
    except (JoseError, msgspec.DecodeError, ValueError, TypeError, KeyError) as error:
        # whatever can be wrong with a token, or keys, made by somebody else
        raise ProviderError(f"the ID token does not hold: {error}") from None
    if not isinstance(claims.get("sub"), str):
        raise ProviderError("the ID token names nobody")
    return dict(claims)


async def _request_provider(method: str, url: str, **options: Any) -> bytes:
    # no redirects: they could lead the secret to another host
    try:
        async with httpx.AsyncClient(timeout=TIMEOUT, follow_redirects=False) as client:
            response = await client.request(method, url, **options)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ProviderError(f"{url} does not answer: {type(error).__name__}") from None
    if response.status_code != 200:
        raise ProviderError(f"{url} answers {response.status_code}")
    return response.content


def _decode_json(data: bytes, kind: type[Decoded]) -> Decoded:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProviderError(f"the provider's answer cannot be read: {error}") from None
