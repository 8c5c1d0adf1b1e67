"""The provider of the sign-in, asked over HTTP: where it is, its keys, what a code is worth, and who its ID token names.

Sign-in at a provider: authorization code with PKCE, state and nonce. Out to the provider, and back again.
"""

from __future__ import annotations

import hmac
import secrets
import time
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import httpx
import msgspec

from amproxy.config.structs import Oidc, User
from amproxy.context import Context
from amproxy.errors import AmproxyError
from amproxy.secret import reveal
from amproxy.store import sign_in
from amproxy.store.sign_in import Handshake
from amproxy.web.signin import session

TIMEOUT: Final = 10.0  # seconds
METADATA_MAX_AGE: Final = 600.0  # seconds that a discovery stays good
LEEWAY: Final = 60  # seconds that the clocks may be apart
# Signatures by a key that only the provider has. Never "none", never one by a secret that two know.
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")


Decoded = TypeVar("Decoded")


class ProviderError(AmproxyError):
    """The provider does not answer, or what it answers does not hold; the text is for the log and for people."""


class ProviderMetadata(msgspec.Struct, frozen=True):
    """What discovery tells, as far as it is used."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str = ""
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)


class ProviderTokens(msgspec.Struct, frozen=True):
    """What a code was exchanged for, as far as it is used."""

    id_token: str
    access_token: str = ""


class Issuer:
    """Discoveries are kept for a while; everything else is asked for at each sign-in, so that new keys hold at once."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, ProviderMetadata]] = {}

    async def metadata(self, oidc: Oidc) -> ProviderMetadata:
        """Raises ProviderError."""
        kept = self._known.get(oidc.issuer)
        if kept and time.monotonic() - kept[0] < METADATA_MAX_AGE:
            return kept[1]
        url = f"{oidc.issuer.rstrip('/')}/.well-known/openid-configuration"
        found = _decode_json(await _request_provider("GET", url), ProviderMetadata)
        if found.issuer.rstrip("/") != oidc.issuer.rstrip("/"):
            raise ProviderError(f"{url} speaks of another issuer, {found.issuer[:200]}")
        secure = urlsplit(oidc.issuer).scheme == "https"
        for address in (found.authorization_endpoint, found.token_endpoint, found.jwks_uri):
            if urlsplit(address).scheme not in (("https",) if secure else ("https", "http")):
                raise ProviderError(f"{address[:200]} is not https")
        self._known = {oidc.issuer: (time.monotonic(), found)}
        return found

    async def exchange(self, oidc: Oidc, code: str, verifier: str, redirect_uri: str) -> ProviderTokens:
        """What a code is worth. Raises ProviderError."""
        metadata = await self.metadata(oidc)
        fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri, "code_verifier": verifier}
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
        return _decode_json(await _request_provider("POST", metadata.token_endpoint, data=fields, auth=auth), ProviderTokens)

    async def claims(self, oidc: Oidc, tokens: ProviderTokens, nonce: str, now: float) -> dict[str, Any]:
        """What the ID token says, its signature, issuer, audience, times and nonce checked. Raises ProviderError.

        A claim that the file asks for and the token lacks is asked for at the provider.
        """
        metadata = await self.metadata(oidc)
        keys = await _request_provider("GET", metadata.jwks_uri)
        claims = _verify_claims(tokens, keys, metadata.issuer, oidc.client_id, nonce, now)
        if oidc.user_claim not in claims and metadata.userinfo_endpoint and tokens.access_token:
            bearer = {"Authorization": f"Bearer {tokens.access_token}"}
            more = _decode_json(await _request_provider("GET", metadata.userinfo_endpoint, headers=bearer), dict[str, Any])
            if more.get("sub") != claims["sub"]:
                raise ProviderError("the provider speaks of somebody else than the ID token")
            claims = more | claims
        return claims


