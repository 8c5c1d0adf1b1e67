"""The flush of a group whose timer is due: load, decide (grouping/flush.py), commit in one step."""

from __future__ import annotations

import contextlib
import itertools
from functools import partial
from typing import NamedTuple

from msgspec.structs import replace

from amproxy import offload
from amproxy.apply import after_commit, guard_turns
from amproxy.config.structs import Policy, Receiver, Urgency
from amproxy.context import Context
from amproxy.correlate.events import FlushEvents, flush_events, flush_number, other_alerts
from amproxy.correlate.muting import look_up_muting
from amproxy.errors import NotFound
from amproxy.grouping import flush
from amproxy.grouping.flush import (
    DueNotification,
    FlushDecision,
    MutedAlertsUpdate,
    notification_log_key,
)
from amproxy.grouping.inhibition import SourceKey
from amproxy.grouping.muting import Muting
from amproxy.machine import transition
from amproxy.machine.draft import new_id
from amproxy.machine.events import Opened
from amproxy.model import Alert, Change, Group, Incident, LoadedGroup, OutgoingMessage
from amproxy.notify.templates import incident_title
from amproxy.store import groups, incidents, keys, leases
from amproxy.store import muting as store_muting
from amproxy.store.commit import Operations, commit_decided, field_name
from amproxy.store.leases import Timer

# Tries that a push in a hurry may refuse. More of them would only put off what is known already.
UNHURRIED_TRIES = 3
MIN_FLUSH_SECONDS = 10.0  # a notification is tried at least this long, as Alertmanager does


class _FlushOutcome(NamedTuple):
    """The changes and events that follow the commit of a flush."""

    changes: list[Change]
    events: FlushEvents | None  # None: they are not recorded


async def flush_group(context: Context, timer: Timer) -> None:
    """Flush a group whose timer is due. Raises StoreUnavailable; then the timer comes again."""
    tries = itertools.count(1)

    async def decide() -> tuple[Operations | None, _FlushOutcome]:
        overtake = next(tries) > UNHURRIED_TRIES
        loaded = await groups.load_group(context.wire, timer.id)
        if loaded is None:
            await leases.drop(context.wire, timer)
            return None, _FlushOutcome([], None)
        outcome = _FlushOutcome([], None)
        if _must_wait(context, loaded):
            operations = groups.wait_for_flush(loaded)
        else:
            operations, outcome = await _flush_operations(
                context, loaded, timer.due, overtake=overtake
            )
        await offload.scrap(loaded.alerts, loaded.revisions)
        return operations, outcome

    # Pushes wait for no flush, which may be of 100,000 alerts: they queue under other names.
    guarded = field_name(keys.group(timer.id), "v")
    outcome = await commit_decided(context.wire, f"group {timer.id}", decide, guarded)
    for change in outcome.changes:
        after_commit(context, change)
    if outcome.events is not None:
        await outcome.events.record(context)
    context.wake(timers=True, outbox=True)


async def open_manual_incident(
    context: Context, *, title: str, policy: Policy, urgency: Urgency | None, text: str, now: float
) -> Incident:
    """An incident that a person opens; not stored yet."""
    return Incident(
        id=new_id(),
        number=await incidents.next_number(context.wire),
        title=title,
        policy=policy.name,
        plan=policy,
        urgency=urgency,
        text=text,
        source="by hand",
        started_at=now,
        pushed_at=now,
    )


def current_group(context: Context, stored: Group) -> tuple[Group, Receiver]:
    """A group with the timings of today's file, and its receiver.

    Where its route is gone, the group keeps the timings that it was made with.
    """
    route = context.route_of(stored)
    group = stored
    if route is not None:
        group = replace(
            stored,
            group_wait=route.group_wait,
            group_interval=route.group_interval,
            repeat_interval=route.repeat_interval,
            mute_time_intervals=route.mute_time_intervals,
            active_time_intervals=route.active_time_intervals,
            route_labels=route.labels,
        )
    return group, context.config.receivers.get(stored.receiver) or Receiver(name=stored.receiver)


