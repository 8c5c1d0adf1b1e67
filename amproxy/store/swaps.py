"""Swaps in Redis. They are few, so that a roster has all of them; a change is published to all processes."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from amproxy.errors import NotFound, StoreUnavailable
from amproxy.model import Swap
from amproxy.store import keys
from amproxy.store.commit import Operations, commit
from amproxy.store.wire import Wire

CHANGED = "swaps"  # what is published on keys.CHANGES

_TRIES = 50

_encode = msgspec.msgpack.Encoder().encode
_swap = msgspec.msgpack.Decoder(Swap).decode


async def save(wire: Wire, swap: Swap, also: Operations) -> None:
    """Store a new swap under its id. also: operations that are committed together with it. Raises StoreUnavailable."""
    operations = Operations()
    operations.extend(also)
    operations.do("HSET", keys.SWAPS, swap.id, _encode(swap))
    operations.do("PUBLISH", keys.CHANGES, CHANGED)
    await commit(wire, operations)


async def change(wire: Wire, swap_id: str, decide: Callable[[Swap], Swap]) -> Swap:
    """Let `decide` say what becomes of a swap as it is at this moment, and store that; who loses a race decides again.

    Returns the swap as it is then. Raises NotFound, StoreUnavailable, and what `decide` raises.
    """
    for _ in range(_TRIES):
        data = await _load(wire, swap_id)
        changed = decide(_swap(data))
        operations = Operations()
        operations.guard(keys.SWAPS, swap_id, data)
        operations.do("HSET", keys.SWAPS, swap_id, _encode(changed))
        operations.do("PUBLISH", keys.CHANGES, CHANGED)
        if await commit(wire, operations):
            return changed
    raise StoreUnavailable(f"swap {swap_id} keeps changing")


async def delete(wire: Wire, swap_id: str) -> None:
    """Forget a swap, taken or not. Raises NotFound, StoreUnavailable."""
    for _ in range(_TRIES):
        operations = Operations()
        operations.guard(keys.SWAPS, swap_id, await _load(wire, swap_id))
        forget(operations, swap_id)
        if await commit(wire, operations):
            return
    raise StoreUnavailable(f"swap {swap_id} keeps changing")


def forget(operations: Operations, *ids: str) -> None:
    operations.do("HDEL", keys.SWAPS, *ids)
    operations.do("PUBLISH", keys.CHANGES, CHANGED)


async def load_all(wire: Wire) -> list[Swap]:
    """In the order in which they begin. Raises StoreUnavailable."""
    return sorted(map(_swap, await wire.call("HVALS", keys.SWAPS)), key=lambda swap: (swap.start, swap.asked_at, swap.id))


async def _load(wire: Wire, swap_id: str) -> bytes:
    data: bytes | None = await wire.call("HGET", keys.SWAPS, swap_id)
    if data is None:
        raise NotFound(f"there is no swap {swap_id[:60]}")
    return data
