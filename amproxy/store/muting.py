"""Silences and maintenance windows made by hand, and the records of the alerts that they suppress.

Silences and windows are few: every process caches them all, and a version says when to read them
again. A record is bounded, and stored for a month after its last change.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Iterable
from typing import Generic, NamedTuple, TypeVar

import msgspec

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

SUPPRESSED_TTL = 30 * 86400  # seconds

_encode = msgspec.msgpack.Encoder().encode
_silence = msgspec.msgpack.Decoder(Silence).decode
_window = msgspec.msgpack.Decoder(Maintenance).decode
_suppressed = msgspec.msgpack.Decoder(SuppressedAlertRecord).decode


class _VersionedCache(Generic[T]):
    """A copy of a hash in Redis, read again when its version changes."""

    _key: str
    _version_key: str
    _decode: Callable[[bytes], T]

    def __init__(self) -> None:
        self._version: bytes | None = None
        self._by_id: dict[str, T] = {}

    async def all(self, wire: Wire) -> dict[str, T]:
        """All by id; the same dict, and one small look-up, as long as nothing has changed.

        Raises StoreUnavailable.
        """
        return await self.at(wire, await wire.call("GET", self._version_key))

    async def at(self, wire: Wire, version: bytes | None) -> dict[str, T]:
        """The same where the version was looked up already."""
        if version != self._version:
            flat = await wire.call("HGETALL", self._key)
            self._by_id = {
                name.decode(): self._decode(data)
                for name, data in zip(flat[::2], flat[1::2], strict=True)
            }
            # The version read before: what changed in between is read again, not missed.
            self._version = version
        return self._by_id


class SilenceCache(_VersionedCache[Silence]):
    """All silences."""

    _key, _version_key = keys.SILENCES, keys.SILENCES_VERSION
    _decode = staticmethod(_silence)


class MaintenanceWindowCache(_VersionedCache[Maintenance]):
    """All windows made by hand."""

    _key, _version_key = keys.MAINTENANCE, keys.MAINTENANCE_VERSION
    _decode = staticmethod(_window)


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
    _publish_silences(result)


def _new_version() -> int:
    # Not counted up: a Redis that has lost everything would come to a number that caches know.
    return secrets.randbits(60)


def delete_silences(result: Operations, *ids: str) -> None:
    """Remove silences that ended long ago."""
    result.do("HDEL", keys.SILENCES, *ids)
    _publish_silences(result)


def _publish_silences(result: Operations) -> None:
    result.do("SET", keys.SILENCES_VERSION, _new_version())
    result.do("PUBLISH", keys.CHANGES, "silences")


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
    _publish_windows(result)


def delete_windows(result: Operations, *ids: str) -> None:
    """Remove windows that ended long ago."""
    result.do("HDEL", keys.MAINTENANCE, *ids)
    _publish_windows(result)


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


def _publish_windows(result: Operations) -> None:
    result.do("SET", keys.MAINTENANCE_VERSION, _new_version())
    result.do("PUBLISH", keys.CHANGES, "maintenance")


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