def _must_wait(context: Context, loaded: LoadedGroup) -> bool:
    """Decide whether the last flush must end first, as Alertmanager's groups have it.

    Never where the receiver pages people: they must not wait for a slow webhook.
    """
    _, receiver = current_group(context, loaded.group)
    return loaded.busy_until > context.now() and not _paging(receiver).integrations


def _paging(receiver: Receiver) -> Receiver:
    """The receiver with those of its integrations that page people."""
    return replace(
        receiver, integrations=tuple(i for i in receiver.integrations if i.kind == "oncall")
    )


async def _flush_operations(
    context: Context, loaded: LoadedGroup, planned: float, *, overtake: bool
) -> tuple[Operations, _FlushOutcome]:
    now = context.now()
    group, receiver = current_group(context, loaded.group)
    # What the last flush is still telling others is not logged yet: they would get it twice.
    busy = loaded.busy_until > now
    if busy:
        receiver = _paging(receiver)
    quiet = set[SourceKey]()
    muting = await look_up_muting(context, loaded.alerts, int(now * 10**9), quiet)
    tick = flush.flush_tick(group, planned, now)
    size = len(loaded.alerts)
    silent = await _silent_ends(context, loaded, receiver)
    decision = await offload.run(
        size, flush.decide_flush, loaded, group, receiver, context.roster, muting, now, tick, silent
    )
    operations = groups.begin_flush(
        loaded, next_due=tick + group.group_interval, now=now, overtake=overtake
    )
    events = None
    if context.events.active:
        events = await flush_events(context, loaded, group, muting, decision, int(now * 10**9))
        operations.removed = events.removed
    if decision.notifications and not overtake:
        # What would inhibit an alert may have come in since it was looked for.
        groups.guard_quiet(operations, quiet, int(now * 10**9))
    flush_id, until = new_id(), now + max(group.group_interval, MIN_FLUSH_SECONDS)
    pages = [due for due in decision.notifications if due.integration.kind == "oncall"]
    messages = [due for due in decision.notifications if due.integration.kind != "oncall"]
    changes = await _change_incidents(context, operations, group, pages, now)
    for key, entry in decision.log_only:
        groups.save_log_entry(operations, group.id, key, entry)
    recorded = loaded if events is not None else None
    await offload.run(
        size, _add_messages, operations, group, messages, now, until, flush_id, recorded
    )
    muted = await offload.run(size, _compare_muted, loaded, group, muting, decision, now)
    await offload.run(size, _note_muted, operations, loaded, muting)
    if muted is not None:
        store_muting.save_following(operations, group.id, muted.log)
        await store_muting.record_suppressed(context.wire, operations, muted.records)
    if busy:
        groups.flush_after_last(operations, loaded)
    else:
        await offload.run(
            size,
            lambda: groups.expect_notifications(
                operations,
                group.id,
                flush=flush_id,
                integrations=len(messages),
                until=until,
                resolved=decision.resolved,
            ),
        )
    await offload.scrap(*(due.alerts for due in decision.notifications), decision.resolved, *muting)
    return operations, _FlushOutcome(changes, events)


async def _silent_ends(
    context: Context, loaded: LoadedGroup, receiver: Receiver
) -> dict[str, float]:
    """The `silent` of decide_flush. Nothing is loaded where no policy resolves for silence."""
    found: dict[str, float] = {}
    for integration in receiver.integrations if context.shortest_auto_resolve else ():
        key = notification_log_key(integration)
        entry = loaded.log.get(key)
        if integration.kind != "oncall" or entry is None or not (entry.incident and entry.firing):
            continue
        with contextlib.suppress(NotFound):  # trimmed by retention
            incident = await incidents.load_current(context.wire, entry.incident)
            if incident.state == "resolved" and incident.resolved_by == "silent":
                found[key] = incident.resolved_at or 0.0
    return found


def _add_messages(
    operations: Operations,
    group: Group,
    messages: list[DueNotification],
    now: float,
    until: float,
    flush_id: str,
    recorded: LoadedGroup | None,
) -> None:
    """Add the messages of a flush. recorded: the group, where its events are recorded."""
    for notification in messages:
        message = _outgoing_notification(group, notification, now, until, flush_id)
        if recorded is not None:
            message.flush_number = flush_number(recorded)
            message.others = other_alerts(recorded, notification)
        incidents.enqueue(operations, message)


