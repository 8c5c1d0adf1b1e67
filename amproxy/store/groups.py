"""Groups and their alerts in Redis: the round trip of a push, the reads and writes of a flush."""

from __future__ import annotations

import asyncio
import itertools
import os
import struct
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Final, Literal, NamedTuple

import msgspec

from amproxy import offload
from amproxy.model import Alert, Group, LoadedGroup, LogEntry, MutedAlertsLog
from amproxy.store import keys
from amproxy.store.commit import Operations, binary
from amproxy.store.stated import NO_CHANGES, StatedChanges
from amproxy.store.wire import Wire

_encode = msgspec.msgpack.Encoder().encode
_alert = msgspec.msgpack.Decoder(Alert).decode
_group = msgspec.msgpack.Decoder(Group).decode
_log_entry = msgspec.msgpack.Decoder(LogEntry).decode
_names = msgspec.msgpack.Decoder(list[str]).decode
_muted_log = msgspec.msgpack.Decoder(MutedAlertsLog).decode

_LEASE = struct.Struct("<8sqqqq8s?")
REVISION_BYTES = 8
# as commit.binary does it, for the one size that is packed for every alert
_LEASE_HEAD = bytes((0xD9, _LEASE.size))
ABSENT = binary(b"")  # the revision expected of an alert that is not stored
# Any revision, or none: the script merges the alert with what is stored; in the second case start
# and content are as they are stored.
MERGED, MERGED_TIMES = binary(b"merge"), binary(b"times")
_revision_prefix = os.urandom(4)
_revision_counter = itertools.count(1)


def new_revision() -> bytes:
    """8 bytes that no other write has: 4 random ones of this process, 4 counted."""
    return _revision_prefix + (next(_revision_counter) & 0xFFFFFFFF).to_bytes(4, "little")


ALERTS_AT_ONCE = 500  # of one group, read by one command
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


def unpack_alert(lease: bytes, record: bytes) -> Alert:
    """An alert as it is stored: all but its times is in the record."""
    alert = _alert(record)
    (
        _,
        alert.starts_ns,
        alert.ends_ns,
        alert.lapses_ns,
        alert.updated_ns,
        _,
        alert.timeout,
    ) = _LEASE.unpack(lease)
    return alert


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
    lease_ms: int = 0  # its timer is leased until then as it is set; 0 = whoever comes leases it


def ask_leases(
    wire: Wire, wanted: Iterable[tuple[str, Iterable[str]]]
) -> list[asyncio.Future[list[bytes | None]]]:
    """The packed leases for each (group id, fingerprints), in order; None for an unknown alert.

    All of them are to be awaited; each may be StoreUnavailable.
    """
    return [
        wire.call("HMGET", keys.leases(group_id), *fingerprints)
        for group_id, fingerprints in wanted
    ]


async def load_last_push(wire: Wire, group_ids: Sequence[str]) -> float | None:
    """The last push of any alert of these groups, Unix seconds; None where they have none."""
    answers = [wire.call("HVALS", keys.leases(group_id)) for group_id in group_ids if group_id]
    pushed = [unpack_lease(data).updated_ns for answer in answers for data in await answer]
    return max(pushed) / 10**9 if pushed else None


async def ingest(
    wire: Wire, writes: list[GroupWrite], stated: StatedChanges = NO_CHANGES
) -> list[str] | None:
    """Store the changes of a push; return the ids of the groups whose timers it has leased.

    None when an alert or a record changed since it was loaded: then nothing is stored.
    """
    answer = await wire.script("ingest", keys.P, _encode((writes, stated)))
    return None if answer == 0 else [name.decode() for name in answer]


def encode_alert(alert: Alert) -> msgspec.Raw:
    """The record of an alert without the times that stand in its lease."""
    times = alert.starts_ns, alert.ends_ns, alert.lapses_ns, alert.updated_ns, alert.timeout
    alert.starts_ns = alert.ends_ns = alert.lapses_ns = alert.updated_ns = 0
    alert.timeout = False
    record = binary(_encode(alert))
    alert.starts_ns, alert.ends_ns, alert.lapses_ns, alert.updated_ns, alert.timeout = times
    return record


def encode_group(group: Group) -> msgspec.Raw:
    return binary(_encode(group))


def encode_source(source: msgspec.Struct) -> bytes:
    return bytes(_encode(source))


_HEAD: Final = ("meta", "v", "touched", "until", "hidden", "muted")


