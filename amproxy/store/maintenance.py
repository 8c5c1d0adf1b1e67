"""Maintenance windows made by hand, in Redis. They are few: every process keeps them all, and a version says when to read them again."""

from __future__ import annotations

import math
from typing import NamedTuple

import msgspec

from amproxy.config.structs import Maintenance
from amproxy.store import keys
from amproxy.store.commit import Operations
from amproxy.store.groups import Loaded
from amproxy.store.wire import Wire

_encode = msgspec.msgpack.Encoder().encode
_window = msgspec.msgpack.Decoder(Maintenance).decode


class Windows:
    """A copy of what is stored, at most one look-up behind."""

    def __init__(self) -> None:
        self._version: bytes | None = None
        self._known: dict[str, Maintenance] = {}

    async def all(self, wire: Wire) -> dict[str, Maintenance]:
        """By id; the same dict as long as nothing has changed. Raises StoreUnavailable."""
        return await self.at(wire, await wire.call("GET", keys.MAINTENANCE_VERSION))

    async def at(self, wire: Wire, version: bytes | None) -> dict[str, Maintenance]:
        """The same where the version was looked up already."""
        if version != self._version:
            flat = await wire.call("HGETALL", keys.MAINTENANCE)
            self._known = {name.decode(): _window(data) for name, data in zip(flat[::2], flat[1::2], strict=True)}
            self._version = version
        return self._known


class Stored(NamedTuple):
    """One window, and the bytes that stand for it in Redis."""

    window: Maintenance
    data: bytes


async def load(wire: Wire, window_id: str) -> Stored | None:
    """A window as it is stored at this moment; None where there is none. Raises StoreUnavailable."""
    data = await wire.call("HGET", keys.MAINTENANCE, window_id)
    return None if data is None else Stored(_window(data), data)


def expect(result: Operations, stored: Stored) -> None:
    """Commit only while the window is still as it was loaded."""
    result.guard(keys.MAINTENANCE, stored.window.id, stored.data)


def save(result: Operations, window: Maintenance) -> None:
    """Store a window, new or changed. Its times are aware."""
    result.do("HSET", keys.MAINTENANCE, window.id, _encode(window))
    _changed(result)


def forget(result: Operations, *ids: str) -> None:
    """Remove windows that ended long ago."""
    result.do("HDEL", keys.MAINTENANCE, *ids)
    _changed(result)


def look_at(result: Operations, identity: str, at: float) -> None:
    """Have a worker look at a window at `at` (Unix seconds), or earlier where that is planned already."""
    result.do("ZADD", keys.TIMERS, "LT", math.ceil(at * 1000), f"maintenance:{identity}")


def look_next(result: Operations, identity: str, at: float | None) -> None:
    """A worker has looked: the next time is `at` (Unix seconds); None = never."""
    name = f"maintenance:{identity}"
    if at is None:
        result.do("ZREM", keys.TIMERS, name)
    else:
        result.do("ZADD", keys.TIMERS, math.ceil(at * 1000), name)


def bring_forward(loaded: Loaded, now: float) -> Operations:
    """The operations that flush a group at once. A flush under way, which may have begun too early to know why, decides anew."""
    result, key = Operations(), keys.group(loaded.group.id)
    result.guard(key, "v", loaded.version)
    result.do("HINCRBY", key, "touched", 1)
    result.do("ZADD", keys.TIMERS, "XX", "LT", int(now * 1000), f"flush:{loaded.group.id}")
    return result


def _changed(result: Operations) -> None:
    result.do("INCR", keys.MAINTENANCE_VERSION)
    result.do("PUBLISH", keys.CHANGES, "maintenance")
