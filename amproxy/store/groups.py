"""Groups and their alerts in Redis: the push's one round trip, and what a flush reads and writes.

Reading across groups: everything that fires, in as few turns with Redis as one group takes.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import struct
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from amproxy.model import Alert, Group, LogEntry, MutedAlertsLog
from amproxy.store import keys
from amproxy.store.commit import Operations, binary
from amproxy.store.wire import Wire

_encode = msgspec.msgpack.Encoder().encode
_alert = msgspec.msgpack.Decoder(Alert).decode
_group = msgspec.msgpack.Decoder(Group).decode
_log_entry = msgspec.msgpack.Decoder(LogEntry).decode
_following = msgspec.msgpack.Decoder(MutedAlertsLog).decode

_LEASE = struct.Struct("<8sqqqq8s?")
_LEASE_HEAD = bytes((0xD9, _LEASE.size))  # as commit.binary does it, for the one size that is packed for every alert
ABSENT = binary(b"")  # the revision expected of an alert that is not stored
_revision_prefix = os.urandom(4)
_revision_counter = itertools.count(1)


def new_revision() -> bytes:
    """8 bytes that no other write has: 4 of this process, 4 counted."""
    return _revision_prefix + (next(_revision_counter) & 0xFFFFFFFF).to_bytes(4, "little")


class Lease(NamedTuple):
    """The part of a stored alert that every push compares and moves; times in nanoseconds."""

    revision: bytes
    starts_ns: int
    ends_ns: int
    lapses_ns: int
    updated_ns: int
    content: bytes  # 8 bytes: digest of annotations, generator URL and extras
    timeout: bool

    def pack(self) -> msgspec.Raw:
        return msgspec.Raw(_LEASE_HEAD + _LEASE.pack(*self))

    def fires(self, now_ns: int) -> bool:
        return not (0 < self.ends_ns <= now_ns or 0 < self.lapses_ns <= now_ns)


def unpack_lease(data: bytes) -> Lease:
    return Lease._make(_LEASE.unpack(data))


class GroupWrite(NamedTuple):
    """What a push changes in one group; field order is that of ingest.lua."""

    group_id: str
    meta: msgspec.Raw | bool  # False: nothing in it begins to fire; a group that is gone stays so
    due_ms: int
    hurry: bool
    fingerprints: list[str]
    expected: list[msgspec.Raw]
    leases: list[msgspec.Raw]
    records: list[msgspec.Raw | bool]  # False: only the lease moves
    sources: list[str | msgspec.Raw]  # key, fingerprint, packed source …: what inhibits others


async def load_leases(wire: Wire, wanted: Sequence[tuple[str, Sequence[str]]]) -> list[list[bytes | None]]:
    """What is stored: for each (group id, fingerprints) the packed leases, in order."""
    answers = [wire.call("HMGET", keys.leases(group_id), *fingerprints) for group_id, fingerprints in wanted]
    return [await answer for answer in answers]


async def load_last_push(wire: Wire, group_ids: Sequence[str]) -> float | None:
    """When any alert of these groups was pushed last, Unix seconds; None where they have none."""
    answers = [wire.call("HVALS", keys.leases(group_id)) for group_id in group_ids if group_id]
    pushed = [unpack_lease(data).updated_ns for answer in answers for data in await answer]
    return max(pushed) / 10**9 if pushed else None


async def ingest(wire: Wire, writes: list[GroupWrite]) -> bool:
    """Store what a push changes. False: an alert is not as it was when asked; nothing has changed."""
    return bool(await wire.script("ingest", keys.P, _encode(writes)) == 1)


def encode_alert(alert: Alert) -> msgspec.Raw:
    return binary(_encode(alert))


def encode_group(group: Group) -> msgspec.Raw:
    return binary(_encode(group))


def encode_source(source: msgspec.Struct) -> bytes:
    return bytes(_encode(source))


class LoadedGroup(NamedTuple):
    """A group as a flush finds it."""

    group: Group
    version: str  # "" = never flushed
    touched: str
    alerts: list[Alert]
    revisions: dict[str, bytes]
    log: dict[str, LogEntry]
    busy_until: float  # Unix seconds: integrations are still being told of the last flush, at the longest until then; 0 = none is
    following: MutedAlertsLog | None


async def load_group(wire: Wire, group_id: str) -> LoadedGroup | None:
    """Everything about a group; None when it is gone."""
    head, leases, alerts, log = (
        wire.call("HMGET", keys.group(group_id), "meta", "v", "touched", "until", "hidden"),
        wire.call("HGETALL", keys.leases(group_id)),
        wire.call("HGETALL", keys.alerts(group_id)),
        wire.call("HGETALL", keys.log(group_id)),
    )
    found, version, touched, until, hidden = await head
    held = _pairs(await leases)
    records = _pairs(await alerts)
    entries = _pairs(await log)
    if found is None:
        return None
    result, revisions = [], {}
    for name, data in held.items():
        if name not in records:  # let go between the two reads
            continue
        lease = unpack_lease(data)
        alert = _alert(records[name])
        alert.starts_ns, alert.ends_ns, alert.lapses_ns = lease.starts_ns, lease.ends_ns, lease.lapses_ns
        alert.updated_ns, alert.timeout = lease.updated_ns, lease.timeout
        result.append(alert)
        revisions[alert.fingerprint] = lease.revision
    return LoadedGroup(
        group=_group(found),
        version=(version or b"").decode(),
        touched=(touched or b"").decode(),
        alerts=result,
        revisions=revisions,
        log={name.decode(): _log_entry(data) for name, data in entries.items()},
        busy_until=float(until or 0),
        following=_following(hidden) if hidden else None,
    )


def _pairs(flat: list[bytes]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


async def load_group_ids(wire: Wire) -> list[str]:
    """Ids of all live groups."""
    return [name.decode() for name in await wire.call("SMEMBERS", keys.GROUPS)]


def begin_flush(loaded: LoadedGroup, *, next_due: float) -> Operations:
    """The operations that every flush begins with: guarded against another flush and against pushes in a hurry."""
    result, key = Operations(), keys.group(loaded.group.id)
    result.guard(key, "v", loaded.version)
    result.guard(key, "touched", loaded.touched)
    result.do("HSET", key, "v", int(loaded.version or 0) + 1)
    result.do("ZADD", keys.TIMERS, round(next_due * 1000), f"flush:{loaded.group.id}")
    return result


def wait_for_flush(loaded: LoadedGroup) -> Operations:
    """The operations of a tick that comes while the last flush is still under way: it waits for its end."""
    result, key = Operations(), keys.group(loaded.group.id)
    result.guard(key, "v", loaded.version)
    result.guard(key, "until", repr(loaded.busy_until))
    result.do("HSET", key, "late", 1)
    result.do("ZADD", keys.TIMERS, int(loaded.busy_until * 1000) + 1, f"flush:{loaded.group.id}")
    return result


def expect_notifications(
    result: Operations, group_id: str, *, flush: str, integrations: int, until: float, resolved: list[tuple[str, bytes]]
) -> None:
    """Remember which resolved alerts may go once so many integrations have been told; with none, they go now.

    until: Unix seconds at which the flush ends, whether they were told or not.
    """
    if not integrations:
        result.do("HDEL", keys.group(group_id), "flush", "pending", "settle", "until", "late")
        for fingerprint, revision in resolved:
            result.do("!remove", group_id, fingerprint, revision)
        result.do("!prune", group_id)
        return
    settle = _encode([(fingerprint, binary(revision)) for fingerprint, revision in resolved])
    result.do("HSET", keys.group(group_id), "flush", flush, "pending", integrations, "settle", settle, "until", repr(until))
    result.do("HDEL", keys.group(group_id), "late")


def settle_integration(result: Operations, group_id: str, flush: str, *, told: bool, now: float) -> None:
    """One integration is done with."""
    result.do("!settle", group_id, flush, int(told), int(now * 1000))


def save_log_entry(result: Operations, group_id: str, integration: str, entry: LogEntry) -> None:
    """Write the notification log."""
    result.do("HSET", keys.log(group_id), integration, _encode(entry))
    result.do("PERSIST", keys.log(group_id))


async def load_groups(wire: Wire) -> list[LoadedGroup]:
    """All live groups with their alerts, in no order. Raises StoreUnavailable.

    Loads that are begun together leave as one write. Each is decoded in a turn of its own, so that even ten thousand
    alerts do not hold up the rest of the process for long.
    """
    found = await asyncio.gather(*(load_group(wire, group_id) for group_id in await load_group_ids(wire)))
    return [loaded for loaded in found if loaded is not None]
