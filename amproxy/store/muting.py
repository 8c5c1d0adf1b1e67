"""Silences and maintenance windows made by hand, and the records of the alerts that they suppress.

Every process keeps a copy of all silences and windows. A version says when they have changed, and a
list of the last changes which of them: only those are read. A record is bounded, and stored for a
month after its last change.
"""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, NamedTuple, TypeVar

import msgspec

from amproxy import offload
from amproxy.config.structs import Maintenance
from amproxy.model import (
    MAX_SUPPRESSED,
    LoadedGroup,
    MutedAlertsLog,
    Silence,
    SuppressedAlertRecord,
    SuppressionUpdate,
)
from amproxy.store import groups, keys
from amproxy.store.commit import Operations
from amproxy.store.wire import Wire

T = TypeVar("T")
C = TypeVar("C")

SUPPRESSED_TTL = 30 * 86400  # seconds
# Changes that are remembered. Who missed more, or does not know any, reads all.
FEW_CHANGES, MAX_CHANGES = 16, 1000

_encode = msgspec.msgpack.Encoder().encode
_silence = msgspec.msgpack.Decoder(Silence).decode
_window = msgspec.msgpack.Decoder(Maintenance).decode
_suppressed = msgspec.msgpack.Decoder(SuppressedAlertRecord).decode


class _VersionedCache(Generic[T, C]):
    """A copy of a hash in Redis. A version says that it has changed, and a list of changes where.

    The copies that it hands out never change: a change makes another.
    """

    _key: str
    _decode: Callable[[bytes], T]

    def __init__(self, empty: C, change: Callable[[C, list[T], list[str]], C]) -> None:
        """change: (copy, what is new or changed, the ids of what is gone) → another copy."""
        self._version: bytes | None = None
        self._copy = self._empty = empty
        self._change = change
        self._reading = asyncio.Lock()  # held by who brings the copy up to date

    async def all(self, wire: Wire) -> C:
        """All by id; the same copy, and one small look-up, as long as nothing has changed.

        Raises StoreUnavailable.
        """
        return await self.at(wire, await wire.call("GET", keys.version(self._key)))

    async def at(self, wire: Wire, version: bytes | None) -> C:
        """The same where the version was looked up already."""
        if version != self._version:
            async with self._reading:
                if version != self._version:  # others may have waited for the same
                    await self._catch_up(wire)
        return self._copy

    async def _catch_up(self, wire: Wire) -> None:
        version = await wire.call("GET", keys.version(self._key))
        if version == self._version:
            return
        # The version read before: what changes from here on is read again, not missed.
        for limit in (FEW_CHANGES, MAX_CHANGES):
            changes = await wire.call("LRANGE", keys.changes(self._key), 0, limit - 1)
            ids = _changed_since(changes, self._version, version)
            if ids is not None:
                found = await wire.call("HMGET", self._key, *ids) if ids else []
                gone = [name for name, data in zip(ids, found, strict=True) if data is None]
                there = [data for data in found if data is not None]
                self._copy = await offload.run(len(ids), self._decode_all, self._copy, there, gone)
                self._version = version
                return
            if len(changes) < limit:
                break
        flat = await wire.call("HGETALL", self._key)
        self._copy = await offload.run(len(flat), self._decode_all, self._empty, flat[1::2], [])
        self._version = version

    def _decode_all(self, copy: C, stored: list[bytes], gone: list[str]) -> C:
        return self._change(copy, list(map(self._decode, stored)), gone)


def _changed_since(
    changes: list[bytes], known: bytes | None, version: bytes | None
) -> list[str] | None:
    """The ids that changed from one version to another; None = these changes do not say.

    changes: "VERSION BEFORE ID ID …" each, newest first. They must lead from one to the next: a
    process of an older version of amproxy leaves none.
    """
    ids, at = dict[str, None](), version
    for change in changes:
        after, before, *changed = change.split(b" ")
        if after != at:
            if at == version:  # newer than the version that was looked up
                continue
            return None
        ids |= dict.fromkeys(name.decode() for name in changed)
        if (before or None) == known:  # nothing was before the first
            return list(ids)
        at = before
    return None


class SilenceCache(_VersionedCache[Silence, C]):
    """All silences, as its owner wants them."""

    _key = keys.SILENCES
    _decode = staticmethod(_silence)


class MaintenanceWindowCache(_VersionedCache[Maintenance, dict[str, Maintenance]]):
    """All windows made by hand, by id."""

    _key = keys.MAINTENANCE
    _decode = staticmethod(_window)

    def __init__(self) -> None:
        super().__init__({}, _change_windows)


def _change_windows(
    known: dict[str, Maintenance], stored: list[Maintenance], gone: list[str]
) -> dict[str, Maintenance]:
    left = {name: one for name, one in known.items() if name not in gone}
    return left | {one.id: one for one in stored}


class StoredSilence(NamedTuple):
    """One silence, and its bytes in Redis."""

    silence: Silence
    data: bytes


class StoredWindow(NamedTuple):
    """One window, and its bytes in Redis."""

    window: Maintenance
    data: bytes


async def load_silence(wire: Wire, silence_id: str) -> StoredSilence | None:
    """A silence as it is stored now; None where there is none. Raises StoreUnavailable."""
    data = await wire.call("HGET", keys.SILENCES, silence_id)
    return None if data is None else StoredSilence(_silence(data), data)


