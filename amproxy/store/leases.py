"""What replicas share about work that only one of them may do: who does it, and how far it has come.

The key that signs links: made once, shared by all replicas.
"""

from __future__ import annotations

import secrets

from amproxy.store import keys
from amproxy.store.wire import Wire


class LeaseStore:
    """Leases and offsets by name. Each call raises StoreUnavailable when Redis is away."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def lease(self, name: str, holder: str, seconds: float) -> bool:
        """Take the lease, or prolong one's own, for so many seconds; False where another holds it."""
        key, milliseconds = keys.lease(name), int(seconds * 1000)
        if await self._wire.call("SET", key, holder, "NX", "PX", milliseconds):
            return True
        if await self._wire.call("GET", key) != holder.encode():
            return False
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
    """64 hexadecimal digits."""
    await wire.call("SET", keys.SECRET, secrets.token_hex(32), "NX")
    return str((await wire.call("GET", keys.SECRET)).decode())