def _note_muted(operations: Operations, loaded: LoadedGroup, muting: Muting) -> None:
    hidden = [one.fingerprint for one in loaded.alerts if muting.is_muted(one)]
    groups.save_muted(operations, loaded, hidden)


def _compare_muted(
    loaded: LoadedGroup, group: Group, muting: Muting, decision: FlushDecision, now: float
) -> MutedAlertsUpdate | None:
    notified = {name for due in decision.notifications for name in due.log_entry.firing}
    return flush.compare_muted_alerts(loaded, group, muting, notified, now)


async def _change_incidents(
    context: Context, operations: Operations, group: Group, pages: list[DueNotification], now: float
) -> list[Change]:
    """Add to the operations of a flush those of its incidents; return the changes."""
    changes: list[Change] = []
    stored = await incidents.load_turns(context.wire) if pages else {}
    # as the incidents of this flush leave them: two of them must not take the same turn
    turns = dict(stored)
    for due in pages:
        change = await _incident_change(context, group, due, turns, now)
        key = notification_log_key(due.integration)
        groups.save_log_entry(operations, group.id, key, due.log_entry)
        # Two integrations may have one incident, after a merge: its version allows one change.
        known = {other.incident.id for other in changes}
        if change is not None and change.incident.id not in known:
            changes.append(guard_turns(change, stored))
            turns |= {name: turn for name, (_, turn) in change.turns.items()}
            operations.extend(incidents.change_operations(changes[-1]))
            news = await offload.run(len(due.alerts), _alerts_to_save, change.incident, due)
            await incidents.save_alerts(context.wire, operations, change.incident, news)
    return changes


async def _incident_change(
    context: Context, group: Group, due: DueNotification, turns: dict[str, int], now: float
) -> Change | None:
    """The change of the group's incident, or a new one's. Fills in the log entry's incident."""
    incident = await _load_incident(context, due)
    size = len(due.alerts)
    event = await offload.run(size, flush.decide_incident_event, due, group, incident, now)
    if isinstance(event, Opened):
        firing, integration = await offload.run(size, flush.firing_alerts, due), due.integration
        template = integration.settings.title
        new_incident = partial(
            flush.new_incident,
            number=await incidents.next_number(context.wire),
            title=await offload.run(size, incident_title, template, group, firing),
        )
        incident = await offload.run(
            size, new_incident, context.config, group, integration, firing, now
        )
        due.log_entry.incident = incident.id
    if incident is None or event is None:
        return None
    return transition(incident, event, now, context.roster, turns)


async def _load_incident(context: Context, due: DueNotification) -> Incident | None:
    """The group's incident, or the one that it was merged into.

    The log entry goes on naming the former, which may be taken out again.
    """
    if due.previous is None or not due.previous.incident:
        return None
    try:
        return await incidents.load_current(context.wire, due.previous.incident)
    except NotFound:  # deleted
        return None


def _alerts_to_save(incident: Incident, due: DueNotification) -> list[Alert]:
    """The alerts that are news to the incident: they outlive the group."""
    firing, previous = set(due.log_entry.firing), due.previous
    known_firing = set(previous.firing) if previous else set[str]()
    known_resolved = set(previous.resolved) if previous else set[str]()
    return [
        alert
        for alert in due.alerts
        if incident.version == 1
        or alert.fingerprint
        not in (known_firing if alert.fingerprint in firing else known_resolved)
    ]


def _outgoing_notification(
    group: Group, due: DueNotification, now: float, until: float, flush_id: str
) -> OutgoingMessage:
    return OutgoingMessage(
        id=new_id(),
        kind="notification",
        channel=due.integration.kind,
        due=now,
        deadline=until,
        group=group,
        integration=notification_log_key(due.integration),
        alerts=due.alerts,
        truncated=due.truncated,
        reason=due.reason,
        log=due.log_entry,
        flush=flush_id,
    )
