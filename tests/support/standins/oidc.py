"""A provider of OpenID Connect on loopback, as strict as a real one: a code is good once, for what it was made for."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlencode

from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.support.standins.serving import Request, Response, Server

CLIENT, SECRET = "amproxy", "s3cret/with:odd chars"


class Provider:
    """`with Provider() as provider:` answers at `provider.url`. Whoever comes is signed in as `person` at once."""

    def __init__(self) -> None:
        self.own_key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
        self.other_key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
        self.person: dict[str, Any] = {
            "sub": "1",
            "email": "ada@example.org",
            "email_verified": True,
        }
        self.spoil: dict[str, Any] = {}  # claims that the ID token has instead
        self.key = self.own_key  # what it is signed with
        self.forge: Callable[[dict[str, Any]], str] | None = None  # makes the ID token instead
        self.only_userinfo = False  # the ID token names nobody but `sub`
        self.redirect_uris: set[str] = set()
        self.refused: list[str] = []
        self.calls: list[str] = []
        self._codes: dict[str, dict[str, str]] = {}
        self._server = Server(self._answer)

    def __enter__(self) -> Self:
        self._server.start()
        self.url = self._server.address
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    async def _answer(self, request: Request) -> Response:
        self.calls.append(request.path)
        match request.path:
            case "/.well-known/openid-configuration":
                paths = {
                    "authorization_endpoint": "authorize",
                    "token_endpoint": "token",
                    "jwks_uri": "jwks",
                    "userinfo_endpoint": "me",
                }
                return Response.json(
                    {
                        "issuer": self.url,
                        **{name: f"{self.url}/{path}" for name, path in paths.items()},
                    }
                )
            case "/jwks":
                return Response.json({"keys": [self.own_key.as_dict(private=False)]})
            case "/authorize":
                return self._authorize(
                    {name: values[0] for name, values in parse_qs(request.query).items()}
                )
            case "/token":
                return self._token(request)
            case "/me" if request.headers.get("authorization") == "Bearer at":
                return Response.json(self.person)
        return self._refuse("nothing here", 404)

    def _authorize(self, query: dict[str, str]) -> Response:
        if query.get("redirect_uri") not in self.redirect_uris:
            return self._refuse("redirect_uri")
        if (
            query.get("client_id") != CLIENT
            or query.get("response_type") != "code"
            or "openid" not in query.get("scope", "").split()
        ):
            return self._refuse("client")
        if (
            query.get("code_challenge_method") != "S256"
            or len(query.get("code_challenge", "")) != 43
        ):
            return self._refuse("pkce")
        if not query.get("state") or not query.get("nonce"):
            return self._refuse("state and nonce")
        code = secrets.token_urlsafe(16)
        self._codes[code] = query
        back = urlencode({"code": code, "state": query["state"], "iss": self.url})
        return Response(302, b"", {"Location": f"{query['redirect_uri']}?{back}"})

    def _token(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        given = (
            base64.b64decode(request.headers.get("authorization", "").removeprefix("Basic "))
            .decode()
            .split(":")
        )
        if [unquote(part) for part in given] != [CLIENT, SECRET]:
            return self._refuse("client secret", 401)
        asked = self._codes.pop(form.get("code", ""), None)
        if asked is None:
            return self._refuse("code")
        challenge = (
            base64.urlsafe_b64encode(
                hashlib.sha256(form.get("code_verifier", "").encode()).digest()
            )
            .rstrip(b"=")
            .decode()
        )
        if (
            challenge != asked["code_challenge"]
            or form.get("redirect_uri") != asked["redirect_uri"]
        ):
            return self._refuse("verifier")
        now = int(time.time())
        person = {"sub": self.person["sub"]} if self.only_userinfo else self.person
        claims = {
            "iss": self.url,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            **person,
            **self.spoil,
        }
        token = (
            self.forge(claims)
            if self.forge
            else jwt.encode({"alg": "RS256", "kid": "one"}, claims, self.key)
        )
        return Response.json({"id_token": token, "access_token": "at", "token_type": "Bearer"})

    def _refuse(self, why: str, status: int = 400) -> Response:
        self.refused.append(why)
        return Response(
            status, json.dumps({"error": "invalid_request", "error_description": why}).encode()
        )
