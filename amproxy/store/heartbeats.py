"""Heartbeats in Redis: the last ping of each, and the alerts raised for those that are missing."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, cast

import msgspec

from amproxy.model import Alert
from amproxy.store import keys
from amproxy.store.commit import Operations, commit
from amproxy.store.wire import Wire

# the kind of a ping: a request to /heartbeat/NAME, or an alert that matches
HeartbeatSource = Literal["http", "alert"]

_encode = msgspec.msgpack.Encoder().encode
_alert = msgspec.msgpack.Decoder(Alert).decode


class HeartbeatRecord(NamedTuple):
    """The last ping of a heartbeat."""

    at: float  # Unix seconds
    source: HeartbeatSource | None  # None = not pinged yet: waited for since then


async def record(
    wire: Wire, name: str, at: float, source: HeartbeatSource, *, next_due: float
) -> None:
    """Store a ping, and the time at which the heartbeat is missing without another."""
    operations = Operations()
    operations.do("HSET", keys.HEARTBEATS, name, f"{at!r} {source}")
    operations.do("ZADD", keys.TIMERS, math.ceil(next_due * 1000), _timer_name(name))
    await commit(wire, operations)


async def wait_for(wire: Wire, name: str, since: float, *, next_due: float) -> None:
    """Wait for a heartbeat of the file, from `since` on where it was not waited for yet."""
    operations = Operations()
    operations.do("HSETNX", keys.HEARTBEATS, name, repr(since))
    # LT: `every` may have become shorter, and a timer that is due already must not be put off
    operations.do("ZADD", keys.TIMERS, "LT", math.ceil(next_due * 1000), _timer_name(name))
    await commit(wire, operations)


async def schedule_check(wire: Wire, name: str, due: float) -> None:
    """Set the next check of a heartbeat (Unix seconds)."""
    await wire.call("ZADD", keys.TIMERS, math.ceil(due * 1000), _timer_name(name))


async def forget(wire: Wire, name: str) -> None:
    """Delete a heartbeat that the file does not have any more, and its timer."""
    operations = Operations()
    operations.do("HDEL", keys.HEARTBEATS, name)
    operations.do("ZREM", keys.TIMERS, _timer_name(name))
    await commit(wire, operations)


async def load_heartbeats(wire: Wire) -> dict[str, HeartbeatRecord]:
    """The last pings by the name of the heartbeat."""
    flat = await wire.call("HGETALL", keys.HEARTBEATS)
    return {
        name.decode(): _parse_heartbeat(data.decode())
        for name, data in zip(flat[::2], flat[1::2], strict=True)
    }


async def load_missing(wire: Wire, name: str) -> Alert | None:
    """The alert that is raised for a heartbeat; None = it is not missing."""
    data = await wire.call("HGET", keys.HEARTBEATS_MISSING, name)
    return None if data is None else _alert(data)


async def load_all_missing(wire: Wire) -> dict[str, Alert]:
    """The raised alerts by the name of the heartbeat."""
    flat = await wire.call("HGETALL", keys.HEARTBEATS_MISSING)
    return {name.decode(): _alert(data) for name, data in zip(flat[::2], flat[1::2], strict=True)}


async def raise_missing(wire: Wire, name: str, alert: Alert) -> Alert:
    """Store the raised alert; return the one that was raised first, where there is one already."""
    # HSETNX: two replicas must raise, and later resolve, one and the same alert
    await wire.call("HSETNX", keys.HEARTBEATS_MISSING, name, _encode(alert))
    return await load_missing(wire, name) or alert


async def clear_missing(wire: Wire, name: str) -> None:
    """Delete the raised alert, which has ended."""
    await wire.call("HDEL", keys.HEARTBEATS_MISSING, name)


def _parse_heartbeat(text: str) -> HeartbeatRecord:
    at, _, source = text.partition(" ")
    return HeartbeatRecord(float(at), cast(HeartbeatSource, source) if source else None)


def _timer_name(name: str) -> str:
    return f"heartbeat:{name}"
