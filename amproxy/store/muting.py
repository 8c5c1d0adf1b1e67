"""Silences in Redis. They are few: every process keeps them all, and a version says when to read them again."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from amproxy.model import Silence
from amproxy.store import keys
from amproxy.store.commit import Operations
from amproxy.store.wire import Wire

_encode = msgspec.msgpack.Encoder().encode
_silence = msgspec.msgpack.Decoder(Silence).decode


class Silences:
    """A copy of what is stored, at most one look-up behind."""

    def __init__(self) -> None:
        self._version: bytes | None = None
        self._known: dict[str, Silence] = {}

    async def all(self, wire: Wire) -> dict[str, Silence]:
        """By id; one small look-up when nothing has changed. Raises StoreUnavailable."""
        return await self.at(wire, await wire.call("GET", keys.SILENCES_VERSION))

    async def at(self, wire: Wire, version: bytes | None) -> dict[str, Silence]:
        """The same where the version was looked up already."""
        if version != self._version:
            flat = await wire.call("HGETALL", keys.SILENCES)
            self._known = {name.decode(): _silence(data) for name, data in zip(flat[::2], flat[1::2], strict=True)}
            self._version = version
        return self._known


class Stored(NamedTuple):
    """One silence, and the bytes that stand for it in Redis."""

    silence: Silence
    data: bytes


async def load(wire: Wire, silence_id: str) -> Stored | None:
    """A silence as it is stored at this moment; None where there is none. Raises StoreUnavailable."""
    data = await wire.call("HGET", keys.SILENCES, silence_id)
    return None if data is None else Stored(_silence(data), data)


def expect(result: Operations, stored: Stored) -> None:
    """Commit only while the silence is still as it was loaded."""
    result.guard(keys.SILENCES, stored.silence.id, stored.data)


def save(result: Operations, *changed: Silence) -> None:
    """Store silences, new or changed."""
    for silence in changed:
        result.do("HSET", keys.SILENCES, silence.id, _encode(silence))
    _changed(result)


def forget(result: Operations, *ids: str) -> None:
    """Remove silences that ended long ago."""
    result.do("HDEL", keys.SILENCES, *ids)
    _changed(result)


def _changed(result: Operations) -> None:
    result.do("INCR", keys.SILENCES_VERSION)
    result.do("PUBLISH", keys.CHANGES, "silences")
