"""A new incident: its number, title and plan.

A group's flush is due: load it, decide (flush.py), and commit what it tells in one step.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from amproxy.apply import after_commit
from amproxy.config.structs import Integration, OncallSettings, Policy, Receiver, Urgency
from amproxy.context import Context
from amproxy.correlate.muting import look_up_muting
from amproxy.errors import NotFound, StoreUnavailable
from amproxy.grouping import flush
from amproxy.grouping.flush import DueNotification, notification_log_key
from amproxy.machine import transition
from amproxy.machine.draft import new_id
from amproxy.machine.events import AlertsChanged, Opened, Returned
from amproxy.model import Alert, Change, Group, Incident, OutgoingMessage, common_pairs
from amproxy.notify.templates import default_title, render_title
from amproxy.store import groups, incidents, timers
from amproxy.store import muting as store_muting
from amproxy.store.commit import Operations, commit
from amproxy.store.groups import LoadedGroup
from amproxy.store.timers import Timer


async def open_incident(context: Context, group: Group, integration: Integration, firing: Sequence[Alert], now: float) -> Incident:
    """The incident that a group of firing alerts opens; not stored yet."""
    settings: OncallSettings = integration.settings
    labels = common_pairs(alert.labels for alert in firing)
    annotations = common_pairs(alert.annotations for alert in firing)
    title = default_title(group.labels, labels)
    if settings.title:
        title = render_title(
            settings.title,
            {
                "group_labels": group.labels, "common_labels": labels, "common_annotations": annotations, "receiver": group.receiver,
                "alerts": [{"labels": alert.labels, "annotations": alert.annotations} for alert in firing[:100]], "firing": len(firing),
            },
            fallback=title,
        )  # fmt: skip
    return Incident(
        id=new_id(),
        number=await incidents.next_number(context.wire),
        title=title,
        receiver=group.receiver,
        policy=settings.escalation_policy,
        plan=context.config.policies.get(settings.escalation_policy) or Policy(name=settings.escalation_policy),
        urgency=settings.urgency,
        group=group.id,
        group_key=group.key,
        group_labels=group.labels,
        common_labels=labels,
        common_annotations=annotations,
        source=firing[0].source,
        firing=len(firing),
        started_at=now,
        pushed_at=max((alert.updated_ns for alert in firing), default=0) / 10**9,
    )


async def open_manual_incident(context: Context, *, title: str, policy: Policy, urgency: Urgency | None, text: str, now: float) -> Incident:
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


FLUSH_TRIES = 50
MIN_FLUSH_SECONDS = 10.0  # seconds: a notification is tried at least this long, as Alertmanager does


async def flush_group(context: Context, timer: Timer) -> None:
    """Flush a group whose timer is due. Raises StoreUnavailable; then the timer comes again."""
    for _ in range(FLUSH_TRIES):
        loaded = await groups.load_group(context.wire, timer.id)
        if loaded is None:
            await timers.drop(context.wire, timer)
            return
        changes: list[Change] = []
        if _must_wait(context, loaded):
            operations = groups.wait_for_flush(loaded)
        else:
            operations, changes = await _flush_operations(context, loaded, timer.due)
        if await commit(context.wire, operations):
            for change in changes:
                after_commit(context, change)
            context.wake(timers=True, outbox=True)
            return
    raise StoreUnavailable(f"group {timer.id} keeps changing")


def _must_wait(context: Context, loaded: LoadedGroup) -> bool:
    """As Alertmanager's: a group does not begin a flush before the last one has ended. People are never made to wait for a webhook."""
    _, receiver = current_group(context, loaded.group)
    return loaded.busy_until > context.now() and not any(integration.kind == "oncall" for integration in receiver.integrations)


def current_group(context: Context, stored: Group) -> tuple[Group, Receiver]:
    """A group with the timings of today's file (those it was made with, where its route is gone), and its receiver."""
    route = context.routes.get(stored.route_key)
    group = stored
    if route is not None and route.receiver == stored.receiver:
        group = replace(
            stored, group_wait=route.group_wait, group_interval=route.group_interval, repeat_interval=route.repeat_interval,
            mute_time_intervals=route.mute_time_intervals, active_time_intervals=route.active_time_intervals,
            route_labels=route.labels,
        )  # fmt: skip
    return group, context.config.receivers.get(stored.receiver) or Receiver(name=stored.receiver)


