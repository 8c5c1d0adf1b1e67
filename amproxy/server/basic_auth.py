"""Basic auth by the web config file, outside of everything else; without it the response is 401.

/-/healthy, /-/ready and /metrics need it too, as in the Prometheus family.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import os
from collections import deque
from collections.abc import Callable, Mapping

import bcrypt

from amproxy.accept.body import Application, Receive, Scope, Send, header
from amproxy.accept.origin import AUTHENTICATED
from amproxy.accept.tokens import LOGIN
from amproxy.secret import Secret
from amproxy.server.web_config import WebConfig

_UNAUTHORIZED_BODY = b"Unauthorized\n"
_UNAUTHORIZED_HEADERS = [
    (b"www-authenticate", b'Basic realm="amproxy", charset="UTF-8"'),
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"content-length", str(len(_UNAUTHORIZED_BODY)).encode()),
]
_MAX_PASSWORD_BYTES = 72  # bcrypt ignores all further bytes
_MAX_WRONG_REMEMBERED = 100  # proofs: a sender with an old password must not cost a hash each time


class BasicAuth:
    """Pure ASGI: mark authenticated requests (origin.AUTHENTICATED), add the file's headers."""

    def __init__(self, app: Application, config: Callable[[], WebConfig]) -> None:
        self._app, self._config = app, config
        self._passwords = BasicAuthPasswords()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        config = self._config()
        if config.headers:
            send = _with_headers(send, config.headers)
        if config.users and not await self._passes(config.users, header(scope, b"authorization")):
            await send(
                {"type": "http.response.start", "status": 401, "headers": _UNAUTHORIZED_HEADERS}
            )
            await send({"type": "http.response.body", "body": _UNAUTHORIZED_BODY})
            return
        if config.authenticates:
            scope[AUTHENTICATED] = True
            scope[LOGIN] = _login_name(header(scope, b"authorization")) if config.users else ""
        await self._app(scope, receive, send)

    async def _passes(self, users: Mapping[str, Secret], authorization: str) -> bool:
        try:
            user, colon, password = _parse_credentials(authorization)
        except (binascii.Error, UnicodeDecodeError):
            return False
        return bool(colon) and await self._passwords.check(users, user, password)


def _login_name(authorization: str) -> str:
    return _parse_credentials(authorization)[0]


def _parse_credentials(authorization: str) -> tuple[str, bytes, bytes]:
    """Name, colon and password; all empty where the header has none.

    Raises binascii.Error, UnicodeDecodeError.
    """
    scheme, _, rest = authorization.partition(" ")
    encoded = rest.strip() if scheme.lower() == "basic" else ""
    name, colon, password = base64.b64decode(encoded, validate=True).partition(b":")
    return name.decode("utf-8"), colon, password


class BasicAuthPasswords:
    """Compare each password with its bcrypt hash once: that costs as much as hundreds of pushes."""

    def __init__(self) -> None:
        # a random key: a proof reveals nothing about a password outside of this process
        self._key = os.urandom(32)
        self._right: set[bytes] = set()
        self._wrong: deque[bytes] = deque(maxlen=_MAX_WRONG_REMEMBERED)
        self._lock = asyncio.Lock()  # guessing passwords may keep one core busy, not all

    async def check(self, users: Mapping[str, Secret], user: str, password: bytes) -> bool:
        """Compare a password with the user's; False where there is no such user."""
        known = users.get(user)
        # an unknown user takes as long as a known one: the time must not show who exists
        hashed = known.reveal() if known is not None else _dummy_hash(users)
        proof = self._proof(user, hashed, password)
        if proof in self._right or proof in self._wrong:
            return proof in self._right
        async with self._lock:
            # checked again: another request may have compared it while this one waited
            if proof not in self._right and proof not in self._wrong:
                fits = await asyncio.to_thread(
                    bcrypt.checkpw, password[:_MAX_PASSWORD_BYTES], hashed.encode()
                )
                if fits and known is not None:
                    self._right.add(proof)
                else:
                    self._wrong.append(proof)
        return proof in self._right

    def _proof(self, user: str, hashed: str, password: bytes) -> bytes:
        """A keyed digest of the three; each with its length, so that none runs into the next."""
        digest = hashlib.blake2b(key=self._key, digest_size=32)
        for field in (user.encode(), hashed.encode(), password):
            digest.update(len(field).to_bytes(8, "big") + field)
        return digest.digest()


def _dummy_hash(users: Mapping[str, Secret]) -> str:
    """Return a hash that takes as long to check as the slowest one of the file."""
    cost = max(hashed.reveal().split("$")[2] for hashed in users.values())
    return f"$2b${cost}${'.' * 53}"


def _with_headers(send: Send, headers: Mapping[str, str]) -> Send:
    """A `send` that adds headers, in place of our own of the same name."""
    added = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    names = {name for name, _ in added}

    async def send_with_headers(message: Scope) -> None:
        if message["type"] == "http.response.start":
            others = [pair for pair in message.get("headers", ()) if pair[0].lower() not in names]
            message["headers"] = [*others, *added]
        await send(message)

    return send_with_headers
