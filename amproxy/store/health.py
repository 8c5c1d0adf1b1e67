"""The health of Redis as it reports it, a write probe, and the state of the dead man's switch."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final, NamedTuple

from amproxy.store import keys
from amproxy.store.wire import RedisRefused, Wire

SCAN_COUNT: Final = 1000  # keys in one call
MAX_SCANS: Final = 50


class RedisInfo(NamedTuple):
    """The report of Redis. Texts are "" and numbers None where it has none. Sizes are bytes."""

    version: str
    role: str
    uptime: int | None  # seconds
    memory: int | None
    memory_limit: int | None  # None = none
    policy: str  # eviction policy: only "noeviction" loses no incident when memory is full
    clients: int | None
    aof: bool  # every change is written to the disk …
    aof_ok: bool  # … and the last write went well
    saved_at: float | None  # the last snapshot, Unix seconds
    save_ok: bool
    unsaved: int | None  # changes since then
    ping: float  # seconds until it answered
    keys: int  # of amproxy
    all_counted: bool  # False: there are more


class StoredDeadMansSwitch(NamedTuple):
    """The state of the dead man's switch as the last turn left it."""

    up: bool  # the last time all was well, and the call succeeded
    at: float  # the last call that succeeded, Unix seconds; 0 = none


async def load_redis_info(wire: Wire) -> RedisInfo:
    """Raises StoreUnavailable."""
    began = time.perf_counter()
    await wire.call("PING")
    ping = time.perf_counter() - began
    try:
        info = _parse_info(await wire.call("INFO"))
    except RedisRefused:  # amproxy's user in Redis may lack the permission
        info = {}
    counted, whole = await _count_own_keys(wire)
    saved = _parse_number(info, "rdb_last_save_time")
    return RedisInfo(
        version=info.get("redis_version", ""),
        role=info.get("role", ""),
        uptime=_parse_number(info, "uptime_in_seconds"),
        memory=_parse_number(info, "used_memory"),
        memory_limit=_parse_number(info, "maxmemory") or None,
        policy=info.get("maxmemory_policy", ""),
        clients=_parse_number(info, "connected_clients"),
        aof=info.get("aof_enabled") == "1",
        aof_ok=info.get("aof_last_write_status", "ok") == "ok",
        saved_at=float(saved) if saved else None,
        save_ok=info.get("rdb_last_bgsave_status", "ok") == "ok",
        unsaved=_parse_number(info, "rdb_changes_since_last_save"),
        ping=ping,
        keys=counted,
        all_counted=whole,
    )


async def _count_own_keys(wire: Wire) -> tuple[int, bool]:
    """The number of amproxy's keys, and False where a large Redis was not read to its end."""
    found, cursor = 0, b"0"
    for _ in range(MAX_SCANS):
        cursor, some = await wire.call("SCAN", cursor, "MATCH", f"{keys.P}*", "COUNT", SCAN_COUNT)
        found += len(some)
        if cursor == b"0":
            return found, True
    return found, False


def _parse_info(answer: bytes) -> dict[str, str]:
    pairs = (line.partition(":") for line in answer.decode("utf-8", "replace").splitlines())
    return {name: value for name, colon, value in pairs if colon}


def _parse_number(info: Mapping[str, str], name: str) -> int | None:
    text = info.get(name, "")
    return int(text) if text.isdecimal() else None


async def probe_write(wire: Wire, now: float) -> None:
    """Write one key. Raises StoreUnavailable or RedisRefused where Redis takes no writes."""
    await wire.call("SET", keys.WRITE_PROBE, repr(now))


async def save_dead_mans_switch(wire: Wire, *, up: bool, at: float | None = None) -> None:
    """Store its state; at: of a call that succeeded, Unix seconds. Raises StoreUnavailable."""
    words = ("at", repr(at)) if at is not None else ()
    await wire.call("HSET", keys.DEAD_MANS_SWITCH, "up", int(up), *words)


async def load_dead_mans_switch(wire: Wire) -> StoredDeadMansSwitch:
    """Raises StoreUnavailable."""
    up, at = await wire.call("HMGET", keys.DEAD_MANS_SWITCH, "up", "at")
    return StoredDeadMansSwitch(up == b"1", float(at or 0))
