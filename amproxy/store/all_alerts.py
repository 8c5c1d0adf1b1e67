"""All alerts in Redis, read in pieces: whoever looks through a hundred thousand holds few at once.

First the groups with the fingerprints of their alerts, then the alerts in the order in which they
are wanted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from amproxy.model import Group
from amproxy.store import keys
from amproxy.store.groups import (
    ALERTS_AT_ONCE,
    GROUPS_AT_ONCE,
    Lease,
    load_group_ids,
    unpack_lease,
)
from amproxy.store.wire import Wire

_group = msgspec.msgpack.Decoder(Group).decode


class GroupContent(NamedTuple):
    """A live group, and the fingerprints of its alerts in no order."""

    group: Group
    fingerprints: list[bytes]


# The lease and the record of an alert as Redis has them, for `groups.unpack_alert`.
PackedAlert = tuple[bytes, bytes]


async def load_contents(wire: Wire) -> list[GroupContent]:
    """All live groups, in no order. Raises StoreUnavailable."""
    found: list[GroupContent] = []
    ids = await load_group_ids(wire)
    for start in range(0, len(ids), GROUPS_AT_ONCE):
        some = ids[start : start + GROUPS_AT_ONCE]
        heads = [wire.call("HGET", keys.group(group_id), "meta") for group_id in some]
        names = [wire.call("HKEYS", keys.leases(group_id)) for group_id in some]
        for head, fingerprints in zip(heads, names, strict=True):
            meta, listed = await head, await fingerprints
            if meta is not None:  # else it was deleted meanwhile
                found.append(GroupContent(_group(meta), listed))
    return found


async def load_leases(
    wire: Wire, wanted: Sequence[tuple[str, Sequence[bytes]]]
) -> list[dict[bytes, Lease]]:
    """For each (group id, fingerprints) the leases that the group has now, by fingerprint.

    Raises StoreUnavailable.
    """
    asked = [
        (place, some, wire.call("HMGET", keys.leases(group_id), *some))
        for place, (group_id, fingerprints) in enumerate(wanted)
        for some in _pieces(fingerprints)
    ]
    found: list[dict[bytes, Lease]] = [{} for _ in wanted]
    for place, some, answer in asked:
        found[place] |= {
            name: unpack_lease(lease)
            for name, lease in zip(some, await answer, strict=True)
            if lease is not None
        }
    return found


async def load_packed(
    wire: Wire, wanted: Sequence[tuple[str, Sequence[bytes]]]
) -> list[dict[bytes, PackedAlert]]:
    """For each (group id, fingerprints) the alerts that the group has now, by fingerprint.

    Raises StoreUnavailable.
    """
    asked = [
        (
            place,
            some,
            wire.call("HMGET", keys.leases(group_id), *some),
            wire.call("HMGET", keys.alerts(group_id), *some),
        )
        for place, (group_id, fingerprints) in enumerate(wanted)
        for some in _pieces(fingerprints)
    ]
    found: list[dict[bytes, PackedAlert]] = [{} for _ in wanted]
    for place, some, leases, records in asked:
        pairs = zip(await leases, await records, strict=True)
        # Those of both answers: a flush may delete alerts between the two reads.
        found[place] |= {
            name: pair for name, pair in zip(some, pairs, strict=True) if None not in pair
        }
    return found


def _pieces(fingerprints: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Cut into what holds Redis up no longer than a push does."""
    for start in range(0, len(fingerprints), ALERTS_AT_ONCE):
        yield fingerprints[start : start + ALERTS_AT_ONCE]
