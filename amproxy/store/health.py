"""The health of Redis as it reports it, what is doubtful about it, a write probe, and its clock.

Also the state of the dead man's switch.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Final, Literal, NamedTuple, get_args

from amproxy.store import keys
from amproxy.store.wire import RedisRefused, Wire
from amproxy.text import Phrase

SCAN_COUNT: Final = 1000  # keys in one call
MAX_SCANS: Final = 50
# The oldest Redis whose commands amproxy uses: GETDEL, ZADD LT, XTRIM MINID, ZRANGE BYSCORE.
OLDEST_VERSION: Final = (6, 2)
LONGEST_READING: Final = 2.0  # seconds of a call that is to compare two clocks
TIME_KEPT: Final = 86400  # seconds


class RedisInfo(NamedTuple):
    """The report of Redis. Texts are "" and numbers None where it has none. Sizes are bytes."""

    version: str
    role: str
    uptime: int | None  # seconds
    memory: int | None
    memory_limit: int | None  # None = none
    policy: str  # eviction policy: only "noeviction" loses no incident when memory is full
    clients: int | None
    aof: bool | None  # every change is written to the disk; None = Redis does not say …
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
    info = await _load_info(wire)
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
        aof=info["aof_enabled"] == "1" if "aof_enabled" in info else None,
        aof_ok=info.get("aof_last_write_status", "ok") == "ok",
        saved_at=float(saved) if saved else None,
        save_ok=info.get("rdb_last_bgsave_status", "ok") == "ok",
        unsaved=_parse_number(info, "rdb_changes_since_last_save"),
        ping=ping,
        keys=counted,
        all_counted=whole,
    )


async def _load_info(wire: Wire) -> dict[str, str]:
    """The fields of INFO; {} where amproxy's user may not ask. Raises StoreUnavailable."""
    try:
        return _parse_info(await wire.call("INFO"))
    except RedisRefused as refused:
        if str(refused).startswith(("NOPERM", "ERR unknown command")):
            return {}
        raise  # LOADING, BUSY …: it tells later


WarningKind = Literal[
    "old_redis",
    "eviction",
    "aof_off",
    "aof_failed",
    "fsync_off",
    "settings_hidden",
    "clock_ahead",
    "clock_back",
    "clock_differs",
]
# In the order in which they are told; amproxy_warning has each of them.
WARNING_KINDS: Final[tuple[WarningKind, ...]] = get_args(WarningKind)


class OperatorWarning(NamedTuple):
    """A thing that the operator should mend; texts have the words, by `kind`."""

    kind: WarningKind
    values: Mapping[str, str] = {}  # that the text shows

    @property
    def phrase(self) -> Phrase:
        return Phrase(f"operator.{self.kind}", self.values)


async def find_redis_warnings(wire: Wire) -> list[OperatorWarning]:
    """The doubtful settings of Redis. Raises StoreUnavailable.

    A managed Redis may refuse to tell: then nothing is claimed about what it hides.
    """
    info, fsync = await _load_info(wire), ""
    try:
        found = await wire.call("CONFIG", "GET", "appendfsync")
        fsync = found[1].decode() if len(found) == 2 else ""
    except RedisRefused:  # usual for a managed Redis; INFO has what matters most
        pass
    return judge_settings(info, fsync)


def judge_settings(info: Mapping[str, str], fsync: str) -> list[OperatorWarning]:
    """info: as INFO has it, {} = refused. fsync: its setting, "" = refused."""
    if not info:
        return [OperatorWarning("settings_hidden")]
    warnings = []
    version, policy = info.get("redis_version", ""), info.get("maxmemory_policy", "")
    if is_too_old(version):
        oldest = ".".join(map(str, OLDEST_VERSION))
        warnings.append(_warning("old_redis", version=version, oldest=oldest))
    if policy not in ("", "noeviction"):
        warnings.append(_warning("eviction", policy=policy))
    if info.get("aof_enabled") == "0":
        warnings.append(_warning("aof_off"))
    elif info.get("aof_last_write_status", "ok") != "ok":
        warnings.append(_warning("aof_failed"))
    elif fsync == "no":
        warnings.append(_warning("fsync_off"))
    return warnings


def _warning(kind: WarningKind, **values: str) -> OperatorWarning:
    return OperatorWarning(kind, values)


def is_too_old(version: str) -> bool:
    """False for a text that is no version: other servers than Redis have their own numbers."""
    numbers = re.match(r"(\d+)\.(\d+)", version)
    return numbers is not None and (int(numbers[1]), int(numbers[2])) < OLDEST_VERSION


async def load_time_difference(wire: Wire, clock: Callable[[], float]) -> float | None:
    """Seconds by which the clock of Redis is ahead of `clock`; negative: behind.

    None where the answer took too long to say, or Redis refuses it. Raises StoreUnavailable.
    """
    before = clock()
    try:
        seconds, microseconds = await wire.call("TIME")
    except RedisRefused:
        return None
    after = clock()
    if not 0 <= after - before <= LONGEST_READING:
        return None
    # Redis read its clock somewhere between the two readings of ours.
    return float(int(seconds) + int(microseconds) / 1e6 - (before + after) / 2)


async def save_time(wire: Wire, host: str, now: float) -> None:
    """Note how far time has come on this host, for a process that takes over after a crash.

    Raises StoreUnavailable.
    """
    await wire.call("SET", keys.clock(host), repr(now), "EX", TIME_KEPT)


async def load_time(wire: Wire, host: str) -> float | None:
    """The time that was noted last, Unix seconds; None = none, or it is long ago.

    Raises StoreUnavailable.
    """
    found = await wire.call("GET", keys.clock(host))
    return float(found) if found else None


async def forget_time(wire: Wire, host: str) -> None:
    """Forget it: the next process begins with the system's clock. Raises StoreUnavailable."""
    await wire.call("DEL", keys.clock(host))


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
