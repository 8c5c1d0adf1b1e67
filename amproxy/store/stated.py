"""The statements of sources: a record of each alert, and which of them fire in a sender's group.

An end may come from another group of the sender, or before a late copy of its beginning; and a
sender's group may end an alert by naming it no longer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from amproxy.store import keys
from amproxy.store.commit import binary
from amproxy.store.wire import Wire

encode_record = msgspec.msgpack.Encoder().encode
decode_labels = msgspec.msgpack.Decoder(dict[str, str]).decode


class StatedRecord(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The last that a source said of one alert. Times in nanoseconds, 0 = its sender gave none.

    Labels stay packed: they are looked at only where the alert is placed anew.
    """

    labels: msgspec.Raw
    fingerprint: str
    sender_key: str  # the sender's group that it is open in, with the labels of that
    sender_labels: msgspec.Raw
    named_by: str  # id of the group that named it last
    at_ns: int  # when it was last told of, exact to within RENEWED_PER_LIFE
    starts_ns: int  # of the last period
    ends_ns: int = 0
    over: bool = False
    over_at_ns: int = 0  # the latest time in the payload that told or showed its end
    unnamed: bool = False  # over, because its sender's group no longer named it


decode_record = msgspec.msgpack.Decoder(StatedRecord).decode


class StatedChanges(NamedTuple):
    """Strings to store with the alerts of a push; the fields are in the order of ingest.lua."""

    keys: list[str]
    expected: list[msgspec.Raw]  # as they were loaded, empty = not there
    values: list[msgspec.Raw]
    lifetime: int  # seconds


ABSENT = binary(b"")
NO_CHANGES = StatedChanges([], [], [], 0)


class StoredGroup(NamedTuple):
    """The ids of the alerts that fire in a sender's group, as packed and as a set."""

    packed: bytes
    named: frozenset[str]


async def load_stated(
    wire: Wire, group: str, ids: Iterable[str]
) -> tuple[StoredGroup, dict[str, bytes]]:
    """The alerts that fire in a sender's group; packed records by id, of those that are known.

    Raises StoreUnavailable.
    """
    wanted = list(ids)
    packed, *stored = await wire.call("MGET", keys.stated(group), *map(keys.record, wanted))
    named = frozenset(packed.decode().split()) if packed else frozenset[str]()
    return StoredGroup(packed or b"", named), _known(wanted, stored)


async def load_records(wire: Wire, ids: Iterable[str]) -> dict[str, bytes]:
    """Packed records by id, of those that are known. Raises StoreUnavailable."""
    wanted = list(ids)
    return _known(wanted, await wire.call("MGET", *map(keys.record, wanted))) if wanted else {}


def _known(wanted: list[str], stored: list[bytes | None]) -> dict[str, bytes]:
    return {id_: data for id_, data in zip(wanted, stored, strict=True) if data is not None}


def change_records(
    before: Mapping[str, bytes], after: Mapping[str, StatedRecord], lifetime: int
) -> StatedChanges:
    """The changes of records by id. before: packed, as they were loaded."""
    changes = StatedChanges([], [], [], lifetime)
    for id_, record in after.items():
        changes.keys.append(keys.record(id_))
        changes.expected.append(binary(before[id_]) if id_ in before else ABSENT)
        changes.values.append(binary(encode_record(record)))
    return changes


def change_group(
    group: str,
    before: StoredGroup,
    named: frozenset[str],
    lifetime: int,
    records: StatedChanges = NO_CHANGES,
) -> StatedChanges:
    """The change of what fires in a sender's group, with those of records."""
    return StatedChanges(
        [*records.keys, keys.stated(group)],
        [*records.expected, binary(before.packed)],
        [*records.values, binary(" ".join(named).encode())],
        lifetime,
    )
