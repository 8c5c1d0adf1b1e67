"""Heartbeats: silence for longer than `every` raises an alert, which takes the ordinary road; the next beat resolves it.

What is raised is kept, labels and all, until it is resolved: a heartbeat that meanwhile has other labels, or is gone from the
file, still ends the alert that was raised for it.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from amproxy.config.structs import Heartbeat
from amproxy.context import Context
from amproxy.correlate.ingest import IncomingAlert, ingest
from amproxy.grouping.placement import HEARTBEAT_MISSING
from amproxy.model import Alert
from amproxy.store import heartbeats
from amproxy.store.heartbeats import HeartbeatSource
from amproxy.store.timers import Timer
from amproxy.times import format_duration

HEARTBEAT_SOURCE = "heartbeat"
HEARTBEAT_CONTENT = b"heartbt\0"


class HeartbeatState(msgspec.Struct, frozen=True, kw_only=True):
    """One heartbeat of the file as it is now; times are Unix seconds."""

    heartbeat: Heartbeat
    last: float | None  # None = it has never beaten
    source: HeartbeatSource | None
    since: float  # the last beat, or when it was first waited for
    missing_since: float | None  # when its alert was raised
    next_due: float  # when it counts as missing without another beat; in the past for one that is missing


async def record_heartbeat(context: Context, name: str, door: HeartbeatSource = "http") -> None:
    """Something is alive. Raises StoreUnavailable."""
    heartbeat, now = context.config.heartbeats[name], context.now()
    await heartbeats.record(context.wire, name, now, door, next_due=now + heartbeat.every)
    if (raised := await heartbeats.load_missing(context.wire, name)) is not None:
        await _resolve_missing_alert(context, name, raised)


async def record_pushed_heartbeats(context: Context, push: Iterable[IncomingAlert], now_ns: int) -> None:
    """The alerts of a push that are beats, each heartbeat once; resolved ones are none. Raises StoreUnavailable."""
    firing = (incoming.placement.beats for incoming in push if incoming.placement.beats and not 0 < incoming.ends_ns <= now_ns)
    for name in dict.fromkeys(name for names in firing for name in names):
        await record_heartbeat(context, name, "alert")


async def schedule_heartbeat_timers(context: Context) -> None:
    """Wait for the heartbeats of the file, from now on for those that are new: one that never beats is missed as well.

    Those that the file does not have any more are forgotten, and their alerts end. Raises StoreUnavailable.
    """
    known, raised = await heartbeats.load_heartbeats(context.wire), await heartbeats.load_all_missing(context.wire)
    wanted = context.config.heartbeats
    for name, alert in raised.items():
        if name not in wanted or alert.labels != _heartbeat_labels(wanted[name]):
            await _resolve_missing_alert(context, name, alert)
    for name in {*known, *raised} - wanted.keys():
        await heartbeats.forget(context.wire, name)
    for name, heartbeat in wanted.items():
        since = known[name].at if name in known else context.now()
        await heartbeats.wait_for(context.wire, name, since, next_due=max(since + heartbeat.every, context.now()))
    context.wake(timers=True)


async def handle_heartbeat_timer(context: Context, timer: Timer) -> None:
    """A heartbeat's time is over: raise the alert, or wait on where a beat came in meanwhile. Raises StoreUnavailable."""
    name, heartbeat = timer.id, context.config.heartbeats.get(timer.id)
    if heartbeat is None:
        await heartbeats.forget(context.wire, name)
        return
    now = context.now()
    if now >= await _next_due(context, heartbeat):
        alert = await heartbeats.raise_missing(context.wire, name, _missing_alert(context, heartbeat, now))
        await _push_alert(context, alert, now)
        # a beat that came in between may have looked before the alert was there
        if now < await _next_due(context, heartbeat):
            await _resolve_missing_alert(context, name, alert)
    next_due = await _next_due(context, heartbeat)
    await heartbeats.schedule_check(context.wire, name, next_due if next_due > now else now + heartbeat.every)


async def list_heartbeats(context: Context) -> list[HeartbeatState]:
    """Every heartbeat of the file, in its order. Raises StoreUnavailable."""
    known, raised, now = await heartbeats.load_heartbeats(context.wire), await heartbeats.load_all_missing(context.wire), context.now()
    found = []
    for name, heartbeat in context.config.heartbeats.items():
        last = known.get(name, heartbeats.HeartbeatRecord(now, None))
        found.append(
            HeartbeatState(
                heartbeat=heartbeat, last=last.at if last.door else None, source=last.door, since=last.at,
                missing_since=raised[name].starts_ns / 10**9 if name in raised else None, next_due=last.at + heartbeat.every,
            )
        )  # fmt: skip
    return found


async def heartbeat_ages(context: Context) -> dict[str, float]:
    """Seconds since the last beat, or since it was first waited for, of each heartbeat in the file. Raises StoreUnavailable."""
    known, now = await heartbeats.load_heartbeats(context.wire), context.now()
    return {name: max(0.0, now - known[name].at) for name in context.config.heartbeats if name in known}


async def _next_due(context: Context, heartbeat: Heartbeat) -> float:
    """When it counts as missing; one that nobody waits for yet never does."""
    last = (await heartbeats.load_heartbeats(context.wire)).get(heartbeat.name)
    return (last.at if last else context.now()) + heartbeat.every


def _heartbeat_labels(heartbeat: Heartbeat) -> dict[str, str]:
    labels = {"alertname": HEARTBEAT_MISSING, "heartbeat": heartbeat.name, **heartbeat.labels}
    return {name: value for name, value in labels.items() if value}


def _missing_alert(context: Context, heartbeat: Heartbeat, now: float) -> Alert:
    labels = _heartbeat_labels(heartbeat)
    return Alert(
        fingerprint=context.placer.place(labels).fingerprint,
        labels=labels,
        annotations={"summary": f"No heartbeat from {heartbeat.name} for {format_duration(heartbeat.every)}.", **heartbeat.annotations},
        starts_ns=int(now * 10**9),
        source=HEARTBEAT_SOURCE,
    )


async def _resolve_missing_alert(context: Context, name: str, raised: Alert) -> None:
    """End the alert that was raised, and only then forget it: after a crash in between the next beat ends it."""
    now = context.now()
    await _push_alert(context, msgspec.structs.replace(raised, ends_ns=int(now * 10**9)), now)
    await heartbeats.clear_missing(context.wire, name)


async def _push_alert(context: Context, alert: Alert, now: float) -> None:
    incoming = IncomingAlert(
        placement=context.placer.place(alert.labels), starts_ns=alert.starts_ns, ends_ns=alert.ends_ns, timeout=False, lapses_ns=0,
        content=HEARTBEAT_CONTENT, make=lambda: msgspec.structs.replace(alert),
    )  # fmt: skip
    await ingest(context, [incoming], int(now * 10**9), hurry=True)
