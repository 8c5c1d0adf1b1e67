"""The overrides, absences and swaps that people make by hand.

They are few, so that a roster has all of them; a change is published to all processes.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime

import msgspec

from amproxy.config.structs import Absence, Override
from amproxy.errors import NotFound
from amproxy.model import Swap
from amproxy.store import keys
from amproxy.store.commit import Operations, commit, commit_decided, field_name
from amproxy.store.removal import TRIM_LIMIT
from amproxy.store.wire import Wire
from amproxy.text import Phrase

# published on keys.CHANGES when one of them changes
OVERRIDES_CHANGED = "overrides"
ABSENCES_CHANGED = "absences"
SWAPS_CHANGED = "swaps"
SCHEDULE_CHANGED = frozenset((OVERRIDES_CHANGED, ABSENCES_CHANGED, SWAPS_CHANGED))


class StoredOverride(msgspec.Struct, frozen=True, kw_only=True):
    """One override as it is stored."""

    schedule: str
    made_at: float  # Unix seconds: of two that overlap the later made wins
    override: Override


class StoredAbsence(msgspec.Struct, frozen=True, kw_only=True):
    """One absence as it is stored."""

    user: str
    made_at: float  # Unix seconds
    absence: Absence


class ManualScheduleChanges(msgspec.Struct, frozen=True, kw_only=True):
    """All that people have changed by hand about who is on call."""

    overrides: Mapping[str, Sequence[Override]] = {}  # by schedule, in the order of their making
    absences: Mapping[str, Sequence[Absence]] = {}  # by person
    swaps: Mapping[str, Sequence[Swap]] = {}  # by schedule, in the order of their start


_encode = msgspec.msgpack.Encoder().encode
_stored_override = msgspec.msgpack.Decoder(StoredOverride).decode
_stored_absence = msgspec.msgpack.Decoder(StoredAbsence).decode
_swap = msgspec.msgpack.Decoder(Swap).decode


async def load_manual_changes(wire: Wire) -> ManualScheduleChanges:
    """All of it. Raises StoreUnavailable."""
    by_schedule: dict[str, list[Swap]] = {}
    overrides, absences, swaps = await asyncio.gather(
        load_overrides(wire), load_absences(wire), load_swaps(wire)
    )
    for swap in swaps:
        by_schedule.setdefault(swap.schedule, []).append(swap)
    return ManualScheduleChanges(overrides=overrides, absences=absences, swaps=by_schedule)


async def trim_manual_changes(wire: Wire, before: float) -> int:
    """Delete what ended before a time (Unix seconds), TRIM_LIMIT of each kind; return how many.

    Raises StoreUnavailable.
    """
    made, operations, count = await load_manual_changes(wire), Operations(), 0
    overrides = itertools.chain.from_iterable(made.overrides.values())
    absences = itertools.chain.from_iterable(made.absences.values())
    swaps = itertools.chain.from_iterable(made.swaps.values())
    old = (
        (delete_overrides, [one.id for one in overrides if one.end.timestamp() < before]),
        (delete_absences, [one.id for one in absences if one.end.timestamp() < before]),
        (delete_swaps, [one.id for one in swaps if one.end < before]),
    )
    for delete, ids in old:
        if ids:
            delete(operations, *ids[:TRIM_LIMIT])
            count += len(ids[:TRIM_LIMIT])
    if count:
        await commit(wire, operations)
    return count


async def save_override(wire: Wire, schedule: str, override: Override, now: float) -> None:
    """Store an override under its id; its times must be aware. now: Unix seconds.

    Raises StoreUnavailable.
    """
    operations = Operations()
    stored = StoredOverride(schedule=schedule, made_at=now, override=override)
    operations.do("HSET", keys.OVERRIDES, override.id, _encode(stored))
    operations.do("PUBLISH", keys.CHANGES, OVERRIDES_CHANGED)
    await commit(wire, operations)


async def delete_override(wire: Wire, schedule: str, override_id: str) -> None:
    """Delete an override of a schedule. Raises NotFound, StoreUnavailable."""
    data = await wire.call("HGET", keys.OVERRIDES, override_id)
    operations = Operations()
    # of two who delete it, the second must hear that there is none
    operations.guard(keys.OVERRIDES, override_id, data or b"")
    delete_overrides(operations, override_id)
    known = data is not None and _stored_override(data).schedule == schedule
    if not (known and await commit(wire, operations)):
        raise NotFound(
            Phrase("refusal.no_override", {"schedule": schedule, "override": override_id[:60]})
        )


def delete_overrides(operations: Operations, *ids: str) -> None:
    operations.do("HDEL", keys.OVERRIDES, *ids)
    operations.do("PUBLISH", keys.CHANGES, OVERRIDES_CHANGED)


async def load_overrides(wire: Wire) -> dict[str, list[Override]]:
    """Schedule → its overrides in the order in which they were made. Raises StoreUnavailable."""
    stored = map(_stored_override, await wire.call("HVALS", keys.OVERRIDES))
    found: dict[str, list[Override]] = {}
    for one in sorted(stored, key=lambda one: (one.made_at, one.override.id)):
        found.setdefault(one.schedule, []).append(one.override)
    return found


async def save_absence(wire: Wire, user: str, absence: Absence, now: float) -> None:
    """Store an absence under its id; its times must be aware. now: Unix seconds.

    Raises StoreUnavailable.
    """
    operations = Operations()
    stored = StoredAbsence(user=user, made_at=now, absence=absence)
    operations.do("HSET", keys.ABSENCES, absence.id, _encode(stored))
    operations.do("PUBLISH", keys.CHANGES, ABSENCES_CHANGED)
    await commit(wire, operations)


async def delete_absence(wire: Wire, user: str, absence_id: str) -> None:
    """Delete an absence of a person. Raises NotFound, StoreUnavailable."""
    data = await wire.call("HGET", keys.ABSENCES, absence_id)
    operations = Operations()
    operations.guard(keys.ABSENCES, absence_id, data or b"")
    delete_absences(operations, absence_id)
    known = data is not None and _stored_absence(data).user == user
    if not (known and await commit(wire, operations)):
        raise NotFound(Phrase("refusal.no_absence", {"user": user, "absence": absence_id[:60]}))


def delete_absences(operations: Operations, *ids: str) -> None:
    operations.do("HDEL", keys.ABSENCES, *ids)
    operations.do("PUBLISH", keys.CHANGES, ABSENCES_CHANGED)


async def load_absences(wire: Wire) -> dict[str, list[Absence]]:
    """Person → their absences in the order of their start. Raises StoreUnavailable."""

    def order(one: StoredAbsence) -> tuple[datetime, float, str]:
        return one.absence.start, one.made_at, one.absence.id

    stored = map(_stored_absence, await wire.call("HVALS", keys.ABSENCES))
    found: dict[str, list[Absence]] = {}
    for one in sorted(stored, key=order):
        found.setdefault(one.user, []).append(one.absence)
    return found


async def save_swap(wire: Wire, swap: Swap, also: Operations) -> None:
    """Store a new swap under its id. also: operations of the same commit.

    Raises StoreUnavailable.
    """
    operations = Operations()
    operations.extend(also)
    operations.do("HSET", keys.SWAPS, swap.id, _encode(swap))
    operations.do("PUBLISH", keys.CHANGES, SWAPS_CHANGED)
    await commit(wire, operations)


async def change_swap(wire: Wire, swap_id: str, decide: Callable[[Swap], Swap]) -> Swap:
    """Change a swap by a function of what is stored; return the changed one.

    `decide` runs again where somebody else changed the swap meanwhile: of two who take it, the
    second must hear that it is taken. Raises NotFound, StoreUnavailable, and what `decide` raises.
    """

    async def decide_change() -> tuple[Operations, Swap]:
        data = await _load_swap(wire, swap_id)
        changed = decide(_swap(data))
        operations = Operations()
        operations.guard(keys.SWAPS, swap_id, data)
        operations.do("HSET", keys.SWAPS, swap_id, _encode(changed))
        operations.do("PUBLISH", keys.CHANGES, SWAPS_CHANGED)
        return operations, changed

    return await _commit_swap(wire, swap_id, decide_change)


async def delete_swap(wire: Wire, swap_id: str) -> Swap:
    """Delete a swap, taken or not, and return it. Raises NotFound, StoreUnavailable."""

    async def decide() -> tuple[Operations, Swap]:
        operations, stored = Operations(), await _load_swap(wire, swap_id)
        operations.guard(keys.SWAPS, swap_id, stored)
        delete_swaps(operations, swap_id)
        return operations, _swap(stored)

    return await _commit_swap(wire, swap_id, decide)


async def _commit_swap(
    wire: Wire, swap_id: str, decide: Callable[[], Awaitable[tuple[Operations, Swap]]]
) -> Swap:
    name = field_name(keys.SWAPS, swap_id)
    return await commit_decided(wire, f"swap {swap_id}", decide, name)


def delete_swaps(operations: Operations, *ids: str) -> None:
    operations.do("HDEL", keys.SWAPS, *ids)
    operations.do("PUBLISH", keys.CHANGES, SWAPS_CHANGED)


async def load_swaps(wire: Wire) -> list[Swap]:
    """All swaps in the order of their start. Raises StoreUnavailable."""
    return sorted(
        map(_swap, await wire.call("HVALS", keys.SWAPS)),
        key=lambda swap: (swap.start, swap.asked_at, swap.id),
    )


async def _load_swap(wire: Wire, swap_id: str) -> bytes:
    data: bytes | None = await wire.call("HGET", keys.SWAPS, swap_id)
    if data is None:
        raise NotFound(Phrase("refusal.no_swap", {"swap": swap_id[:60]}))
    return data
