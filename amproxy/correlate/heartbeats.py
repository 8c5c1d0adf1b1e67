"""Heartbeats: one that is missing for `every` raises an ordinary alert; its next ping resolves it.

The raised alert is stored until it is resolved: a heartbeat that meanwhile has other labels, or is
gone from the file, still ends the alert that was raised for it.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from amproxy.config.structs import Heartbeat
from amproxy.context import Context
from amproxy.correlate.incoming import IncomingAlert, WholeAlert
from amproxy.correlate.ingest import ingest
from amproxy.errors import StoreUnavailable
from amproxy.grouping.placement import HEARTBEAT_MISSING
from amproxy.model import Alert
from amproxy.store import heartbeats
from amproxy.store.heartbeats import HeartbeatSource
from amproxy.store.leases import Timer
from amproxy.store.replicas import ALIVE_SECONDS, load_replicas
from amproxy.times import format_duration

HEARTBEAT_SOURCE = "heartbeat"  # Alert.source
# stands for the content digest: the alert of a heartbeat has always the same
HEARTBEAT_CONTENT = b"heartbt\0"


class HeartbeatState(msgspec.Struct, frozen=True, kw_only=True):
    """One heartbeat of the file as it is now; times are Unix seconds."""

    heartbeat: Heartbeat
    last: float | None  # None = it was never pinged
    source: HeartbeatSource | None
    since: float  # the last ping, or when it was first waited for
    missing_since: float | None  # when its alert was raised
    next_due: float  # when it is missing without another ping; in the past for a missing one


async def record_heartbeat(context: Context, name: str, source: HeartbeatSource = "http") -> None:
    """Record a ping, and resolve the alert where it was missing. Raises StoreUnavailable."""
    heartbeat, now = context.config.heartbeats[name], context.now()
    try:
        await heartbeats.record(context.wire, name, now, source, next_due=now + heartbeat.every)
    except StoreUnavailable:
        # Its sender rarely calls again: as good as nobody has listened.
        context.serving_since = now
        raise
    if (raised := await heartbeats.load_missing(context.wire, name)) is not None:
        await _resolve_missing_alert(context, name, raised)


async def record_pushed_heartbeats(
    context: Context, push: Iterable[IncomingAlert], now_ns: int
) -> None:
    """Record the firing alerts of a push that call a heartbeat, each heartbeat once.

    Raises StoreUnavailable.
    """
    firing = (
        incoming.placement.heartbeats
        for incoming in push
        if incoming.placement.heartbeats and not 0 < incoming.ends_ns <= now_ns
    )
    for name in dict.fromkeys(name for names in firing for name in names):
        await record_heartbeat(context, name, "alert")


async def schedule_heartbeat_timers(context: Context) -> None:
    """Wait for the heartbeats of the file; a new one, too, is missing if it is never pinged.

    Those that the file does not have any more are deleted, and their alerts end.
    Raises StoreUnavailable.
    """
    known = await heartbeats.load_heartbeats(context.wire)
    raised = await heartbeats.load_all_missing(context.wire)
    wanted = context.config.heartbeats
    for name, alert in raised.items():
        if name not in wanted or alert.labels != _heartbeat_labels(wanted[name]):
            await _resolve_missing_alert(context, name, alert)
    for name in {*known, *raised} - wanted.keys():
        await heartbeats.forget(context.wire, name)
    for name, heartbeat in wanted.items():
        since = known[name].at if name in known else context.now()
        await heartbeats.wait_for(
            context.wire, name, since, next_due=max(since + heartbeat.every, context.now())
        )
    context.wake(timers=True)


async def handle_heartbeat_timer(context: Context, timer: Timer) -> None:
    """Raise the alert of a heartbeat whose time is over, or wait on where it was pinged meanwhile.

    Raises StoreUnavailable.
    """
    name, heartbeat = timer.id, context.config.heartbeats.get(timer.id)
    if heartbeat is None:
        await heartbeats.forget(context.wire, name)
        return
    now = context.now()
    if (heard_by := await _could_be_heard(context, heartbeat, now)) > now:
        # Not while nobody listened: what was sent to a service that was away is no silence.
        await heartbeats.schedule_check(context.wire, name, heard_by)
        return
    if now >= await _next_due(context, heartbeat):
        alert = await heartbeats.raise_missing(
            context.wire, name, _missing_alert(context, heartbeat, now)
        )
        await _push_alert(context, alert, now)
        # a ping that came in between may have looked for the alert before it was there
        if now < await _next_due(context, heartbeat):
            await _resolve_missing_alert(context, name, alert)
    next_due = await _next_due(context, heartbeat)
    await heartbeats.schedule_check(
        context.wire, name, next_due if next_due > now else now + heartbeat.every
    )


async def list_heartbeats(context: Context) -> list[HeartbeatState]:
    """Every heartbeat of the file, in its order. Raises StoreUnavailable."""
    known = await heartbeats.load_heartbeats(context.wire)
    raised = await heartbeats.load_all_missing(context.wire)
    states, now = [], context.now()
    for name, heartbeat in context.config.heartbeats.items():
        last = known.get(name, heartbeats.HeartbeatRecord(now, None))
        states.append(
            HeartbeatState(
                heartbeat=heartbeat,
                last=last.at if last.source else None,
                source=last.source,
                since=last.at,
                missing_since=raised[name].starts_ns / 10**9 if name in raised else None,
                next_due=last.at + heartbeat.every,
            )
        )
    return states


async def heartbeat_ages(context: Context) -> dict[str, float]:
    """Heartbeat of the file → seconds since its last ping, or since it was first waited for.

    Raises StoreUnavailable.
    """
    known, now = await heartbeats.load_heartbeats(context.wire), context.now()
    return {
        name: max(0.0, now - known[name].at) for name in context.config.heartbeats if name in known
    }


async def _next_due(context: Context, heartbeat: Heartbeat) -> float:
    """The time at which it is missing, Unix seconds; in the future where it is not awaited yet."""
    last = (await heartbeats.load_heartbeats(context.wire)).get(heartbeat.name)
    return (last.at if last else context.now()) + heartbeat.every


async def _could_be_heard(context: Context, heartbeat: Heartbeat, now: float) -> float:
    """The time when a process will have listened for the whole of `every`, or when to ask again.

    That is in the past where one has: this one, or another that lived on while this one was away.
    """
    own = context.serving_since
    if own + heartbeat.every <= now:
        return own + heartbeat.every
    # The record of a process that died is kept for so long, and it looks like one that lives.
    known = own + ALIVE_SECONDS
    if now < known < own + heartbeat.every:
        return known
    others = [one.serving for one in await load_replicas(context.wire) if now >= known]
    return min([own, *(since for since in others if since is not None)]) + heartbeat.every


def _heartbeat_labels(heartbeat: Heartbeat) -> dict[str, str]:
    labels = {"alertname": HEARTBEAT_MISSING, "heartbeat": heartbeat.name, **heartbeat.labels}
    return {name: value for name, value in labels.items() if value}


def _missing_alert(context: Context, heartbeat: Heartbeat, now: float) -> Alert:
    labels, every = _heartbeat_labels(heartbeat), format_duration(heartbeat.every)
    summary = f"No heartbeat from {heartbeat.name} for {every}."
    return Alert(
        fingerprint=context.placer.place(labels).fingerprint,
        labels=labels,
        annotations={"summary": summary, **heartbeat.annotations},
        starts_ns=int(now * 10**9),
        source=HEARTBEAT_SOURCE,
    )


async def _resolve_missing_alert(context: Context, name: str, raised: Alert) -> None:
    """End the alert that was raised."""
    now = context.now()
    # Deleted only after it has ended: after a crash in between, the next ping ends it.
    await _push_alert(context, msgspec.structs.replace(raised, ends_ns=int(now * 10**9)), now)
    await heartbeats.clear_missing(context.wire, name)


async def _push_alert(context: Context, alert: Alert, now: float) -> None:
    incoming = WholeAlert(
        placement=context.placer.place(alert.labels),
        starts_ns=alert.starts_ns,
        ends_ns=alert.ends_ns,
        timeout=False,
        lapses_ns=0,
        content=HEARTBEAT_CONTENT,
        alert=alert,
    )
    await ingest(context, [incoming], int(now * 10**9), hurry=True)