async def load_group(wire: Wire, group_id: str) -> LoadedGroup | None:
    """A group with its alerts and its log; None when it is deleted. Raises StoreUnavailable."""
    # The first read is the group's own: a push after it changes `touched`, which refuses the flush.
    head = wire.call("HMGET", keys.group(group_id), *_HEAD)
    leases = wire.call("HGETALL", keys.leases(group_id))
    records = wire.call("HGETALL", keys.alerts(group_id))
    entries = wire.call("HGETALL", keys.log(group_id))
    meta, version, touched, until, hidden, muted = await head
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
        muted=muted or b"",
    )


async def load_others(wire: Wire, known: Sequence[tuple[Sequence[str], int]]) -> list[bool]:
    """For groups, and how many alerts of them fired when they were notified: there may be others.

    Raises StoreUnavailable.
    """
    answers = [
        (
            firing,
            [wire.call("HLEN", keys.alerts(one)) for one in group_ids],
            [wire.call("HEXISTS", keys.group(one), "hidden") for one in group_ids],
        )
        for group_ids, firing in known
    ]
    return [
        sum([await number for number in numbers]) > firing or any([await one for one in muted])
        for firing, numbers, muted in answers
    ]


async def load_alerts(
    wire: Wire, group_id: str, fingerprints: Sequence[bytes]
) -> dict[bytes, Alert]:
    """Fingerprint → alert, for those of a group that it has now. Raises StoreUnavailable."""
    # Pieces of a size that holds Redis up no longer than a push does.
    pieces = [
        fingerprints[start : start + ALERTS_AT_ONCE]
        for start in range(0, len(fingerprints), ALERTS_AT_ONCE)
    ]
    answers = [
        (
            piece,
            wire.call("HMGET", keys.leases(group_id), *piece),
            wire.call("HMGET", keys.alerts(group_id), *piece),
        )
        for piece in pieces
    ]
    found: dict[bytes, Alert] = {}
    for piece, leases, records in answers:
        # Those of both answers: a flush may delete alerts between the two reads.
        there = [
            (name, lease, record)
            for name, lease, record in zip(piece, await leases, await records, strict=True)
            if lease is not None and record is not None
        ]
        found |= await offload.run(len(there), _decode_alerts, there)
    return found


async def load_log(wire: Wire, group_id: str) -> dict[str, LogEntry]:
    """The notification log of a group, by the key of the integration. Raises StoreUnavailable."""
    entries = _pairs(await wire.call("HGETALL", keys.log(group_id)))
    return {name.decode(): _log_entry(data) for name, data in entries.items()}


async def load_group_log(wire: Wire, group_id: str) -> tuple[Group, dict[str, LogEntry]] | None:
    """A group with its notification log; None when it is deleted. Raises StoreUnavailable."""
    meta = wire.call("HGET", keys.group(group_id), "meta")
    log, stored = await load_log(wire, group_id), await meta
    return None if stored is None else (_group(stored), log)


async def claim_log(wire: Wire, result: Operations, group_id: str) -> dict[str, LogEntry]:
    """The notification log of a group, which is still the same when these operations are committed.

    A flush that has begun before that decides anew. Raises StoreUnavailable.
    """
    key = keys.group(group_id)
    stored, log = wire.call("HGET", key, "v"), await load_log(wire, group_id)
    version = (await stored or b"").decode()
    result.guard(key, "v", version)
    if version:  # else it was never flushed, or is deleted
        result.do("HSET", key, "v", int(version) + 1)
    return log


async def load_group_ids(wire: Wire) -> list[str]:
    """The ids of all live groups. Raises StoreUnavailable."""
    return [name.decode() for name in await wire.call("SMEMBERS", keys.GROUPS)]


AlertState = Literal["active", "suppressed", "unprocessed"]


async def count_alerts(wire: Wire, now_ns: int) -> dict[AlertState, int]:
    """The number of alerts that fire, by state as the last flush of their groups found it.

    One in several groups counts once: as suppressed where one of them is, as unprocessed where none
    of its groups was flushed yet. Raises StoreUnavailable.
    """
    firing, muted, flushed = set[bytes](), set[bytes](), set[bytes]()
    ids = await load_group_ids(wire)
    for start in range(0, len(ids), GROUPS_AT_ONCE):
        some = ids[start : start + GROUPS_AT_ONCE]
        heads = [wire.call("HMGET", keys.group(one), "v", "muted") for one in some]
        leases = [wire.call("HGETALL", keys.leases(one)) for one in some]
        for (version, hidden), flat in zip(
            await asyncio.gather(*heads), await asyncio.gather(*leases), strict=True
        ):
            names = await offload.run(len(flat), _firing_names, flat, now_ns)
            firing |= names
            if version is not None:
                flushed |= names
                muted |= names.intersection(_decode_names(hidden) if hidden else ())
    return {
        "active": len(flushed - muted),
        "suppressed": len(muted),
        "unprocessed": len(firing - flushed),
    }


