"""Heartbeats: silence for longer than `every` raises an alert, which takes the ordinary road; the next beat resolves it."""

from __future__ import annotations

from amproxy.config.structs import Heartbeat
from amproxy.context import Context
from amproxy.correlate.ingest import Incoming, ingest
from amproxy.durations import format_duration
from amproxy.model import Alert
from amproxy.store import keys, timers
from amproxy.store.timers import Timer

SOURCE = "heartbeat"
CONTENT = b"heartbt\0"


async def beat(context: Context, name: str) -> None:
    """Something is alive. Raises StoreUnavailable."""
    every, now = context.config.heartbeats[name], context.now()
    await context.wire.call("HSET", keys.HEARTBEATS, name, repr(now))
    await context.wire.call("ZADD", keys.TIMERS, int((now + every.every) * 1000), f"heartbeat:{name}")
    await _push(context, every, now, missing=False)


async def watch(context: Context) -> None:
    """Begin to wait for heartbeats that are new in the file: one that never beats is missed as well. Raises StoreUnavailable."""
    for name, heartbeat in context.config.heartbeats.items():
        await context.wire.call("HSETNX", keys.HEARTBEATS, name, repr(context.now()))
        await timers.restore(context.wire, f"heartbeat:{name}", context.now() + heartbeat.every)


async def due(context: Context, timer: Timer) -> None:
    """A heartbeat's time is over: raise the alert, or wait on where a beat came in meanwhile. Raises StoreUnavailable."""
    heartbeat = context.config.heartbeats.get(timer.id)
    if heartbeat is None:
        await timers.drop(context.wire, timer)
        return
    now = context.now()
    last = float(await context.wire.call("HGET", keys.HEARTBEATS, timer.id) or 0)
    quiet = now - last >= heartbeat.every
    if quiet:
        await _push(context, heartbeat, now, missing=True)
    at = (now if quiet else last) + heartbeat.every
    await context.wire.call("ZADD", keys.TIMERS, int(at * 1000), f"heartbeat:{timer.id}")


async def ages(context: Context) -> dict[str, float]:
    """Seconds since the last beat, or since it was first waited for, of each heartbeat in the file. Raises StoreUnavailable."""
    flat = await context.wire.call("HGETALL", keys.HEARTBEATS)
    beats = {name.decode(): float(at) for name, at in zip(flat[::2], flat[1::2], strict=True)}
    return {name: max(0.0, context.now() - beats[name]) for name in context.config.heartbeats if name in beats}


async def _push(context: Context, heartbeat: Heartbeat, now: float, *, missing: bool) -> None:
    now_ns = int(now * 10**9)
    labels = {"alertname": "HeartbeatMissing", "heartbeat": heartbeat.name, **heartbeat.labels}
    annotations = {"summary": f"No heartbeat from {heartbeat.name} for {format_duration(heartbeat.every)}.", **heartbeat.annotations}
    placement, ends_ns = context.placer.place(labels), 0 if missing else now_ns
    alert = Alert(
        fingerprint=placement.fingerprint, labels=labels, annotations=annotations, starts_ns=now_ns, ends_ns=ends_ns, source=SOURCE
    )
    incoming = Incoming(
        placement=placement, starts_ns=now_ns, ends_ns=ends_ns, timeout=False, lapses_ns=0, content=CONTENT, make=lambda: alert
    )
    await ingest(context, [incoming], now_ns, hurry=True)
