"""Absences by hand. They are few, so that a roster has all of them; a change is published to all processes."""

from __future__ import annotations

import msgspec

from amproxy.config.structs import Absence
from amproxy.errors import NotFound
from amproxy.store import keys
from amproxy.store.commit import Operations, commit
from amproxy.store.wire import Wire

CHANGED = "absences"  # what is published on keys.CHANGES


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """One absence as it is stored."""

    user: str
    made_at: float  # Unix seconds
    absence: Absence


_encode = msgspec.msgpack.Encoder().encode
_kept = msgspec.msgpack.Decoder(Kept).decode


async def save(wire: Wire, user: str, absence: Absence, now: float) -> None:
    """Store an absence under its id; its times must be aware. now: Unix seconds. Raises StoreUnavailable."""
    operations = Operations()
    operations.do("HSET", keys.ABSENCES, absence.id, _encode(Kept(user=user, made_at=now, absence=absence)))
    operations.do("PUBLISH", keys.CHANGES, CHANGED)
    await commit(wire, operations)


async def delete(wire: Wire, user: str, absence_id: str) -> None:
    """Forget an absence of a person. Raises NotFound, StoreUnavailable."""
    data = await wire.call("HGET", keys.ABSENCES, absence_id)
    operations = Operations()
    operations.guard(keys.ABSENCES, absence_id, data or b"")
    forget(operations, absence_id)
    if data is None or _kept(data).user != user or not await commit(wire, operations):
        raise NotFound(f"{user} has no absence {absence_id[:60]} made by hand")


def forget(operations: Operations, *ids: str) -> None:
    operations.do("HDEL", keys.ABSENCES, *ids)
    operations.do("PUBLISH", keys.CHANGES, CHANGED)


async def load_all(wire: Wire) -> dict[str, list[Absence]]:
    """Person → their absences in the order in which they begin. Raises StoreUnavailable."""
    kept = sorted(map(_kept, await wire.call("HVALS", keys.ABSENCES)), key=lambda one: (one.absence.start, one.made_at, one.absence.id))
    found: dict[str, list[Absence]] = {}
    for one in kept:
        found.setdefault(one.user, []).append(one.absence)
    return found