async def _flush_operations(context: Context, loaded: LoadedGroup, due: float) -> tuple[Operations, list[Change]]:
    now = context.now()
    group, receiver = current_group(context, loaded.group)
    muting = await look_up_muting(context, loaded.alerts, int(now * 10**9))
    tick = due if due + group.group_interval > now else now  # ticks that were missed are not made up for
    plan = flush.decide_flush(loaded, group, receiver, context.roster, muting, now, tick)
    operations = groups.begin_flush(loaded, next_due=tick + group.group_interval)
    changes: list[Change] = []
    pages = any(telling.integration.kind == "oncall" for telling in plan.tellings)
    stored = await incidents.load_turns(context.wire) if pages else {}
    turns = dict(stored)  # as the incidents of this flush leave them: two of them must not take the same turn
    flush_id, sent = new_id(), 0
    until = now + max(group.group_interval, MIN_FLUSH_SECONDS)
    for telling in plan.tellings:
        if telling.integration.kind == "oncall":
            change = await _incident_change(context, group, telling, turns, now)
            groups.save_log_entry(operations, group.id, notification_log_key(telling.integration), telling.entry)
            if change is not None and all(change.incident.id != other.incident.id for other in changes):
                changes.append(_guard_turns(change, stored))
                turns |= {name: turn for name, (_, turn) in change.turns.items()}
                operations.extend(incidents.change_operations(changes[-1]))
                _store_alerts(operations, change.incident, telling)
        else:
            sent += 1
            incidents.enqueue(operations, _outgoing_notification(group, telling, now, until, flush_id))
    for key, entry in plan.logged:
        groups.save_log_entry(operations, group.id, key, entry)
    told = {name for telling in plan.tellings for name in telling.entry.firing}
    if (found := flush.compare_muted_alerts(loaded, group, muting, told, now)) is not None:
        store_muting.save_following(operations, group.id, found.following)
        await store_muting.record_suppressed(context.wire, operations, found.seen)
    groups.expect_notifications(operations, group.id, flush=flush_id, integrations=sent, until=until, resolved=plan.resolved)
    return operations, changes


def _guard_turns(change: Change, stored: dict[str, int]) -> Change:
    """The turns it takes are guarded by what is stored, though other incidents of the same flush took some before."""
    return replace(change, turns={name: (stored.get(name, 0), turn) for name, (_, turn) in change.turns.items()})


def _outgoing_notification(group: Group, telling: DueNotification, now: float, until: float, flush_id: str) -> OutgoingMessage:
    return OutgoingMessage(
        id=new_id(), kind="notification", channel=telling.integration.kind, due=now,
        deadline=until, group=group, integration=notification_log_key(telling.integration),
        alerts=telling.alerts, truncated=telling.truncated, reason=telling.reason, log=telling.entry, flush=flush_id,
    )  # fmt: skip


async def _incident_change(context: Context, group: Group, telling: DueNotification, turns: dict[str, int], now: float) -> Change | None:
    """What the flush does to the group's incident: open one, or let it know. Fills in the log entry's incident."""
    current = await _current_incident(context, telling)
    fires = set(telling.entry.firing)
    firing = [alert for alert in telling.alerts if alert.fingerprint in fires]
    over = current is None or current.state == "resolved"
    if over and firing and _is_news(telling, current, firing):
        telling.entry.resolved = []
        if current is not None and _is_same_incident(current, now):
            event = Returned(alerts=_alerts_changed(group, telling, firing, fresh=len(firing), now=now))
            return transition(current, event, now, context.roster, turns)
        incident = await open_incident(context, group, telling.integration, firing, now)
        telling.entry.incident = incident.id
        return transition(incident, Opened(reason=telling.reason), now, context.roster, turns)
    if current is None:
        return None
    fresh = len(fires.difference(telling.before.firing if telling.before else ()))
    return transition(current, _alerts_changed(group, telling, firing, fresh=fresh, now=now), now, context.roster, turns)


def _is_news(telling: DueNotification, ended: Incident | None, firing: list[Alert]) -> bool:
    """Whether alerts that fire, though their incident is over, are reason enough for people to hear of them."""
    if ended is not None and ended.resolved_by == "silent" and telling.reason == "repeat interval elapsed":
        return any(alert.updated_ns > (ended.resolved_at or 0.0) * 10**9 for alert in firing)
    return telling.reason != "some alerts resolved"


def _is_same_incident(resolved: Incident, now: float) -> bool:
    """Whether alerts that fire again belong to the incident that they had: a person's answer to it is still fresh."""
    return now - (resolved.resolved_at or 0.0) < resolved.plan.reopen_within


def _alerts_changed(group: Group, telling: DueNotification, firing: list[Alert], *, fresh: int, now: float) -> AlertsChanged:
    shown = firing or telling.alerts
    return AlertsChanged(
        reason=telling.reason,
        firing=len(firing),
        resolved=len(telling.entry.resolved),
        fresh=fresh,
        common_labels=common_pairs(alert.labels for alert in shown),
        common_annotations=common_pairs(alert.annotations for alert in shown),
        ended_by="expired" if not firing and all(_has_lapsed(alert, now) for alert in telling.alerts) else "source",
        group=group.id,
    )


async def _current_incident(context: Context, telling: DueNotification) -> Incident | None:
    """The group's incident, or the one that it was merged into; the log will name that one."""
    if telling.before is None or not telling.before.incident:
        return None
    try:
        found = await incidents.load_current(context.wire, telling.before.incident)
    except NotFound:  # trimmed by retention
        return None
    telling.entry.incident = found.id
    return found


def _has_lapsed(alert: Alert, now: float) -> bool:
    return not 0 < alert.ends_ns <= now * 10**9


def _store_alerts(operations: Operations, incident: Incident, telling: DueNotification) -> None:
    """The incident keeps what it was told, also when the group is gone."""
    firing, before = set(telling.entry.firing), telling.before
    known_firing, known_resolved = (set(before.firing), set(before.resolved)) if before else (set[str](), set[str]())
    for alert in telling.alerts:
        known = known_firing if alert.fingerprint in firing else known_resolved
        if alert.fingerprint not in known or incident.version == 1:
            incidents.save_alert(operations, incident.id, alert)
