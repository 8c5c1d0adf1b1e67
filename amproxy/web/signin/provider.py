"""Sign-in at a provider: authorization code with PKCE, state and nonce. Out to the provider, and back again."""

from __future__ import annotations

import hmac
import secrets
from typing import NamedTuple
from urllib.parse import urlencode

from amproxy.config.structs import Oidc, User
from amproxy.context import Context
from amproxy.errors import AmproxyError
from amproxy.store import handshakes
from amproxy.store.handshakes import Handshake
from amproxy.web.signin import people
from amproxy.web.signin.issuer import Issuer

CALLBACK = "/sign-in/callback"


class BadReturn(AmproxyError):
    """What came back from the provider is not the answer to what this browser asked. The text is for the log."""


class Unknown(AmproxyError):
    """The provider knows the person, the file does not. The text is what the provider calls them."""


class Signed(NamedTuple):
    user: User
    back: str


class Flow:
    def __init__(self, context: Context) -> None:
        self._context, self._issuer = context, Issuer()

    async def begin(self, oidc: Oidc, back: str) -> tuple[str, str]:
        """The address at the provider, and the state for this browser's cookie. Raises ProviderError, StoreUnavailable."""
        from authlib.oauth2.rfc7636 import create_s256_code_challenge

        metadata = await self._issuer.metadata(oidc)
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        await handshakes.keep(self._context.wire, state, Handshake(issuer=metadata.issuer, nonce=nonce, verifier=verifier, back=back))
        query = {
            "response_type": "code", "client_id": oidc.client_id, "redirect_uri": self._callback(), "scope": " ".join(oidc.scopes),
            "state": state, "nonce": nonce, "code_challenge": create_s256_code_challenge(verifier), "code_challenge_method": "S256",
        }  # fmt: skip
        return f"{metadata.authorization_endpoint}{'&' if '?' in metadata.authorization_endpoint else '?'}{urlencode(query)}", state

    async def finish(self, oidc: Oidc, query: dict[str, str], state: str) -> Signed:
        """Who has come back. state: of the cookie, so that nobody can be signed in by a link that somebody else has begun.

        Raises BadReturn, Unknown, ProviderError, StoreUnavailable.
        """
        returned = query.get("state", "")
        if not state or not hmac.compare_digest(state.encode(), returned.encode()):
            raise BadReturn("the state is not this browser's")
        handshake = await handshakes.take(self._context.wire, state)
        if handshake is None:
            raise BadReturn("the state is used or too old")
        if query.get("iss", handshake.issuer) != handshake.issuer:
            raise BadReturn("another provider answers")
        if "code" not in query:
            raise BadReturn(f"the provider refused: {query.get('error', 'no code')[:100]}")
        tokens = await self._issuer.exchange(oidc, query["code"], handshake.verifier, self._callback())
        claims = await self._issuer.claims(oidc, tokens, handshake.nonce, self._context.now())
        said = claims.get(oidc.user_claim)
        if oidc.user_claim == "email" and claims.get("email_verified") in (False, "false"):
            raise Unknown(f"{said} (an address that the provider has not verified)")
        user = people.named(self._context.config, said) if isinstance(said, str) else None
        if user is None:
            raise Unknown(str(said or f"somebody without {oidc.user_claim}"))
        return Signed(user, handshake.back)

    def _callback(self) -> str:
        return f"{self._context.external_url}{CALLBACK}"
