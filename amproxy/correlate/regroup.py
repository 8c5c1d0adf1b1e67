"""A reload's regrouping: stored alerts move to the groups of today's routes; all wait anew."""

from __future__ import annotations

import asyncio
import contextlib

from msgspec import structs

from amproxy import offload
from amproxy.apply import apply_event
from amproxy.context import Context
from amproxy.correlate.ingest import SLICE, IncomingAlert, WholeAlert, ingest
from amproxy.errors import NotFound
from amproxy.grouping.flush import first_flush
from amproxy.grouping.inhibition import stored_sources
from amproxy.grouping.placement import Placement, Placer, SenderGroup
from amproxy.machine.events import AlertsChanged
from amproxy.model import Alert, LoadedGroup
from amproxy.store import groups, incidents, keys
from amproxy.store.commit import Operations, commit

UNKNOWN_CONTENT = bytes(8)  # content digest of a moved alert: its next push writes it anew


async def regroup_all(context: Context) -> int:
    """Move alerts that belong elsewhere; return how many moved. Raises StoreUnavailable.

    Safe to run twice. A group that stays keeps its log, so nobody is notified twice; timings and
    receivers are the file's anyway. As Alertmanager's, it counts its intervals from the reload: it
    is flushed as if its alerts had come just now.
    """
    moved = 0
    for group_id in await groups.load_group_ids(context.wire):
        loaded = await groups.load_group(context.wire, group_id)
        if loaded is not None:
            moved += await _regroup_one(context, loaded)
    context.wake(timers=True)
    return moved


async def _regroup_one(context: Context, loaded: LoadedGroup) -> int:
    group, now_ns, size = loaded.group, int(context.now() * 10**9), len(loaded.alerts)
    placed = await offload.run(size, _place_anew, context.placer, loaded)
    elsewhere, leaving, due_ns = list[IncomingAlert](), list[tuple[str, bytes]](), list[int]()
    stored: list[asyncio.Future[object]] = []
    for number, (placement, alert) in enumerate(placed):
        stored += _store_sources(context, placement, alert)
        here = next((known for known in placement.groups if known.id == group.id), None)
        others = tuple(known for known in placement.groups if known.id != group.id)
        if others:
            elsewhere.append(_to_incoming(structs.replace(placement, groups=others), alert))
        if here is None:
            leaving.append((alert.fingerprint, loaded.revisions[alert.fingerprint]))
        else:
            due_ns.append(first_flush(alert.starts_ns, here.group_wait, now_ns))
        if number % SLICE == SLICE - 1:
            await asyncio.gather(*stored)
            stored = []
    # Stored there before they are removed here: a crash in between leaves them in both.
    await ingest(context, elsewhere, now_ns, hurry=False)
    operations, gone = Operations(), len(leaving)
    if due_ns:
        operations.do("ZADD", keys.TIMERS, min(due_ns) // 10**6, f"flush:{group.id}")
    await offload.run(gone, groups.remove_alerts, operations, group.id, leaving)
    operations.do("!prune", group.id)
    await asyncio.gather(*stored)
    if gone and not due_ns:
        await _close_group(context, loaded, operations)
    else:
        await commit(context.wire, operations)
    return gone


def _place_anew(placer: Placer, loaded: LoadedGroup) -> list[tuple[Placement, Alert]]:
    group = loaded.group
    sender = SenderGroup(group.source, group.sender_key, group.labels) if group.source else None
    return [
        (
            placer.place_in(alert.labels, alert.fingerprint, sender)
            if sender
            else placer.place(alert.labels),
            alert,
        )
        for alert in loaded.alerts
    ]


async def _close_group(context: Context, loaded: LoadedGroup, removal: Operations) -> None:
    """End the incidents of a group that is empty now: the alerts' new groups open their own.

    removal: of the group, committed with the end of the last one. Were it gone before, an attempt
    that Redis cuts short would leave incidents that nothing ends any more.
    """
    ending = [entry for entry in loaded.log.values() if entry.incident and entry.firing]
    for number, entry in enumerate(ending, 1):
        event = AlertsChanged(
            reason="all alerts resolved",
            firing=0,
            resolved=len(entry.firing),
            ended_by="moved",
            group=loaded.group.id,
        )
        with contextlib.suppress(NotFound):  # trimmed by retention
            incident = await incidents.load_current(context.wire, entry.incident)
            last = removal if number == len(ending) else None
            await apply_event(context, incident.id, event, last)
            if last:
                return
    await commit(context.wire, removal)


def _to_incoming(placement: Placement, alert: Alert) -> IncomingAlert:
    return WholeAlert(
        placement,
        alert.starts_ns,
        alert.ends_ns,
        alert.timeout,
        alert.lapses_ns,
        UNKNOWN_CONTENT,
        alert,
    )


def _store_sources(
    context: Context, placement: Placement, alert: Alert
) -> list[asyncio.Future[object]]:
    """Store an alert as a source of inhibition: the rules may be new as well.

    The answers are to be awaited; each may be StoreUnavailable.
    """
    stored = []
    name = alert.fingerprint
    for key, source in stored_sources(placement.sources, name, alert.ends_ns, alert.lapses_ns):
        data = groups.encode_source(source)
        stored.append(context.wire.call("HSET", keys.source(key), name, data))
    return stored
