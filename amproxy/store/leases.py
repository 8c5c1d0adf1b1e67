"""Work that one replica does at a time: timers, leased by script, and leases by name.

Timers are a sorted set of what is due. Leases, their offsets and the signing key of links are
state that all replicas share.
"""

from __future__ import annotations

import secrets
from typing import NamedTuple

from amproxy.store import keys
from amproxy.store.wire import Wire

# Seconds that a worker may take. After that its timers come again: who died must not block them.
LEASE = 10.0


class Timer(NamedTuple):
    """A timer that is due."""

    kind: str  # as in keys.TIMERS: "flush", "incident", "retry" …
    id: str
    due: float  # Unix seconds


async def lease_due(wire: Wire, now: float, limit: int) -> list[Timer]:
    """Lease what is due. A timer that is not set anew or dropped within LEASE comes again."""
    words = (int(now * 1000), int(LEASE * 1000), limit)
    flat = await wire.script("lease_timers", keys.P, *words)
    timers = []
    for name, due in zip(flat[::2], flat[1::2], strict=True):
        kind, _, rest = name.decode().partition(":")
        timers.append(Timer(kind, rest, float(due) / 1000))
    return timers


async def next_due(wire: Wire) -> float | None:
    """The time of the earliest timer, Unix seconds; None when there is none."""
    flat = await wire.call("ZRANGE", keys.TIMERS, 0, 0, "WITHSCORES")
    return float(flat[1]) / 1000 if flat else None


async def drop(wire: Wire, timer: Timer) -> None:
    """Delete a timer whose object is gone."""
    await wire.call("ZREM", keys.TIMERS, f"{timer.kind}:{timer.id}")


async def restore(wire: Wire, name: str, due: float) -> bool:
    """Set a timer that is missing; return True where it was."""
    # NX: one that is there is right, and may be leased
    return bool(await wire.call("ZADD", keys.TIMERS, "NX", int(due * 1000), name) == 1)


class LeaseStore:
    """Leases and offsets by name. Each call raises StoreUnavailable when Redis is away."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def lease(self, name: str, holder: str, seconds: float) -> bool:
        """Take the lease, or prolong one's own, for so many seconds; False where another has it."""
        key, milliseconds = keys.lease(name), int(seconds * 1000)
        if await self._wire.call("SET", key, holder, "NX", "PX", milliseconds):
            return True
        if await self._wire.call("GET", key) != holder.encode():
            return False
        # 0 where it ran out since the GET: then another may have it by now
        return bool(await self._wire.call("PEXPIRE", key, milliseconds) == 1)

    async def release(self, name: str, holder: str) -> None:
        """Give one's own lease back before its time."""
        key = keys.lease(name)
        if await self._wire.call("GET", key) == holder.encode():
            await self._wire.call("DEL", key)

    async def load_offset(self, name: str) -> int:
        """The offset stored last; 0 = none."""
        return int(await self._wire.call("GET", keys.offset(name)) or 0)

    async def save_offset(self, name: str, offset: int) -> None:
        await self._wire.call("SET", keys.offset(name), offset)


async def load_signing_key(wire: Wire) -> str:
    """The key that signs links, made once: 64 hexadecimal digits. Raises StoreUnavailable."""
    # NX, then read: all replicas must sign with the one that was first
    await wire.call("SET", keys.SECRET, secrets.token_hex(32), "NX")
    return str((await wire.call("GET", keys.SECRET)).decode())
