"""Heartbeats in Redis: when each was last heard of, and the alerts that are raised for those that stay away."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, cast

import msgspec

from amproxy.model import Alert
from amproxy.store import keys
from amproxy.store.commit import Operations, commit
from amproxy.store.wire import Wire

HeartbeatSource = Literal["http", "alert"]  # what a beat came as: a call of /heartbeat/NAME, or an alert that matches

_encode = msgspec.msgpack.Encoder().encode
_alert = msgspec.msgpack.Decoder(Alert).decode


class HeartbeatRecord(NamedTuple):
    at: float  # Unix seconds
    door: HeartbeatSource | None  # None = no beat yet: waited for since then


async def record(wire: Wire, name: str, at: float, door: HeartbeatSource, *, next_due: float) -> None:
    """A beat, and when the heartbeat counts as missing without another."""
    operations = Operations()
    operations.do("HSET", keys.HEARTBEATS, name, f"{at!r} {door}")
    operations.do("ZADD", keys.TIMERS, math.ceil(next_due * 1000), _timer_name(name))
    await commit(wire, operations)


async def wait_for(wire: Wire, name: str, since: float, *, next_due: float) -> None:
    """Wait for a heartbeat of the file, from `since` on where it was not waited for yet."""
    operations = Operations()
    operations.do("HSETNX", keys.HEARTBEATS, name, repr(since))
    # the earlier of the two: `every` may have become shorter, and a timer that is due already must not be put off
    operations.do("ZADD", keys.TIMERS, "LT", math.ceil(next_due * 1000), _timer_name(name))
    await commit(wire, operations)


async def schedule_check(wire: Wire, name: str, due: float) -> None:
    """Look at a heartbeat again at `due`."""
    await wire.call("ZADD", keys.TIMERS, math.ceil(due * 1000), _timer_name(name))


async def forget(wire: Wire, name: str) -> None:
    """A heartbeat that the file does not have any more leaves nothing behind."""
    operations = Operations()
    operations.do("HDEL", keys.HEARTBEATS, name)
    operations.do("ZREM", keys.TIMERS, _timer_name(name))
    await commit(wire, operations)


async def load_heartbeats(wire: Wire) -> dict[str, HeartbeatRecord]:
    flat = await wire.call("HGETALL", keys.HEARTBEATS)
    return {name.decode(): _parse_heartbeat(data.decode()) for name, data in zip(flat[::2], flat[1::2], strict=True)}


async def load_missing(wire: Wire, name: str) -> Alert | None:
    """The alert that is raised for a heartbeat; None = it is not missing."""
    data = await wire.call("HGET", keys.HEARTBEATS_MISSING, name)
    return None if data is None else _alert(data)


async def load_all_missing(wire: Wire) -> dict[str, Alert]:
    flat = await wire.call("HGETALL", keys.HEARTBEATS_MISSING)
    return {name.decode(): _alert(data) for name, data in zip(flat[::2], flat[1::2], strict=True)}


async def raise_missing(wire: Wire, name: str, alert: Alert) -> Alert:
    """Write down that an alert is raised; returns the one that was raised first, where it is missing already."""
    await wire.call("HSETNX", keys.HEARTBEATS_MISSING, name, _encode(alert))
    return await load_missing(wire, name) or alert


async def clear_missing(wire: Wire, name: str) -> None:
    """The alert has ended."""
    await wire.call("HDEL", keys.HEARTBEATS_MISSING, name)


def _parse_heartbeat(text: str) -> HeartbeatRecord:
    at, _, door = text.partition(" ")
    return HeartbeatRecord(float(at), cast(HeartbeatSource, door) if door else None)


def _timer_name(name: str) -> str:
    return f"heartbeat:{name}"
