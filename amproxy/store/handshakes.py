"""Sign-ins that have gone to the provider and not come back yet. Each is taken once."""

from __future__ import annotations

import hashlib

import msgspec

from amproxy.store import keys
from amproxy.store.wire import Wire

PATIENCE = 600.0  # seconds that a person has at the provider


class Handshake(msgspec.Struct, frozen=True, kw_only=True):
    """What must fit when the browser comes back."""

    issuer: str
    nonce: str
    verifier: str  # PKCE
    back: str  # the page that was wanted


_encode = msgspec.msgpack.Encoder().encode
_handshake = msgspec.msgpack.Decoder(Handshake).decode


def _key(state: str) -> str:
    return keys.handshake(hashlib.sha256(state.encode("utf-8", "replace")).hexdigest())


async def keep(wire: Wire, state: str, handshake: Handshake) -> None:
    """Raises StoreUnavailable."""
    await wire.call("SET", _key(state), _encode(handshake), "PX", int(PATIENCE * 1000))


async def take(wire: Wire, state: str) -> Handshake | None:
    """The handshake, which is gone with that; None where there is none. Raises StoreUnavailable."""
    data = await wire.call("GETDEL", _key(state))
    return None if data is None else _handshake(data)
