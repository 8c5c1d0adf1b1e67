"""Groups and their alerts in Redis: the round trip of a push, the reads and writes of a flush."""

from __future__ import annotations

import asyncio
import itertools
import os
import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from amproxy import offload
from amproxy.model import Alert, Group, LoadedGroup, LogEntry, MutedAlertsLog
from amproxy.store import keys
from amproxy.store.commit import Operations, binary
from amproxy.store.wire import Wire

_encode = msgspec.msgpack.Encoder().encode
_alert = msgspec.msgpack.Decoder(Alert).decode
_group = msgspec.msgpack.Decoder(Group).decode
_log_entry = msgspec.msgpack.Decoder(LogEntry).decode
_muted_log = msgspec.msgpack.Decoder(MutedAlertsLog).decode

_LEASE = struct.Struct("<8sqqqq8s?")
# as commit.binary does it, for the one size that is packed for every alert
_LEASE_HEAD = bytes((0xD9, _LEASE.size))
ABSENT = binary(b"")  # the revision expected of an alert that is not stored
_revision_prefix = os.urandom(4)
_revision_counter = itertools.count(1)


def new_revision() -> bytes:
    """8 bytes that no other write has: 4 random ones of this process, 4 counted."""
    return _revision_prefix + (next(_revision_counter) & 0xFFFFFFFF).to_bytes(4, "little")


GROUPS_AT_ONCE = 100  # loaded together: they leave as one write, and hold nobody up for long


class Lease(NamedTuple):
    """The part of a stored alert that every push compares and moves; times in nanoseconds.

    It is stored apart from the alert, because a repeat changes nothing else.
    """

    revision: bytes
    starts_ns: int
    ends_ns: int
    lapses_ns: int
    updated_ns: int
    content: bytes  # 8 bytes: digest of annotations, generator URL and extras
    timeout: bool

    def pack(self) -> msgspec.Raw:
        """The bytes in Redis; the first 8 are the revision, which the scripts compare."""
        return msgspec.Raw(_LEASE_HEAD + _LEASE.pack(*self))

    def fires(self, now_ns: int) -> bool:
        return not (0 < self.ends_ns <= now_ns or 0 < self.lapses_ns <= now_ns)


def unpack_lease(data: bytes) -> Lease:
    return Lease._make(_LEASE.unpack(data))


class GroupWrite(NamedTuple):
    """The changes of a push to one group; the fields are in the order of ingest.lua."""

    group_id: str
    meta: msgspec.Raw | bool  # False: nothing begins to fire; a group that is deleted stays so
    due_ms: int
    hurry: bool
    fingerprints: list[str]
    expected: list[msgspec.Raw]
    leases: list[msgspec.Raw]
    records: list[msgspec.Raw | bool]  # False: only the lease moves
    sources: list[str | msgspec.Raw]  # key, fingerprint, packed source …: what inhibits others


async def load_leases(
    wire: Wire, wanted: Sequence[tuple[str, Sequence[str]]]
) -> list[list[bytes | None]]:
    """The packed leases for each (group id, fingerprints), in order; None for an unknown alert."""
    answers = [
        wire.call("HMGET", keys.leases(group_id), *fingerprints)
        for group_id, fingerprints in wanted
    ]
    return [await answer for answer in answers]


async def load_last_push(wire: Wire, group_ids: Sequence[str]) -> float | None:
    """The last push of any alert of these groups, Unix seconds; None where they have none."""
    answers = [wire.call("HVALS", keys.leases(group_id)) for group_id in group_ids if group_id]
    pushed = [unpack_lease(data).updated_ns for answer in answers for data in await answer]
    return max(pushed) / 10**9 if pushed else None


async def ingest(wire: Wire, writes: list[GroupWrite]) -> bool:
    """Store the changes of a push; False when an alert changed since it was loaded.

    Then nothing is stored.
    """
    return bool(await wire.script("ingest", keys.P, _encode(writes)) == 1)


def encode_alert(alert: Alert) -> msgspec.Raw:
    return binary(_encode(alert))


def encode_group(group: Group) -> msgspec.Raw:
    return binary(_encode(group))


def encode_source(source: msgspec.Struct) -> bytes:
    return bytes(_encode(source))


async def load_group(wire: Wire, group_id: str) -> LoadedGroup | None:
    """A group with its alerts and its log; None when it is deleted. Raises StoreUnavailable."""
    # The first read is the group's own: a push after it changes `touched`, which refuses the flush.
    head = wire.call("HMGET", keys.group(group_id), "meta", "v", "touched", "until", "hidden")
    leases = wire.call("HGETALL", keys.leases(group_id))
    records = wire.call("HGETALL", keys.alerts(group_id))
    entries = wire.call("HGETALL", keys.log(group_id))
    meta, version, touched, until, hidden = await head
    stored, log = (await leases, await records), _pairs(await entries)
    alerts, revisions = await offload.run(len(stored[0]), _load_alerts, *stored)
    if meta is None:
        return None
    return LoadedGroup(
        group=_group(meta),
        version=(version or b"").decode(),
        touched=(touched or b"").decode(),
        alerts=alerts,
        revisions=revisions,
        log={name.decode(): _log_entry(data) for name, data in log.items()},
        busy_until=float(until or 0),
        following=_muted_log(hidden) if hidden else None,
    )


