"""What people change by hand about who is on call: overrides, absences and swaps, read together and forgotten together."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import msgspec

from amproxy.config.structs import Absence, Override
from amproxy.model import Swap
from amproxy.store import absences, overrides, swaps
from amproxy.store.commit import Operations, commit
from amproxy.store.retention import AT_ONCE
from amproxy.store.wire import Wire

CHANGED = frozenset((overrides.CHANGED, absences.CHANGED, swaps.CHANGED))  # what is published on keys.CHANGES when one of them changes


class ByHand(msgspec.Struct, frozen=True, kw_only=True):
    overrides: Mapping[str, Sequence[Override]] = {}  # by schedule, in the order in which they were made
    absences: Mapping[str, Sequence[Absence]] = {}  # by person
    swaps: Mapping[str, Sequence[Swap]] = {}  # by schedule, in the order in which they begin


async def load(wire: Wire) -> ByHand:
    """All of it. Raises StoreUnavailable."""
    by_schedule: dict[str, list[Swap]] = {}
    made, away, asked = await asyncio.gather(overrides.load_all(wire), absences.load_all(wire), swaps.load_all(wire))
    for swap in asked:
        by_schedule.setdefault(swap.schedule, []).append(swap)
    return ByHand(overrides=made, absences=away, swaps=by_schedule)


async def trim(wire: Wire, before: float) -> int:
    """Forget what ended before a time (Unix seconds); at most AT_ONCE of each kind; returns how many. Raises StoreUnavailable."""
    kept, operations, count = await load(wire), Operations(), 0
    old = [
        (overrides.forget, [one.id for all_of in kept.overrides.values() for one in all_of if one.end.timestamp() < before]),
        (absences.forget, [one.id for all_of in kept.absences.values() for one in all_of if one.end.timestamp() < before]),
        (swaps.forget, [swap.id for all_of in kept.swaps.values() for swap in all_of if swap.end < before]),
    ]
    for forget, ids in old:
        if ids:
            forget(operations, *ids[:AT_ONCE])
            count += len(ids[:AT_ONCE])
    if count:
        await commit(wire, operations)
    return count
