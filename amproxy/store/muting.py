"""Silences in Redis. They are few: every process keeps them all, and a version says when to read them again.

Maintenance windows made by hand, in Redis. They are few: every process keeps them all, and a version says when to read them again.

What silences and maintenance windows held back: a bounded record of each, kept for a month after its last change.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from amproxy.config.structs import Maintenance
from amproxy.model import MutedAlertsLog, Silence
from amproxy.store import groups, keys
from amproxy.store.commit import Operations
from amproxy.store.groups import LoadedGroup
from amproxy.store.wire import Wire

_encode = msgspec.msgpack.Encoder().encode
_silence = msgspec.msgpack.Decoder(Silence).decode


class SilenceCache:
    """A copy of what is stored, at most one look-up behind."""

    def __init__(self) -> None:
        self._version: bytes | None = None
        self._known: dict[str, Silence] = {}

    async def all(self, wire: Wire) -> dict[str, Silence]:
        """By id; one small look-up when nothing has changed. Raises StoreUnavailable."""
        return await self.at(wire, await wire.call("GET", keys.SILENCES_VERSION))

    async def at(self, wire: Wire, version: bytes | None) -> dict[str, Silence]:
        """The same where the version was looked up already."""
        if version != self._version:
            flat = await wire.call("HGETALL", keys.SILENCES)
            self._known = {name.decode(): _silence(data) for name, data in zip(flat[::2], flat[1::2], strict=True)}
            self._version = version
        return self._known


class StoredSilence(NamedTuple):
    """One silence, and the bytes that stand for it in Redis."""

    silence: Silence
    data: bytes


async def load_silence(wire: Wire, silence_id: str) -> StoredSilence | None:
    """A silence as it is stored at this moment; None where there is none. Raises StoreUnavailable."""
    data = await wire.call("HGET", keys.SILENCES, silence_id)
    return None if data is None else StoredSilence(_silence(data), data)


def guard_silence(result: Operations, stored: StoredSilence) -> None:
    """Commit only while the silence is still as it was loaded."""
    result.guard(keys.SILENCES, stored.silence.id, stored.data)


def save_silences(result: Operations, *changed: Silence) -> None:
    """Store silences, new or changed."""
    for silence in changed:
        result.do("HSET", keys.SILENCES, silence.id, _encode(silence))
    _publish_silences(result)


def delete_silences(result: Operations, *ids: str) -> None:
    """Remove silences that ended long ago."""
    result.do("HDEL", keys.SILENCES, *ids)
    _publish_silences(result)


def _publish_silences(result: Operations) -> None:
    result.do("INCR", keys.SILENCES_VERSION)
    result.do("PUBLISH", keys.CHANGES, "silences")


_window = msgspec.msgpack.Decoder(Maintenance).decode


class MaintenanceWindowCache:
    """A copy of what is stored, at most one look-up behind."""

    def __init__(self) -> None:
        self._version: bytes | None = None
        self._known: dict[str, Maintenance] = {}

    async def all(self, wire: Wire) -> dict[str, Maintenance]:
        """By id; the same dict as long as nothing has changed. Raises StoreUnavailable."""
        return await self.at(wire, await wire.call("GET", keys.MAINTENANCE_VERSION))

    async def at(self, wire: Wire, version: bytes | None) -> dict[str, Maintenance]:
        """The same where the version was looked up already."""
        if version != self._version:
            flat = await wire.call("HGETALL", keys.MAINTENANCE)
            self._known = {name.decode(): _window(data) for name, data in zip(flat[::2], flat[1::2], strict=True)}
            self._version = version
        return self._known


class StoredWindow(NamedTuple):
    """One window, and the bytes that stand for it in Redis."""

    window: Maintenance
    data: bytes


async def load_window(wire: Wire, window_id: str) -> StoredWindow | None:
    """A window as it is stored at this moment; None where there is none. Raises StoreUnavailable."""
    data = await wire.call("HGET", keys.MAINTENANCE, window_id)
    return None if data is None else StoredWindow(_window(data), data)


def guard_window(result: Operations, stored: StoredWindow) -> None:
    """Commit only while the window is still as it was loaded."""
    result.guard(keys.MAINTENANCE, stored.window.id, stored.data)


def save_window(result: Operations, window: Maintenance) -> None:
    """Store a window, new or changed. Its times are aware."""
    result.do("HSET", keys.MAINTENANCE, window.id, _encode(window))
    _publish_windows(result)


def delete_windows(result: Operations, *ids: str) -> None:
    """Remove windows that ended long ago."""
    result.do("HDEL", keys.MAINTENANCE, *ids)
    _publish_windows(result)


def schedule_window_check(result: Operations, identity: str, at: float) -> None:
    """Have a worker look at a window at `at` (Unix seconds), or earlier where that is planned already."""
    result.do("ZADD", keys.TIMERS, "LT", math.ceil(at * 1000), f"maintenance:{identity}")


def set_next_window_check(result: Operations, identity: str, at: float | None) -> None:
    """A worker has looked: the next time is `at` (Unix seconds); None = never."""
    name = f"maintenance:{identity}"
    if at is None:
        result.do("ZREM", keys.TIMERS, name)
    else:
        result.do("ZADD", keys.TIMERS, math.ceil(at * 1000), name)


def flush_now(loaded: LoadedGroup, now: float) -> Operations:
    """The operations that flush a group at once. A flush under way, which may have begun too early to know why, decides anew."""
    result, key = Operations(), keys.group(loaded.group.id)
    result.guard(key, "v", loaded.version)
    result.do("HINCRBY", key, "touched", 1)
    result.do("ZADD", keys.TIMERS, "XX", "LT", int(now * 1000), f"flush:{loaded.group.id}")
    return result


def _publish_windows(result: Operations) -> None:
    result.do("INCR", keys.MAINTENANCE_VERSION)
    result.do("PUBLISH", keys.CHANGES, "maintenance")


MAX_SUPPRESSED = 1000  # alerts of one silence or window
SUPPRESSED_TTL = 30 * 86400  # seconds


class SuppressedAlertRecord(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One alert of one group that was held back."""

    fingerprint: str
    labels: dict[str, str]
    group: str  # Group.id
    receiver: str
    first: float  # Unix seconds
    last: float  # written at most once an hour while nothing else changes
    told: float | None = None  # when it was told after the end; None = not


