"""A reload's regrouping: stored alerts move to the groups of today's routes; all wait anew."""

from __future__ import annotations

import asyncio
import contextlib

from msgspec.structs import replace

from amproxy import offload
from amproxy.apply import apply_event
from amproxy.context import Context
from amproxy.correlate.incoming import UNKNOWN_CONTENT, IncomingAlert, WholeAlert
from amproxy.correlate.ingest import SLICE, ingest
from amproxy.errors import NotFound
from amproxy.grouping.flush import first_flush, notification_log_key
from amproxy.grouping.inhibition import stored_sources
from amproxy.grouping.placement import Placement, Placer, SenderGroup
from amproxy.labels.severity import gravest, severity_of
from amproxy.machine.events import AlertsChanged, Regrouped
from amproxy.model import (
    Alert,
    Group,
    Incident,
    LoadedGroup,
    LogEntry,
    MergedGroup,
    common_pairs,
)
from amproxy.store import groups, incidents, keys
from amproxy.store.commit import Operations, commit


async def regroup_all(context: Context) -> int:
    """Move alerts that belong elsewhere; return how many moved. Raises StoreUnavailable.

    Safe to run twice. A group that stays keeps its log, so nobody is notified twice; timings and
    receivers are the file's anyway. As Alertmanager's, it counts its intervals from the reload: it
    is flushed as if its alerts had come just now.
    """
    moved, claimed = 0, set[str]()
    for group_id in await groups.load_group_ids(context.wire):
        loaded = await groups.load_group(context.wire, group_id)
        if loaded is not None:
            moved += await _regroup_one(context, loaded, claimed)
    context.wake(timers=True)
    return moved


