"""The labels under which an alert of a foreign body fires.

Its end may come with an id alone, which says nothing of the route that the alert took.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import msgspec

from amproxy.store import keys
from amproxy.store.wire import Wire


class ToldLabels(msgspec.Struct, frozen=True):
    """The labels of one alert, and whether it has ended since."""

    labels: dict[str, str]
    over: bool = False


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(ToldLabels).decode


async def load_told(wire: Wire, fingerprints: Sequence[str]) -> dict[str, ToldLabels]:
    """Labels by fingerprint, of those that are known. Raises StoreUnavailable."""
    stored = await wire.call("MGET", *map(keys.told, fingerprints))
    pairs = zip(fingerprints, stored, strict=True)
    return {fingerprint: _decode(data) for fingerprint, data in pairs if data is not None}


async def save_told(wire: Wire, told: Mapping[str, ToldLabels], expire_after: float) -> None:
    """Store labels by fingerprint, for so many seconds. Raises StoreUnavailable."""
    lifetime = max(1, int(expire_after))
    await asyncio.gather(
        *(
            wire.call("SET", keys.told(fingerprint), _encode(one), "EX", lifetime)
            for fingerprint, one in told.items()
        )
    )
