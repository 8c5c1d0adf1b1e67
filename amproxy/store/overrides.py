"""Overrides made by hand. They are few, so that a roster has all of them; a change is published to all processes."""

from __future__ import annotations

import msgspec

from amproxy.config.structs import Override
from amproxy.errors import NotFound
from amproxy.store import keys
from amproxy.store.commit import Operations, commit
from amproxy.store.wire import Wire

CHANGED = "overrides"  # what is published on keys.CHANGES


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """One override as it is stored."""

    schedule: str
    made_at: float  # Unix seconds: of two that overlap the later made wins
    override: Override


_encode = msgspec.msgpack.Encoder().encode
_kept = msgspec.msgpack.Decoder(Kept).decode


async def save(wire: Wire, schedule: str, override: Override, now: float) -> None:
    """Store an override under its id; its times must be aware. now: Unix seconds. Raises StoreUnavailable."""
    operations = Operations()
    operations.do("HSET", keys.OVERRIDES, override.id, _encode(Kept(schedule=schedule, made_at=now, override=override)))
    operations.do("PUBLISH", keys.CHANGES, CHANGED)
    await commit(wire, operations)


async def delete(wire: Wire, schedule: str, override_id: str) -> None:
    """Forget an override of a schedule. Raises NotFound, StoreUnavailable."""
    data = await wire.call("HGET", keys.OVERRIDES, override_id)
    operations = Operations()
    operations.guard(keys.OVERRIDES, override_id, data or b"")
    forget(operations, override_id)
    if data is None or _kept(data).schedule != schedule or not await commit(wire, operations):
        raise NotFound(f"schedule {schedule} has no override {override_id} made by hand")


def forget(operations: Operations, *ids: str) -> None:
    operations.do("HDEL", keys.OVERRIDES, *ids)
    operations.do("PUBLISH", keys.CHANGES, CHANGED)


async def load_all(wire: Wire) -> dict[str, list[Override]]:
    """Schedule → its overrides in the order in which they were made. Raises StoreUnavailable."""
    kept = sorted(map(_kept, await wire.call("HVALS", keys.OVERRIDES)), key=lambda one: (one.made_at, one.override.id))
    found: dict[str, list[Override]] = {}
    for one in kept:
        found.setdefault(one.schedule, []).append(one.override)
    return found