async def _regroup_one(context: Context, loaded: LoadedGroup, claimed: set[str]) -> int:
    """Return the number of alerts that moved. claimed: groups that answered incidents moved to."""
    group, now_ns, size = loaded.group, int(context.now() * 10**9), len(loaded.alerts)
    placed = await offload.run(size, _place_anew, context.placer, loaded)
    elsewhere, leaving, due_ns = list[IncomingAlert](), list[tuple[str, bytes]](), list[int]()
    stored: list[asyncio.Future[object]] = []
    for number, (placement, alert) in enumerate(placed):
        stored += _store_sources(context, placement, alert)
        here = next((known for known in placement.groups if known.id == group.id), None)
        others = tuple(known for known in placement.groups if known.id != group.id)
        if others:
            elsewhere.append(_to_incoming(replace(placement, groups=others), alert))
        if here is None:
            leaving.append((alert.fingerprint, loaded.revisions[alert.fingerprint]))
        else:
            due_ns.append(first_flush(alert.starts_ns, here.group_wait, now_ns))
        if number % SLICE == SLICE - 1:
            await asyncio.gather(*stored)
            stored = []
    # First, so that no flush of the new groups opens incidents anew.
    carried = await _carry_answers(context, loaded, placed, claimed) if elsewhere else set[str]()
    # Stored there before they are removed here: a crash in between leaves them in both.
    await ingest(context, elsewhere, now_ns, hurry=False)
    operations, gone = Operations(), len(leaving)
    if due_ns:
        operations.do("ZADD", keys.TIMERS, min(due_ns) // 10**6, f"flush:{group.id}")
    await offload.run(gone, groups.remove_alerts, operations, group.id, leaving)
    operations.do("!prune", group.id)
    await asyncio.gather(*stored)
    if gone and not due_ns:
        await _close_group(context, loaded, operations, carried)
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


async def _carry_answers(
    context: Context,
    loaded: LoadedGroup,
    placed: list[tuple[Placement, Alert]],
    claimed: set[str],
) -> set[str]:
    """Let answered incidents go with their alerts; return the log keys of those that did.

    One that nobody has answered ends, and the new groups page anew. So they do where an answered
    one has gone to the same group: whoever answered that knows nothing of this one.
    """
    carried = set[str]()
    for key, entry in loaded.log.items():
        if not (entry.incident and entry.firing):
            continue
        try:
            incident = await incidents.load_current(context.wire, entry.incident)
        except NotFound:  # trimmed by retention
            continue
        firing = _firing_by_group(context, loaded, entry, placed)
        if incident.state in ("acknowledged", "snoozed"):
            if await _move_incident(context, loaded, key, incident, firing, claimed):
                carried.add(key)
        elif incident.state == "triggered":
            for group_id in claimed & firing.keys():
                await _release_claim(context, group_id, key)
                claimed.discard(group_id)
    return carried


def _firing_by_group(
    context: Context, loaded: LoadedGroup, entry: LogEntry, placed: list[tuple[Placement, Alert]]
) -> dict[str, tuple[Group, list[Alert]]]:
    """Group.id → the group, of the same receiver, and the alerts of an incident that are there."""
    now_ns = int(context.now() * 10**9)
    found: dict[str, tuple[Group, list[Alert]]] = {}
    for placement, alert in placed:
        if alert.fingerprint not in entry.firing or alert.resolved(now_ns):
            continue
        for group in placement.groups:
            if group.receiver == loaded.group.receiver:
                found.setdefault(group.id, (group, []))[1].append(alert)
    return found


async def _move_incident(
    context: Context,
    loaded: LoadedGroup,
    key: str,
    incident: Incident,
    firing: dict[str, tuple[Group, list[Alert]]],
    claimed: set[str],
) -> bool:
    """Give an incident's new groups to it, where they have no alerts and no incident yet."""
    receiver = context.config.receivers.get(loaded.group.receiver)
    integrations = receiver.integrations if receiver else ()
    if all(notification_log_key(one) != key for one in integrations):
        return False
    operations, taken = Operations(), dict[str, tuple[Group, list[Alert]]]()
    for group_id, (group, alerts) in firing.items():
        if group_id != loaded.group.id:
            known = (await groups.load_log(context.wire, group_id)).get(key)
            if known is not None and await _current_id(context, known) != incident.id:
                continue
            there = await groups.load_group(context.wire, group_id)
            names = sorted(alert.fingerprint for alert in alerts)
            if there is not None and not {*there.revisions} <= {*names}:
                continue
            entry = replace(loaded.log[key], firing=names, resolved=[])
            groups.save_log_entry(operations, group_id, key, entry)
        taken[group_id] = group, alerts
    if not taken.keys() - {loaded.group.id}:
        return False
    event = Regrouped(
        left=loaded.group.id,
        groups={name: _merged_group(alerts) for name, (_, alerts) in taken.items()},
        only=next(group for group, _ in taken.values()) if len(taken) == 1 else None,
    )
    await apply_event(context, incident.id, event, operations)
    claimed |= taken.keys() - {loaded.group.id}
    return True


async def _current_id(context: Context, entry: LogEntry) -> str:
    """The id of the incident that a group's alerts belong to now; "" = there is none."""
    try:
        return (await incidents.load_current(context.wire, entry.incident)).id
    except NotFound:
        return ""


def _merged_group(alerts: list[Alert]) -> MergedGroup:
    return MergedGroup(
        firing=len(alerts),
        common_labels=common_pairs(alert.labels for alert in alerts),
        common_annotations=common_pairs(alert.annotations for alert in alerts),
        severity=gravest(severity_of(alert.labels) for alert in alerts),
    )


async def _release_claim(context: Context, group_id: str, key: str) -> None:
    """Take a group away from the answered incident that it was given to: it opens its own."""
    entry = (await groups.load_log(context.wire, group_id)).get(key)
    operations = Operations()
    operations.do("HDEL", keys.log(group_id), key)
    if entry is not None and (incident_id := await _current_id(context, entry)):
        event = AlertsChanged(
            reason="all alerts resolved",
            firing=0,
            resolved=len(entry.firing),
            ended_by="moved",
            group=group_id,
        )
        await apply_event(context, incident_id, event, operations)


async def _close_group(
    context: Context, loaded: LoadedGroup, removal: Operations, carried: set[str]
) -> None:
    """End the incidents of a group that is empty now: the alerts' new groups open their own.

    carried: keys of the log whose incidents went with the alerts. removal: of the group, committed
    with the end of the last one. Were it gone before, an attempt that Redis cuts short would leave
    incidents that nothing ends any more.
    """
    ending = [
        entry
        for key, entry in loaded.log.items()
        if entry.incident and entry.firing and key not in carried
    ]
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
