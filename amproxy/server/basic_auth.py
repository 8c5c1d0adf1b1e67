"""Outside of everything else: who does not give a name and password of the web config file is answered 401.

That holds for /-/healthy, /-/ready and /metrics too, as in the Prometheus family.
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
from amproxy.accept.tokens import AUTHENTICATED, LOGIN
from amproxy.secret import Secret
from amproxy.server.web_config import WebConfig

_UNAUTHORIZED_BODY = b"Unauthorized\n"
_UNAUTHORIZED_HEADERS = [
    (b"www-authenticate", b'Basic realm="amproxy", charset="UTF-8"'),
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"content-length", str(len(_UNAUTHORIZED_BODY)).encode()),
]
_MAX_PASSWORD_BYTES = 72  # bytes of a password that bcrypt looks at
_MAX_WRONG_REMEMBERED = 100  # wrong answers remembered, so that a sender with an old password costs nothing


class BasicAuth:
    """Pure ASGI. Marks what it lets in (tokens.AUTHENTICATED), and adds the headers of the file to every answer."""

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
            await send({"type": "http.response.start", "status": 401, "headers": _UNAUTHORIZED_HEADERS})
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
        return bool(colon) and await self._passwords.right(users, user, password)


def _login_name(authorization: str) -> str:
    """The name that was given with a right password."""
    return _parse_credentials(authorization)[0]


def _parse_credentials(authorization: str) -> tuple[str, bytes, bytes]:
    """Name, colon and password; no colon where there are none. Raises binascii.Error, UnicodeDecodeError."""
    scheme, _, rest = authorization.partition(" ")
    name, colon, password = base64.b64decode(rest.strip() if scheme.lower() == "basic" else "", validate=True).partition(b":")
    return name.decode("utf-8"), colon, password


class BasicAuthPasswords:
    """Compares passwords with bcrypt hashes, each only once: one comparison costs as much as hundreds of pushes."""

    def __init__(self) -> None:
        self._key = os.urandom(32)  # what is remembered says nothing about a password outside of this process
        self._right: set[bytes] = set()
        self._wrong: deque[bytes] = deque(maxlen=_MAX_WRONG_REMEMBERED)
        self._one = asyncio.Lock()  # whoever guesses passwords may keep one core busy, not all

    async def right(self, users: Mapping[str, Secret], user: str, password: bytes) -> bool:
        """Whether the password is the user's. Takes as long for a user that there is not."""
        known = users.get(user)
        hashed = known.reveal() if known is not None else _dummy_hash(users)
        proof = self._proof(user, hashed, password)
        if proof in self._right or proof in self._wrong:
            return proof in self._right
        async with self._one:
            if proof not in self._right and proof not in self._wrong:
                fits = await asyncio.to_thread(bcrypt.checkpw, password[:_MAX_PASSWORD_BYTES], hashed.encode())
                if fits and known is not None:
                    self._right.add(proof)
                else:
                    self._wrong.append(proof)
        return proof in self._right

    def _proof(self, user: str, hashed: str, password: bytes) -> bytes:
        made = hashlib.blake2b(key=self._key, digest_size=32)
        for part in (user.encode(), hashed.encode(), password):
            made.update(len(part).to_bytes(8, "big") + part)
        return made.digest()


def _dummy_hash(users: Mapping[str, Secret]) -> str:
    """A hash that takes as long as the slowest one of the file."""
    cost = max(hashed.reveal().split("$")[2] for hashed in users.values())
    return f"$2b${cost}${'.' * 53}"


def _with_headers(send: Send, wanted: Mapping[str, str]) -> Send:
    """A `send` that puts these headers in the place of our own of the same name."""
    given = [(name.lower().encode(), value.encode()) for name, value in wanted.items()]
    names = {name for name, _ in given}

    async def send_with_headers(message: Scope) -> None:
        if message["type"] == "http.response.start":
            kept = [(name, value) for name, value in message.get("headers", ()) if name.lower() not in names]
            message["headers"] = [*kept, *given]
        await send(message)

    return send_with_headers
