"""Secret addresses under which shifts are shown as a calendar: one for each schedule and each person that wants one."""

from __future__ import annotations

import secrets
from typing import Literal

import msgspec

from amproxy.errors import NotFound
from amproxy.store import keys
from amproxy.store.commit import Operations, commit
from amproxy.store.wire import Wire

Kind = Literal["schedule", "user"]


class Feed(msgspec.Struct, frozen=True):
    """Whose shifts are shown."""

    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Feed).decode


async def make(wire: Wire, feed: Feed) -> tuple[str, bool]:
    """The token of a feed, and whether it was made now. Raises StoreUnavailable."""
    token, operations = secrets.token_urlsafe(24), Operations()
    operations.guard(keys.FEED_TOKENS, str(feed), b"")
    operations.do("HSET", keys.FEED_TOKENS, str(feed), token)
    operations.do("HSET", keys.FEEDS, token, _encode(feed))
    if await commit(wire, operations):
        return token, True
    return (await _token(wire, feed)).decode(), False


async def revoke(wire: Wire, feed: Feed) -> None:
    """From now on nobody sees anything under its token. Raises NotFound, StoreUnavailable."""
    token, operations = await _token(wire, feed), Operations()
    operations.guard(keys.FEED_TOKENS, str(feed), token)
    operations.do("HDEL", keys.FEED_TOKENS, str(feed))
    operations.do("HDEL", keys.FEEDS, token)
    if not await commit(wire, operations):
        raise _none(feed)


async def known(wire: Wire, feed: Feed) -> str | None:
    """The token of a feed; None where nobody has made one. Raises StoreUnavailable."""
    token: bytes | None = await wire.call("HGET", keys.FEED_TOKENS, str(feed))
    return token.decode() if token is not None else None


async def find(wire: Wire, token: str) -> Feed | None:
    """Whose shifts a token shows; None for one that nobody has. Raises StoreUnavailable."""
    data = await wire.call("HGET", keys.FEEDS, token)
    return None if data is None else _decode(data)


async def _token(wire: Wire, feed: Feed) -> bytes:
    token = await known(wire, feed)
    if token is None:
        raise _none(feed)
    return token.encode()


def _none(feed: Feed) -> NotFound:
    return NotFound(f"the {feed} has no calendar")