def _firing_names(flat: list[bytes], now_ns: int) -> set[bytes]:
    return {name for name, data in _pairs(flat).items() if unpack_lease(data).fires(now_ns)}


def _decode_names(data: bytes) -> list[bytes]:
    return [name.encode() for name in _names(data)]


async def walk_groups(wire: Wire) -> AsyncIterator[list[LoadedGroup]]:
    """All live groups with their alerts, in no order, some at a time. Raises StoreUnavailable."""
    ids = await load_group_ids(wire)
    for start in range(0, len(ids), GROUPS_AT_ONCE):
        some = ids[start : start + GROUPS_AT_ONCE]
        loaded = await asyncio.gather(*(load_group(wire, group_id) for group_id in some))
        yield [group for group in loaded if group is not None]


async def load_groups(wire: Wire) -> list[LoadedGroup]:
    """All of them at once. Raises StoreUnavailable."""
    return [group async for some in walk_groups(wire) for group in some]


def _load_alerts(
    leases: list[bytes], flat_records: list[bytes]
) -> tuple[list[Alert], dict[str, bytes]]:
    """The alerts with the times of their leases, and fingerprint → revision."""
    alerts, revisions, records = [], {}, _pairs(flat_records)
    for name, data in _pairs(leases).items():
        if name not in records:  # deleted between the two reads
            continue
        alert = unpack_alert(data, records[name])
        alerts.append(alert)
        revisions[alert.fingerprint] = data[:REVISION_BYTES]
    return alerts, revisions


def _decode_alerts(stored: list[tuple[bytes, bytes, bytes]]) -> dict[bytes, Alert]:
    found = {}
    for name, data, record in stored:
        found[name] = unpack_alert(data, record)
    return found


def _pairs(flat: list[bytes]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def forget_source(result: Operations, key: str, fingerprint: str, source: msgspec.Struct) -> None:
    """Delete a source of inhibition, if it is still the one that was loaded."""
    result.do("!forget", keys.source(key), fingerprint, encode_source(source))


def guard_quiet(result: Operations, quiet: Iterable[tuple[str, bool]], now_ns: int) -> None:
    """Demand that no alert fires that would inhibit one of a flush.

    quiet: (key of sources, whether those do not count that match both sides of their rule).
    """
    for key, two_sided in quiet:
        result.guards.append(("!quiet", keys.source(key), f"{now_ns} {int(two_sided)}"))


def begin_flush(
    loaded: LoadedGroup, *, next_due: float, now: float, overtake: bool = False
) -> Operations:
    """The first operations of every flush, guarded against other flushes and hurried pushes.

    overtake: a push in a hurry since it was loaded does not refuse it; then the next flush is now.
    """
    result, key = Operations(), keys.group(loaded.group.id)
    result.guard(key, "v", loaded.version)
    next_ms = round(next_due * 1000)
    if overtake:
        result.do("!next", loaded.group.id, loaded.touched, next_ms, int(now * 1000))
    else:
        result.guard(key, "touched", loaded.touched)
        result.do("ZADD", keys.TIMERS, next_ms, f"flush:{loaded.group.id}")
    result.do("HSET", key, "v", int(loaded.version or 0) + 1)
    return result


def wait_for_flush(loaded: LoadedGroup) -> Operations:
    """The operations that put off a flush until the last one ends, `busy_until` at the latest."""
    result = Operations()
    result.guard(keys.group(loaded.group.id), "v", loaded.version)
    flush_after_last(result, loaded)
    result.do("ZADD", keys.TIMERS, int(loaded.busy_until * 1000) + 1, f"flush:{loaded.group.id}")
    return result


def flush_after_last(result: Operations, loaded: LoadedGroup) -> None:
    """Add the operations that flush a group again as soon as its last flush ends."""
    key = keys.group(loaded.group.id)
    # it may end at this very moment, and then nobody would read `late`
    result.guard(key, "until", repr(loaded.busy_until))
    result.do("HSET", key, "late", 1)


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


def save_muted(result: Operations, loaded: LoadedGroup, muted: Iterable[str]) -> None:
    """Note which alerts a flush finds muted, where others were before: `count_alerts` reads it."""
    names = sorted(muted)
    data = _encode(names) if names else b""
    if data == loaded.muted:
        return
    if data:
        result.do("HSET", keys.group(loaded.group.id), "muted", data)
    else:
        result.do("HDEL", keys.group(loaded.group.id), "muted")


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