def _verify_claims(tokens: ProviderTokens, keys: bytes, issuer: str, client_id: str, nonce: str, now: float) -> dict[str, Any]:
    # imported here, because they take longer to load than all of the service, and most do without
    from authlib.oidc.core import CodeIDToken
    from joserfc import jwt
    from joserfc.errors import JoseError
    from joserfc.jwk import KeySet

    try:
        key_set = KeySet.import_key_set(msgspec.json.decode(keys))
        token = jwt.decode(tokens.id_token, key_set, algorithms=ALGORITHMS)
        essential = {"iss": {"essential": True, "value": issuer}, "aud": {"essential": True, "value": client_id}}
        params = {"nonce": nonce, "client_id": client_id, "access_token": tokens.access_token}
        claims = CodeIDToken(token.claims, token.header, essential, params)
        claims.validate(now=now, leeway=LEEWAY)
    except (JoseError, msgspec.DecodeError, ValueError, TypeError, KeyError) as error:
        # all that a token, or keys, made by somebody else can be wrong in
        raise ProviderError(f"the ID token does not hold: {error}") from None
    if not isinstance(claims.get("sub"), str):
        raise ProviderError("the ID token names nobody")
    return dict(claims)


async def _request_provider(method: str, url: str, **how: Any) -> bytes:
    try:
        async with httpx.AsyncClient(timeout=TIMEOUT, follow_redirects=False) as client:
            answer = await client.request(method, url, **how)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ProviderError(f"{url} does not answer: {type(error).__name__}") from None
    if answer.status_code != 200:
        raise ProviderError(f"{url} answers {answer.status_code}")
    return answer.content


def _decode_json(data: bytes, kind: type[Decoded]) -> Decoded:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProviderError(f"the provider's answer cannot be read: {error}") from None


CALLBACK = "/sign-in/callback"


class BadCallback(AmproxyError):
    """What came back from the provider is not the answer to what this browser asked. The text is for the log."""


class UnknownSignInUser(AmproxyError):
    """The provider knows the person, the file does not. The text is what the provider calls them."""


class CompletedSignIn(NamedTuple):
    user: User
    back: str


class OidcFlow:
    def __init__(self, context: Context) -> None:
        self._context, self._issuer = context, Issuer()

    async def begin(self, oidc: Oidc, back: str) -> tuple[str, str]:
        """The address at the provider, and the state for this browser's cookie. Raises ProviderError, StoreUnavailable."""
        from authlib.oauth2.rfc7636 import create_s256_code_challenge

        metadata = await self._issuer.metadata(oidc)
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        await sign_in.save_handshake(
            self._context.wire, state, Handshake(issuer=metadata.issuer, nonce=nonce, verifier=verifier, back=back)
        )
        query = {
            "response_type": "code", "client_id": oidc.client_id, "redirect_uri": self._callback(), "scope": " ".join(oidc.scopes),
            "state": state, "nonce": nonce, "code_challenge": create_s256_code_challenge(verifier), "code_challenge_method": "S256",
        }  # fmt: skip
        return f"{metadata.authorization_endpoint}{'&' if '?' in metadata.authorization_endpoint else '?'}{urlencode(query)}", state

    async def finish(self, oidc: Oidc, query: dict[str, str], state: str) -> CompletedSignIn:
        """Who has come back. state: of the cookie, so that nobody can be signed in by a link that somebody else has begun.

        Raises BadReturn, Unknown, ProviderError, StoreUnavailable.
        """
        returned = query.get("state", "")
        if not state or not hmac.compare_digest(state.encode(), returned.encode()):
            raise BadCallback("the state is not this browser's")
        handshake = await sign_in.take_handshake(self._context.wire, state)
        if handshake is None:
            raise BadCallback("the state is used or too old")
        if query.get("iss", handshake.issuer) != handshake.issuer:
            raise BadCallback("another provider answers")
        if "code" not in query:
            raise BadCallback(f"the provider refused: {query.get('error', 'no code')[:100]}")
        tokens = await self._issuer.exchange(oidc, query["code"], handshake.verifier, self._callback())
        claims = await self._issuer.claims(oidc, tokens, handshake.nonce, self._context.now())
        said = claims.get(oidc.user_claim)
        if oidc.user_claim == "email" and claims.get("email_verified") in (False, "false"):
            raise UnknownSignInUser(f"{said} (an address that the provider has not verified)")
        user = session.find_user(self._context.config, said) if isinstance(said, str) else None
        if user is None:
            raise UnknownSignInUser(str(said or f"somebody without {oidc.user_claim}"))
        return CompletedSignIn(user, handshake.back)

    def _callback(self) -> str:
        return f"{self._context.external_url}{CALLBACK}"
