"""The files that processes have in force, as each says of itself while it lives."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from amproxy.store import keys
from amproxy.store.wire import Wire

ALIVE_SECONDS = 15  # that a record is kept without being renewed


class Replica(msgspec.Struct, frozen=True, kw_only=True):
    """One process. Times are Unix seconds, of its own clock."""

    name: str  # of its consumer of the outbox too
    host: str
    pid: int
    version: str
    started: float
    digest: str  # `Config.digest` of the file in force
    since: float  # when a file with this digest came in force
    loaded: float  # when the file was last loaded
    serving: float | None = None  # since when it takes pushes; None = not yet
    listen: str = ""  # where it does, HOST:PORT; "" = a record of an older version


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Replica).decode


async def publish_replica(wire: Wire, replica: Replica) -> None:
    """Store the record of a living process. Raises StoreUnavailable."""
    # The name first: a record without it would not be found, and a name without a record is none.
    await wire.call("SADD", keys.REPLICAS, replica.name)
    await wire.call("SET", keys.replica(replica.name), _encode(replica), "EX", ALIVE_SECONDS)


async def forget_replica(wire: Wire, name: str) -> None:
    """Remove the record of a process that ends. Raises StoreUnavailable."""
    await wire.call("DEL", keys.replica(name))
    await wire.call("SREM", keys.REPLICAS, name)


async def load_replicas(wire: Wire) -> list[Replica]:
    """The living processes, by name. Raises StoreUnavailable."""
    names = sorted(name.decode() for name in await wire.call("SMEMBERS", keys.REPLICAS))
    found = [await wire.call("GET", keys.replica(name)) for name in names]
    gone = [name for name, data in zip(names, found, strict=True) if data is None]
    if gone:
        # One that was only held up enters its name again when it goes on.
        await wire.call("SREM", keys.REPLICAS, *gone)
    return [_decode(data) for data in found if data is not None]


def differ_since(replicas: Sequence[Replica]) -> float | None:
    """Since when the living processes have had different files in force; None = they have not."""
    if len({replica.digest for replica in replicas}) < 2:
        return None
    return max(replica.since for replica in replicas)
