"""The key that signs links: made once, shared by all replicas."""

from __future__ import annotations

import secrets

from amproxy.store import keys
from amproxy.store.wire import Wire


async def signing_key(wire: Wire) -> str:
    """64 hexadecimal digits."""
    await wire.call("SET", keys.SECRET, secrets.token_hex(32), "NX")
    return str((await wire.call("GET", keys.SECRET)).decode())