def guard_silence(result: Operations, stored: StoredSilence) -> None:
    """Commit only while the silence is still as it was loaded."""
    result.guard(keys.SILENCES, stored.silence.id, stored.data)


def save_silences(result: Operations, *changed: Silence) -> None:
    """Store silences, new or changed."""
    for silence in changed:
        result.do("HSET", keys.SILENCES, silence.id, _encode(silence))
    _publish(result, keys.SILENCES, "silences", [silence.id for silence in changed])


def _publish(result: Operations, key: str, name: str, ids: Sequence[str]) -> None:
    # Not counted up: a Redis that has lost everything would come to a number that caches know.
    result.do("!changed", key, secrets.randbits(60), MAX_CHANGES, *ids)
    result.do("PUBLISH", keys.CHANGES, name)


def delete_silences(result: Operations, *ids: str) -> None:
    """Remove silences that ended long ago."""
    result.do("HDEL", keys.SILENCES, *ids)
    _publish(result, keys.SILENCES, "silences", ids)


async def load_window(wire: Wire, window_id: str) -> StoredWindow | None:
    """A window as it is stored now; None where there is none. Raises StoreUnavailable."""
    data = await wire.call("HGET", keys.MAINTENANCE, window_id)
    return None if data is None else StoredWindow(_window(data), data)


def guard_window(result: Operations, stored: StoredWindow) -> None:
    """Commit only while the window is still as it was loaded."""
    result.guard(keys.MAINTENANCE, stored.window.id, stored.data)


def save_window(result: Operations, window: Maintenance) -> None:
    """Store a window, new or changed. Its times are aware."""
    result.do("HSET", keys.MAINTENANCE, window.id, _encode(window))
    _publish(result, keys.MAINTENANCE, "maintenance", [window.id])


def delete_windows(result: Operations, *ids: str) -> None:
    """Remove windows that ended long ago."""
    result.do("HDEL", keys.MAINTENANCE, *ids)
    _publish(result, keys.MAINTENANCE, "maintenance", ids)


def schedule_window_check(result: Operations, identity: str, at: float) -> None:
    """Set the next check of a window (Unix seconds), unless an earlier one is set."""
    result.do("ZADD", keys.TIMERS, "LT", math.ceil(at * 1000), f"maintenance:{identity}")


def set_next_window_check(result: Operations, identity: str, at: float | None) -> None:
    """Replace the check of a window by the next (Unix seconds); None = there is none."""
    name = f"maintenance:{identity}"
    if at is None:
        result.do("ZREM", keys.TIMERS, name)
    else:
        result.do("ZADD", keys.TIMERS, math.ceil(at * 1000), name)


def flush_now(loaded: LoadedGroup, now: float) -> Operations:
    """The operations that flush a group at once."""
    result, key = Operations(), keys.group(loaded.group.id)
    result.guard(key, "v", loaded.version)
    # A flush under way may have loaded the group too early to know why: it must decide anew.
    result.do("HINCRBY", key, "touched", 1)
    result.do("ZADD", keys.TIMERS, "XX", "LT", int(now * 1000), f"flush:{loaded.group.id}")
    return result


async def record_suppressed(
    wire: Wire, result: Operations, updates: Iterable[SuppressionUpdate]
) -> None:
    """Add the records of a group's flush to its operations; `first` of a known one stays.

    A record belongs to one group, whose flushes follow each other, so nothing is lost between
    reading and writing. Flushes of several groups at the same time may each fill the last free
    places. Raises StoreUnavailable.
    """
    by_cause: dict[str, dict[str, SuppressedAlertRecord]] = {}
    for by, hidden in updates:
        by_cause.setdefault(by, {})[f"{hidden.group} {hidden.fingerprint}"] = hidden
    for by, wanted in by_cause.items():
        key = keys.suppressed(by)
        size, known = wire.call("HLEN", key), wire.call("HMGET", key, *wanted)
        free, words = MAX_SUPPRESSED - await size, list[str | bytes]()
        for (name, hidden), old in zip(wanted.items(), await known, strict=True):
            if old is not None:
                merged = msgspec.structs.replace(hidden, first=_suppressed(old).first)
                words += (name, _encode(merged))
            elif free > 0:
                free -= 1
                words += (name, _encode(hidden))
        if words:
            result.do("HSET", key, *words)
            result.do("EXPIRE", key, SUPPRESSED_TTL)


def save_following(result: Operations, group_id: str, following: MutedAlertsLog) -> None:
    """Store the log of suppressed alerts, for the next flush to compare with."""
    if following.by:
        result.do("HSET", keys.group(group_id), "hidden", _encode(following))
    else:
        result.do("HDEL", keys.group(group_id), "hidden")


async def load_suppressed(wire: Wire, by: str) -> list[SuppressedAlertRecord]:
    """The records of `silence:ID` or `maintenance:ID`, newest first. Raises StoreUnavailable."""
    return sorted(
        map(_suppressed, await wire.call("HVALS", keys.suppressed(by))),
        key=lambda one: (-one.first, one.fingerprint),
    )


async def check_firing(wire: Wire, hidden: list[SuppressedAlertRecord], now_ns: int) -> list[bool]:
    """Decide for each of these alerts if it fires at `now_ns`, in their order.

    Raises StoreUnavailable.
    """
    leases = [wire.call("HGET", keys.leases(one.group), one.fingerprint) for one in hidden]
    return [
        data is not None and groups.unpack_lease(data).fires(now_ns)
        for data in [await lease for lease in leases]
    ]
