"""Signs of life: whether Redis takes writes, and what became of the dead man's switch."""

from __future__ import annotations

from typing import NamedTuple

from amproxy.store import keys
from amproxy.store.wire import Wire


class Switch(NamedTuple):
    """The dead man's switch as it was last left."""

    up: bool  # the last time all was well, and the call was taken
    at: float  # the last call that was taken, Unix seconds; 0 = none


async def write(wire: Wire, now: float) -> None:
    """Try whether Redis takes writes. Raises StoreUnavailable or RedisRefused where it does not."""
    await wire.call("SET", keys.WRITTEN, repr(now))


async def save_switch(wire: Wire, *, up: bool, at: float | None = None) -> None:
    """Write down how it stands; at: of a call that was taken. Raises StoreUnavailable."""
    words = ("at", repr(at)) if at is not None else ()
    await wire.call("HSET", keys.SWITCH, "up", int(up), *words)


async def load_switch(wire: Wire) -> Switch:
    """Raises StoreUnavailable."""
    up, at = await wire.call("HMGET", keys.SWITCH, "up", "at")
    return Switch(up == b"1", float(at or 0))
