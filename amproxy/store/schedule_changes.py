"""Overrides made by hand. They are few, so that a roster has all of them; a change is published to all processes.

Absences by hand. They are few, so that a roster has all of them; a change is published to all processes.

Swaps in Redis. They are few, so that a roster has all of them; a change is published to all processes.

What people change by hand about who is on call: overrides, absences and swaps, read together and forgotten together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

import msgspec

from amproxy.config.structs import Absence, Override
from amproxy.errors import NotFound, StoreUnavailable
from amproxy.model import Swap
from amproxy.store import keys
from amproxy.store.audit import TRIM_LIMIT
from amproxy.store.commit import Operations, commit
from amproxy.store.wire import Wire

OVERRIDES_CHANGED = "overrides"  # what is published on keys.CHANGES


class StoredOverride(msgspec.Struct, frozen=True, kw_only=True):
    """One override as it is stored."""

    schedule: str
    made_at: float  # Unix seconds: of two that overlap the later made wins
    override: Override


_encode = msgspec.msgpack.Encoder().encode
_stored_override = msgspec.msgpack.Decoder(StoredOverride).decode


async def save_override(wire: Wire, schedule: str, override: Override, now: float) -> None:
    """Store an override under its id; its times must be aware. now: Unix seconds. Raises StoreUnavailable."""
    operations = Operations()
    operations.do("HSET", keys.OVERRIDES, override.id, _encode(StoredOverride(schedule=schedule, made_at=now, override=override)))
    operations.do("PUBLISH", keys.CHANGES, OVERRIDES_CHANGED)
    await commit(wire, operations)


async def delete_override(wire: Wire, schedule: str, override_id: str) -> None:
    """Forget an override of a schedule. Raises NotFound, StoreUnavailable."""
    data = await wire.call("HGET", keys.OVERRIDES, override_id)
    operations = Operations()
    operations.guard(keys.OVERRIDES, override_id, data or b"")
    delete_overrides(operations, override_id)
    if data is None or _stored_override(data).schedule != schedule or not await commit(wire, operations):
        raise NotFound(f"schedule {schedule} has no override {override_id} made by hand")


def delete_overrides(operations: Operations, *ids: str) -> None:
    operations.do("HDEL", keys.OVERRIDES, *ids)
    operations.do("PUBLISH", keys.CHANGES, OVERRIDES_CHANGED)


async def load_overrides(wire: Wire) -> dict[str, list[Override]]:
    """Schedule → its overrides in the order in which they were made. Raises StoreUnavailable."""
    kept = sorted(map(_stored_override, await wire.call("HVALS", keys.OVERRIDES)), key=lambda one: (one.made_at, one.override.id))
    found: dict[str, list[Override]] = {}
    for one in kept:
        found.setdefault(one.schedule, []).append(one.override)
    return found


ABSENCES_CHANGED = "absences"  # what is published on keys.CHANGES


class StoredAbsence(msgspec.Struct, frozen=True, kw_only=True):
    """One absence as it is stored."""

    user: str
    made_at: float  # Unix seconds
    absence: Absence


_stored_absence = msgspec.msgpack.Decoder(StoredAbsence).decode


async def save_absence(wire: Wire, user: str, absence: Absence, now: float) -> None:
    """Store an absence under its id; its times must be aware. now: Unix seconds. Raises StoreUnavailable."""
    operations = Operations()
    operations.do("HSET", keys.ABSENCES, absence.id, _encode(StoredAbsence(user=user, made_at=now, absence=absence)))
    operations.do("PUBLISH", keys.CHANGES, ABSENCES_CHANGED)
    await commit(wire, operations)


async def delete_absence(wire: Wire, user: str, absence_id: str) -> None:
    """Forget an absence of a person. Raises NotFound, StoreUnavailable."""
    data = await wire.call("HGET", keys.ABSENCES, absence_id)
    operations = Operations()
    operations.guard(keys.ABSENCES, absence_id, data or b"")
    delete_absences(operations, absence_id)
    if data is None or _stored_absence(data).user != user or not await commit(wire, operations):
        raise NotFound(f"{user} has no absence {absence_id[:60]} made by hand")


def delete_absences(operations: Operations, *ids: str) -> None:
    operations.do("HDEL", keys.ABSENCES, *ids)
    operations.do("PUBLISH", keys.CHANGES, ABSENCES_CHANGED)


async def load_absences(wire: Wire) -> dict[str, list[Absence]]:
    """Person → their absences in the order in which they begin. Raises StoreUnavailable."""
    kept = sorted(
        map(_stored_absence, await wire.call("HVALS", keys.ABSENCES)), key=lambda one: (one.absence.start, one.made_at, one.absence.id)
    )
    found: dict[str, list[Absence]] = {}
    for one in kept:
        found.setdefault(one.user, []).append(one.absence)
    return found


SWAPS_CHANGED = "swaps"  # what is published on keys.CHANGES

_TRIES = 50

_swap = msgspec.msgpack.Decoder(Swap).decode


async def save_swap(wire: Wire, swap: Swap, also: Operations) -> None:
    """Store a new swap under its id. also: operations that are committed together with it. Raises StoreUnavailable."""
    operations = Operations()
    operations.extend(also)
    operations.do("HSET", keys.SWAPS, swap.id, _encode(swap))
    operations.do("PUBLISH", keys.CHANGES, SWAPS_CHANGED)
    await commit(wire, operations)


async def change_swap(wire: Wire, swap_id: str, decide: Callable[[Swap], Swap]) -> Swap:
    """Let `decide` say what becomes of a swap as it is at this moment, and store that; who loses a race decides again.

    Returns the swap as it is then. Raises NotFound, StoreUnavailable, and what `decide` raises.
    """
    for _ in range(_TRIES):
        data = await _load_swap(wire, swap_id)
        changed = decide(_swap(data))
        operations = Operations()
        operations.guard(keys.SWAPS, swap_id, data)
        operations.do("HSET", keys.SWAPS, swap_id, _encode(changed))
        operations.do("PUBLISH", keys.CHANGES, SWAPS_CHANGED)
        if await commit(wire, operations):
            return changed
    raise StoreUnavailable(f"swap {swap_id} keeps changing")


async def delete_swap(wire: Wire, swap_id: str) -> None:
    """Forget a swap, taken or not. Raises NotFound, StoreUnavailable."""
    for _ in range(_TRIES):
        operations = Operations()
        operations.guard(keys.SWAPS, swap_id, await _load_swap(wire, swap_id))
        delete_swaps(operations, swap_id)
        if await commit(wire, operations):
            return
    raise StoreUnavailable(f"swap {swap_id} keeps changing")


def delete_swaps(operations: Operations, *ids: str) -> None:
    operations.do("HDEL", keys.SWAPS, *ids)
    operations.do("PUBLISH", keys.CHANGES, SWAPS_CHANGED)


async def load_swaps(wire: Wire) -> list[Swap]:
    """In the order in which they begin. Raises StoreUnavailable."""
    return sorted(map(_swap, await wire.call("HVALS", keys.SWAPS)), key=lambda swap: (swap.start, swap.asked_at, swap.id))


async def _load_swap(wire: Wire, swap_id: str) -> bytes:
    data: bytes | None = await wire.call("HGET", keys.SWAPS, swap_id)
    if data is None:
        raise NotFound(f"there is no swap {swap_id[:60]}")
    return data


SCHEDULE_CHANGED = frozenset(
    (OVERRIDES_CHANGED, ABSENCES_CHANGED, SWAPS_CHANGED)
)  # what is published on keys.CHANGES when one of them changes


class ManualScheduleChanges(msgspec.Struct, frozen=True, kw_only=True):
    overrides: Mapping[str, Sequence[Override]] = {}  # by schedule, in the order in which they were made
    absences: Mapping[str, Sequence[Absence]] = {}  # by person
    swaps: Mapping[str, Sequence[Swap]] = {}  # by schedule, in the order in which they begin


async def load_manual_changes(wire: Wire) -> ManualScheduleChanges:
    """All of it. Raises StoreUnavailable."""
    by_schedule: dict[str, list[Swap]] = {}
    made, away, asked = await asyncio.gather(load_overrides(wire), load_absences(wire), load_swaps(wire))
    for swap in asked:
        by_schedule.setdefault(swap.schedule, []).append(swap)
    return ManualScheduleChanges(overrides=made, absences=away, swaps=by_schedule)


async def trim_manual_changes(wire: Wire, before: float) -> int:
    """Forget what ended before a time (Unix seconds); at most AT_ONCE of each kind; returns how many. Raises StoreUnavailable."""
    kept, operations, count = await load_manual_changes(wire), Operations(), 0
    old = [
        (delete_overrides, [one.id for all_of in kept.overrides.values() for one in all_of if one.end.timestamp() < before]),
        (delete_absences, [one.id for all_of in kept.absences.values() for one in all_of if one.end.timestamp() < before]),
        (delete_swaps, [swap.id for all_of in kept.swaps.values() for swap in all_of if swap.end < before]),
    ]
    for forget, ids in old:
        if ids:
            forget(operations, *ids[:TRIM_LIMIT])
            count += len(ids[:TRIM_LIMIT])
    if count:
        await commit(wire, operations)
    return count