class SuppressionUpdate(NamedTuple):
    """What a flush found: an alert that is held back, or that was and is told now."""

    by: str  # "silence:ID", "maintenance:ID"
    hidden: SuppressedAlertRecord


_suppressed = msgspec.msgpack.Decoder(SuppressedAlertRecord).decode


async def record_suppressed(wire: Wire, result: Operations, seen: Iterable[SuppressionUpdate]) -> None:
    """Add to the operations of a group's flush what it found; the first sight of what is known already stays. Raises StoreUnavailable.

    A record belongs to one group, whose flushes follow each other, so nothing is lost between reading and writing. Flushes of
    several groups at the same moment may each fill the last free places.
    """
    by_cause: dict[str, dict[str, SuppressedAlertRecord]] = {}
    for by, hidden in seen:
        by_cause.setdefault(by, {})[f"{hidden.group} {hidden.fingerprint}"] = hidden
    for by, wanted in by_cause.items():
        key = keys.suppressed(by)
        size, known = wire.call("HLEN", key), wire.call("HMGET", key, *wanted)
        free, words = MAX_SUPPRESSED - await size, list[str | bytes]()
        for (name, hidden), old in zip(wanted.items(), await known, strict=True):
            if old is not None:
                words += (name, _encode(msgspec.structs.replace(hidden, first=_suppressed(old).first)))
            elif free > 0:
                free -= 1
                words += (name, _encode(hidden))
        if words:
            result.do("HSET", key, *words)
            result.do("EXPIRE", key, SUPPRESSED_TTL)


def save_following(result: Operations, group_id: str, following: MutedAlertsLog) -> None:
    """Remember what is held back, for the next flush to compare with."""
    if following.by:
        result.do("HSET", keys.group(group_id), "hidden", _encode(following))
    else:
        result.do("HDEL", keys.group(group_id), "hidden")


async def load_suppressed(wire: Wire, by: str) -> list[SuppressedAlertRecord]:
    """Newest first. Raises StoreUnavailable."""
    return sorted(map(_suppressed, await wire.call("HVALS", keys.suppressed(by))), key=lambda one: (-one.first, one.fingerprint))


async def check_firing(wire: Wire, hidden: list[SuppressedAlertRecord], now_ns: int) -> list[bool]:
    """Whether each of these alerts fires at `now_ns`, in their order. Raises StoreUnavailable."""
    leases = [wire.call("HGET", keys.leases(one.group), one.fingerprint) for one in hidden]
    return [data is not None and groups.unpack_lease(data).fires(now_ns) for data in [await lease for lease in leases]]
