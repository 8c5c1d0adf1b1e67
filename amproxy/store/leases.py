"""Work that one replica does at a time: timers, leased by script, and leases by name.

Timers are a sorted set of what is due. Leases, their offsets and the signing key of links are
state that all replicas share.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from amproxy.store import keys
from amproxy.store.commit import Operations, commit
from amproxy.store.wire import Wire

_encode = msgspec.msgpack.Encoder().encode

RESTORE_AT_ONCE = 200  # timers that one script looks at
SCAN_COUNT = 1000  # keys that one SCAN looks at

# Seconds after which the timers of a process that died come again. One that lives renews them.
LEASE = 4.0


class Timer(NamedTuple):
    """A timer that is due."""

    kind: str  # as in keys.TIMERS: "flush", "incident", "retry" …
    id: str
    due: float  # Unix seconds
    alerts: int = 0  # of the group that is to be flushed, as far as it is known


async def lease_due(wire: Wire, now: float, limit: int) -> list[Timer]:
    """Lease timers that are due, half of them those due last; returned by due time.

    A timer that is not set anew, dropped or renewed within LEASE comes again.
    """
    words = (int(now * 1000), int(LEASE * 1000), limit)
    flat = await wire.script("lease_timers", keys.P, *words)
    timers = []
    for name, due, alerts in zip(flat[::3], flat[1::3], flat[2::3], strict=True):
        kind, _, rest = name.decode().partition(":")
        timers.append(Timer(kind, rest, float(due) / 1000, alerts))
    return sorted(timers, key=lambda timer: timer.due)


def lease_end(leased_at: float) -> int:
    """The end of a lease, Unix ms, by which `give_back` knows it again."""
    return int(leased_at * 1000) + int(LEASE * 1000)


async def give_back(wire: Wire, timer: Timer, leased_at: float, now: float) -> None:
    """Let a timer come again now, not at the end of its lease: its work could not be done.

    leased_at: as `now` of `lease_due`. Raises StoreUnavailable.
    """
    words = (f"{timer.kind}:{timer.id}", lease_end(leased_at), int(now * 1000))
    await wire.script("give_back", keys.P, *words)


async def renew(wire: Wire, timer: Timer, leased_at: float, now: float) -> None:
    """Prolong the lease of a timer whose work takes long, as if it were leased now.

    Raises StoreUnavailable.
    """
    words = (f"{timer.kind}:{timer.id}", lease_end(leased_at), lease_end(now))
    await wire.script("give_back", keys.P, *words)


async def next_due(wire: Wire) -> float | None:
    """The time of the earliest timer, Unix seconds; None when there is none."""
    flat = await wire.call("ZRANGE", keys.TIMERS, 0, 0, "WITHSCORES")
    return float(flat[1]) / 1000 if flat else None


async def drop(wire: Wire, timer: Timer) -> None:
    """Delete a timer whose object is gone; where it has just come back, its timer stays."""
    operations = Operations()
    match timer.kind:
        case "flush":
            operations.guard(keys.group(timer.id), "meta", "")
            operations.do("SREM", keys.GROUPS, timer.id)
        case "incident":
            operations.guard(keys.incident(timer.id), "v", "")
        case "retry":
            operations.guard(keys.RETRIES, timer.id, "")
    operations.do("ZREM", keys.TIMERS, f"{timer.kind}:{timer.id}")
    await commit(wire, operations)


async def restore(wire: Wire, name: str, due: float) -> bool:
    """Set a timer that is missing; return True where it was."""
    # NX: one that is there is right, and may be leased
    return bool(await wire.call("ZADD", keys.TIMERS, "NX", int(due * 1000), name) == 1)


class TimedWork(NamedTuple):
    """Work that nobody does unless it has a timer, and the command that says if it is still there.

    expected: the answer of the command, as text.
    """

    timer: str
    due: float  # Unix seconds, for a timer that is missing
    command: tuple[str, ...]
    expected: str = "1"


def incident_work(incident_id: str, version: int, due: float) -> TimedWork:
    """An open incident as long as it is in this version."""
    command = ("HGET", keys.incident(incident_id), "v")
    return TimedWork(f"incident:{incident_id}", due, command, str(version))


def group_work(group_id: str, now: float) -> TimedWork:
    """A live group, to be flushed."""
    return TimedWork(f"flush:{group_id}", now, ("SISMEMBER", keys.GROUPS, group_id))


async def load_waiting_messages(wire: Wire, now: float) -> list[TimedWork]:
    """Messages outside of the outbox: retries, and the backlogs of storms.

    Raises StoreUnavailable.
    """
    found = []
    for name in await wire.call("HKEYS", keys.RETRIES):
        message = name.decode()
        found.append(TimedWork(f"retry:{message}", now, ("HEXISTS", keys.RETRIES, message)))
    cursor, held = b"0", keys.storm_pages("")
    while True:
        cursor, some = await wire.call("SCAN", cursor, "MATCH", f"{held}*", "COUNT", SCAN_COUNT)
        for name in some:
            key = name.decode()
            storm = key.removeprefix(held)
            found.append(TimedWork(f"bundle:{storm}", now, ("EXISTS", key)))
        if cursor == b"0":
            return found


async def restore_lost(wire: Wire, works: Sequence[TimedWork]) -> list[str]:
    """Give work that has no timer one; return the names of these timers.

    One script looks at the work again: what changed since it was read is left alone. Raises
    StoreUnavailable.
    """
    restored: list[str] = []
    for start in range(0, len(works), RESTORE_AT_ONCE):
        asked = [
            (work.timer, int(work.due * 1000), work.command, work.expected)
            for work in works[start : start + RESTORE_AT_ONCE]
        ]
        found = await wire.script("restore", keys.P, _encode(asked))
        restored += [name.decode() for name in found]
    return restored


class LeaseStore:
    """Leases and offsets by name. Each call raises StoreUnavailable when Redis is away."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def lease(self, name: str, holder: str, seconds: float) -> bool:
        """Take the lease, or prolong one's own, for so many seconds; False where another has it."""
        key, milliseconds = keys.lease(name), int(seconds * 1000)
        if await self._wire.call("SET", key, holder, "NX", "PX", milliseconds):
            return True
        if await self._wire.call("GET", key) != holder.encode():
            return False
        # 0 where it ran out since the GET: then another may have it by now
        return bool(await self._wire.call("PEXPIRE", key, milliseconds) == 1)

    async def release(self, name: str, holder: str) -> None:
        """Give one's own lease back before its time."""
        key = keys.lease(name)
        if await self._wire.call("GET", key) == holder.encode():
            await self._wire.call("DEL", key)

    async def load_offset(self, name: str) -> int:
        """The offset stored last; 0 = none."""
        return int(await self._wire.call("GET", keys.offset(name)) or 0)

    async def save_offset(self, name: str, offset: int) -> None:
        await self._wire.call("SET", keys.offset(name), offset)


async def load_signing_key(wire: Wire) -> str:
    """The key that signs links, made once: 64 hexadecimal digits. Raises StoreUnavailable."""
    # NX, then read: all replicas must sign with the one that was first
    await wire.call("SET", keys.SECRET, secrets.token_hex(32), "NX")
    return str((await wire.call("GET", keys.SECRET)).decode())


async def restore_signing_key(wire: Wire, key: str) -> None:
    """Store the key again where Redis has lost it. Raises StoreUnavailable."""
    # The next start would make another, and the links of all pages since would be dead.
    await wire.call("SET", keys.SECRET, key, "NX")
