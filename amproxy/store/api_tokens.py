"""API tokens: shown once, kept as SHA-256, so that a copy of Redis opens nothing."""

from __future__ import annotations

import hashlib
import secrets
from typing import Literal, NamedTuple

import msgspec

from amproxy.errors import NotFound
from amproxy.store import keys
from amproxy.store.wire import Wire

PREFIX = "amp_"
USED_EVERY = 60.0  # seconds: the last use is written down no oftener

TokenScope = Literal["read", "respond", "admin", "metrics"]


class ApiToken(msgspec.Struct, frozen=True, kw_only=True):
    """What a token opens. Times are Unix seconds."""

    id: str
    name: str
    scopes: tuple[TokenScope, ...]
    user: str = ""  # as whom it acts; "" = nobody in particular
    made: float
    made_by: str = ""
    expires: float | None = None


class Listed(NamedTuple):
    token: ApiToken
    used: float | None


_encode = msgspec.msgpack.Encoder().encode
_token = msgspec.msgpack.Decoder(ApiToken).decode
_used: dict[str, float] = {}  # id → when this process wrote the last use down


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


async def make(wire: Wire, token: ApiToken) -> str:
    """Keep a new token; returns its secret, 256 random bits that nobody can read again. Raises StoreUnavailable."""
    secret = PREFIX + secrets.token_urlsafe(32)
    await wire.call("HSET", keys.TOKENS, _digest(secret), _encode(token))
    return secret


async def load(wire: Wire, secret: str, now: float) -> ApiToken | None:
    """The token of a secret, None where there is none (any more). Raises StoreUnavailable."""
    data = await wire.call("HGET", keys.TOKENS, _digest(secret))
    if data is None:
        return None
    token = _token(data)
    return token if token.expires is None or token.expires > now else None


async def used(wire: Wire, token: ApiToken, now: float) -> None:
    """Remember that it was used. Raises StoreUnavailable."""
    if now - _used.get(token.id, 0.0) >= USED_EVERY:
        _used[token.id] = now
        await wire.call("HSET", keys.TOKENS_USED, token.id, repr(now))


async def load_all(wire: Wire) -> list[Listed]:
    """All that were made and not revoked, also those that have expired; the newest first. Raises StoreUnavailable."""
    tokens = [_token(data) for data in await wire.call("HVALS", keys.TOKENS)]
    flat = await wire.call("HGETALL", keys.TOKENS_USED)
    when = {name.decode(): float(at) for name, at in zip(flat[::2], flat[1::2], strict=True)}
    return sorted((Listed(token, when.get(token.id)) for token in tokens), key=lambda one: -one.token.made)


async def revoke(wire: Wire, token_id: str) -> ApiToken:
    """It opens nothing any more. Raises NotFound, StoreUnavailable."""
    flat = await wire.call("HGETALL", keys.TOKENS)
    for digest, data in zip(flat[::2], flat[1::2], strict=True):
        token = _token(data)
        if token.id == token_id:
            await wire.call("HDEL", keys.TOKENS, digest)
            await wire.call("HDEL", keys.TOKENS_USED, token.id)
            return token
    raise NotFound(f"there is no token {token_id[:60]}")
