"""Timers: a sorted set, claimed by script with a lease."""

from __future__ import annotations

from typing import NamedTuple

from amproxy.store import keys
from amproxy.store.wire import Wire

LEASE = 10.0  # seconds: how long a worker may take; then another takes over


class Timer(NamedTuple):
    kind: str  # as in keys.TIMERS: "flush", "incident", "retry" …
    id: str
    due: float  # Unix seconds


async def claim(wire: Wire, now: float, most: int) -> list[Timer]:
    """Take what is due. What is not set anew or dropped within LEASE comes again."""
    flat = await wire.script("claim", keys.P, int(now * 1000), int(LEASE * 1000), most)
    timers = []
    for name, due in zip(flat[::2], flat[1::2], strict=True):
        kind, _, rest = name.decode().partition(":")
        timers.append(Timer(kind, rest, float(due) / 1000))
    return timers


async def next_due(wire: Wire) -> float | None:
    """When the earliest timer is due; None when there is none."""
    flat = await wire.call("ZRANGE", keys.TIMERS, 0, 0, "WITHSCORES")
    return float(flat[1]) / 1000 if flat else None


async def drop(wire: Wire, timer: Timer) -> None:
    """Forget a timer whose object is gone."""
    await wire.call("ZREM", keys.TIMERS, f"{timer.kind}:{timer.id}")


async def restore(wire: Wire, name: str, due: float) -> bool:
    """Set a timer that is missing; True where it was."""
    return bool(await wire.call("ZADD", keys.TIMERS, "NX", int(due * 1000), name) == 1)