async def load_log(wire: Wire, group_id: str) -> dict[str, LogEntry]:
    """The notification log of a group, by the key of the integration. Raises StoreUnavailable."""
    entries = _pairs(await wire.call("HGETALL", keys.log(group_id)))
    return {name.decode(): _log_entry(data) for name, data in entries.items()}


async def load_group_ids(wire: Wire) -> list[str]:
    """The ids of all live groups. Raises StoreUnavailable."""
    return [name.decode() for name in await wire.call("SMEMBERS", keys.GROUPS)]


async def load_groups(wire: Wire) -> list[LoadedGroup]:
    """All live groups with their alerts, in no order. Raises StoreUnavailable."""
    found: list[LoadedGroup] = []
    ids = await load_group_ids(wire)
    for start in range(0, len(ids), GROUPS_AT_ONCE):
        some = ids[start : start + GROUPS_AT_ONCE]
        loaded = await asyncio.gather(*(load_group(wire, group_id) for group_id in some))
        found += [group for group in loaded if group is not None]
    return found


def _load_alerts(
    leases: list[bytes], flat_records: list[bytes]
) -> tuple[list[Alert], dict[str, bytes]]:
    """The alerts with the times of their leases, and fingerprint → revision."""
    alerts, revisions, records = [], {}, _pairs(flat_records)
    for name, data in _pairs(leases).items():
        if name not in records:  # deleted between the two reads
            continue
        lease, alert = unpack_lease(data), _alert(records[name])
        alert.starts_ns, alert.ends_ns = lease.starts_ns, lease.ends_ns
        alert.lapses_ns, alert.updated_ns = lease.lapses_ns, lease.updated_ns
        alert.timeout = lease.timeout
        alerts.append(alert)
        revisions[alert.fingerprint] = lease.revision
    return alerts, revisions


def _pairs(flat: list[bytes]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def begin_flush(loaded: LoadedGroup, *, next_due: float) -> Operations:
    """The first operations of every flush, guarded against other flushes and hurried pushes."""
    result, key = Operations(), keys.group(loaded.group.id)
    result.guard(key, "v", loaded.version)
    result.guard(key, "touched", loaded.touched)
    result.do("HSET", key, "v", int(loaded.version or 0) + 1)
    result.do("ZADD", keys.TIMERS, round(next_due * 1000), f"flush:{loaded.group.id}")
    return result


def wait_for_flush(loaded: LoadedGroup) -> Operations:
    """The operations that put off a flush until the last one ends, `busy_until` at the latest."""
    result, key = Operations(), keys.group(loaded.group.id)
    result.guard(key, "v", loaded.version)
    # it may end at this very moment, and then nobody would read `late`
    result.guard(key, "until", repr(loaded.busy_until))
    result.do("HSET", key, "late", 1)
    result.do("ZADD", keys.TIMERS, int(loaded.busy_until * 1000) + 1, f"flush:{loaded.group.id}")
    return result


def expect_notifications(
    result: Operations,
    group_id: str,
    *,
    flush: str,
    integrations: int,
    until: float,
    resolved: list[tuple[str, bytes]],
) -> None:
    """Store the resolved alerts to delete once so many integrations are done; with none, now.

    resolved: (fingerprint, revision). until: Unix seconds at which the flush ends, whether all of
    them are notified or not.
    """
    key = keys.group(group_id)
    if not integrations:
        result.do("HDEL", key, "flush", "pending", "settle", "until", "late")
        remove_alerts(result, group_id, resolved)
        result.do("!prune", group_id)
        return
    settle = _encode([(fingerprint, binary(revision)) for fingerprint, revision in resolved])
    result.do("HSET", key, "flush", flush, "pending", integrations)
    result.do("HSET", key, "settle", settle, "until", repr(until))
    result.do("HDEL", key, "late")


def remove_alerts(result: Operations, group_id: str, resolved: Iterable[tuple[str, bytes]]) -> None:
    """Delete alerts (fingerprint, revision), unless they are pushed again meanwhile."""
    words = [word for pair in resolved for word in pair]
    if words:
        result.do("!remove", group_id, *words)


def settle_integration(
    result: Operations, group_id: str, flush: str, *, delivered: bool, now: float
) -> None:
    """Count one integration of a flush as done; the last one ends the flush (commit.lua)."""
    result.do("!settle", group_id, flush, int(delivered), int(now * 1000))


def save_log_entry(result: Operations, group_id: str, integration: str, entry: LogEntry) -> None:
    """Write the notification log."""
    result.do("HSET", keys.log(group_id), integration, _encode(entry))
    # the log of a group that was deleted expires (commit.lua); this one lives again
    result.do("PERSIST", keys.log(group_id))
