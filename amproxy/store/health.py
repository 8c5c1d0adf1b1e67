"""What Redis says of itself: its version, memory, persistence and clients, and how much of what it keeps is ours.

Signs of life: whether Redis takes writes, and what became of the dead man's switch.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final, NamedTuple

from amproxy.store import keys
from amproxy.store.wire import RedisRefused, Wire

SCAN_COUNT: Final = 1000  # keys in one call
MAX_SCANS: Final = 50


class RedisInfo(NamedTuple):
    """Where Redis does not tell, texts are "" and numbers None. Sizes are bytes, times Unix seconds."""

    version: str
    role: str
    uptime: int | None  # seconds
    memory: int | None
    memory_limit: int | None  # None = none
    policy: str  # what it throws away when memory is full: "noeviction" is right for us
    clients: int | None
    aof: bool  # whether it writes every change down …
    aof_ok: bool  # … and whether the last write went well
    saved_at: float | None  # the last whole copy on the disk
    save_ok: bool
    unsaved: int | None  # changes since then
    ping: float  # seconds until it answered
    keys: int  # of ours
    all_counted: bool  # False: there are more


async def load_redis_info(wire: Wire) -> RedisInfo:
    """Raises StoreUnavailable."""
    began = time.perf_counter()
    await wire.call("PING")
    ping = time.perf_counter() - began
    try:
        told = _parse_info(await wire.call("INFO"))
    except RedisRefused:  # a user of Redis' that may not ask
        told = {}
    counted, whole = await _count_own_keys(wire)
    saved = _parse_number(told, "rdb_last_save_time")
    return RedisInfo(
        version=told.get("redis_version", ""), role=told.get("role", ""), uptime=_parse_number(told, "uptime_in_seconds"),
        memory=_parse_number(told, "used_memory"), memory_limit=_parse_number(told, "maxmemory") or None, policy=told.get("maxmemory_policy", ""),
        clients=_parse_number(told, "connected_clients"), aof=told.get("aof_enabled") == "1",
        aof_ok=told.get("aof_last_write_status", "ok") == "ok", saved_at=float(saved) if saved else None,
        save_ok=told.get("rdb_last_bgsave_status", "ok") == "ok", unsaved=_parse_number(told, "rdb_changes_since_last_save"),
        ping=ping, keys=counted, all_counted=whole,
    )  # fmt: skip


async def _count_own_keys(wire: Wire) -> tuple[int, bool]:
    """How many keys begin as ours do, and whether that is all of them: a large Redis is not read to its end."""
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


def _parse_number(told: Mapping[str, str], name: str) -> int | None:
    text = told.get(name, "")
    return int(text) if text.isdecimal() else None


class StoredDeadMansSwitch(NamedTuple):
    """The dead man's switch as it was last left."""

    up: bool  # the last time all was well, and the call was taken
    at: float  # the last call that was taken, Unix seconds; 0 = none


async def probe_write(wire: Wire, now: float) -> None:
    """Try whether Redis takes writes. Raises StoreUnavailable or RedisRefused where it does not."""
    await wire.call("SET", keys.WRITE_PROBE, repr(now))


async def save_dead_mans_switch(wire: Wire, *, up: bool, at: float | None = None) -> None:
    """Write down how it stands; at: of a call that was taken. Raises StoreUnavailable."""
    words = ("at", repr(at)) if at is not None else ()
    await wire.call("HSET", keys.DEAD_MANS_SWITCH, "up", int(up), *words)


async def load_dead_mans_switch(wire: Wire) -> StoredDeadMansSwitch:
    """Raises StoreUnavailable."""
    up, at = await wire.call("HMGET", keys.DEAD_MANS_SWITCH, "up", "at")
    return StoredDeadMansSwitch(up == b"1", float(at or 0))
