"""A new incident: its number, title and plan.

A group's flush is due: load it, decide (flush.py), and commit what it tells in one step.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from amproxy.apply import committed
from amproxy.config.structs import Integration, OncallSettings, Policy, Receiver, Urgency
from amproxy.context import Context
from amproxy.correlate.muting import look
from amproxy.errors import NotFound, StoreUnavailable
from amproxy.grouping import flush
from amproxy.grouping.flush import Telling, log_key
from amproxy.machine import transition
from amproxy.machine.draft import new_id
from amproxy.machine.events import AlertsChanged, Opened, Returned
from amproxy.model import Alert, Change, Group, Incident, Outgoing, common
from amproxy.notify.templates import default_title, render_title
from amproxy.store import groups, incidents, timers
from amproxy.store import muting as store_muting
from amproxy.store.commit import Operations, commit
from amproxy.store.groups import Loaded
from amproxy.store.timers import Timer


async def open_incident(context: Context, group: Group, integration: Integration, firing: Sequence[Alert], now: float) -> Incident:
    """The incident that a group of firing alerts opens; not stored yet."""
    settings: OncallSettings = integration.settings
    labels = common(alert.labels for alert in firing)
    annotations = common(alert.annotations for alert in firing)
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


async def open_by_hand(context: Context, *, title: str, policy: Policy, urgency: Urgency | None, text: str, now: float) -> Incident:
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


TRIES = 50
SHORTEST_FLUSH = 10.0  # seconds: a notification is tried at least this long, as Alertmanager does


async def flush_group(context: Context, timer: Timer) -> None:
    """Flush a group whose timer is due. Raises StoreUnavailable; then the timer comes again."""
    for _ in range(TRIES):
        loaded = await groups.load(context.wire, timer.id)
        if loaded is None:
            await timers.drop(context.wire, timer)
            return
        changes: list[Change] = []
        if _must_wait(context, loaded):
            operations = groups.wait_for_last(loaded)
        else:
            operations, changes = await _decide(context, loaded, timer.due)
        if await commit(context.wire, operations):
            for change in changes:
                committed(context, change)
            context.wake(timers=True, outbox=True)
            return
    raise StoreUnavailable(f"group {timer.id} keeps changing")


def _must_wait(context: Context, loaded: Loaded) -> bool:
    """As Alertmanager's: a group does not begin a flush before the last one has ended. People are never made to wait for a webhook."""
    _, receiver = in_force(context, loaded.group)
    return loaded.busy_until > context.now() and not any(integration.kind == "oncall" for integration in receiver.integrations)


def in_force(context: Context, stored: Group) -> tuple[Group, Receiver]:
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


async def _decide(context: Context, loaded: Loaded, due: float) -> tuple[Operations, list[Change]]:
    now = context.now()
    group, receiver = in_force(context, loaded.group)
    muting = await look(context, loaded.alerts, int(now * 10**9))
    tick = due if due + group.group_interval > now else now  # ticks that were missed are not made up for
    plan = flush.plan(loaded, group, receiver, context.roster, muting, now, tick)
    operations = groups.flushed(loaded, next_due=tick + group.group_interval)
    changes: list[Change] = []
    pages = any(telling.integration.kind == "oncall" for telling in plan.tellings)
    stored = await incidents.turns(context.wire) if pages else {}
    turns = dict(stored)  # as the incidents of this flush leave them: two of them must not take the same turn
    flush_id, sent = new_id(), 0
    until = now + max(group.group_interval, SHORTEST_FLUSH)
    for telling in plan.tellings:
        if telling.integration.kind == "oncall":
            change = await _incident(context, group, telling, turns, now)
            groups.told(operations, group.id, log_key(telling.integration), telling.entry)
            if change is not None and all(change.incident.id != other.incident.id for other in changes):
                changes.append(_guarded(change, stored))
                turns |= {name: turn for name, (_, turn) in change.turns.items()}
                operations.extend(incidents.operations(changes[-1]))
                _keep_alerts(operations, change.incident, telling)
        else:
            sent += 1
            incidents.enqueue(operations, _notification(group, telling, now, until, flush_id))
    for key, entry in plan.logged:
        groups.told(operations, group.id, key, entry)
    told = {name for telling in plan.tellings for name in telling.entry.firing}
    if (found := flush.found(loaded, group, muting, told, now)) is not None:
        store_muting.follow(operations, group.id, found.following)
        await store_muting.remember(context.wire, operations, found.seen)
    groups.expect(operations, group.id, flush=flush_id, integrations=sent, until=until, resolved=plan.resolved)
    return operations, changes


def _guarded(change: Change, stored: dict[str, int]) -> Change:
    """The turns it takes are guarded by what is stored, though other incidents of the same flush took some before."""
    return replace(change, turns={name: (stored.get(name, 0), turn) for name, (_, turn) in change.turns.items()})


def _notification(group: Group, telling: Telling, now: float, until: float, flush_id: str) -> Outgoing:
    return Outgoing(
        id=new_id(), kind="notification", channel=telling.integration.kind, due=now,
        deadline=until, group=group, integration=log_key(telling.integration),
        alerts=telling.alerts, truncated=telling.truncated, reason=telling.reason, log=telling.entry, flush=flush_id,
    )  # fmt: skip


async def _incident(context: Context, group: Group, telling: Telling, turns: dict[str, int], now: float) -> Change | None:
    """What the flush does to the group's incident: open one, or let it know. Fills in the log entry's incident."""
    current = await _current(context, telling)
    fires = set(telling.entry.firing)
    firing = [alert for alert in telling.alerts if alert.fingerprint in fires]
    over = current is None or current.state == "resolved"
    if over and firing and _is_news(telling, current, firing):
        telling.entry.resolved = []
        if current is not None and _same(current, now):
            event = Returned(alerts=_changed(group, telling, firing, fresh=len(firing), now=now))
            return transition(current, event, now, context.roster, turns)
        incident = await open_incident(context, group, telling.integration, firing, now)
        telling.entry.incident = incident.id
        return transition(incident, Opened(reason=telling.reason), now, context.roster, turns)
    if current is None:
        return None
    fresh = len(fires.difference(telling.before.firing if telling.before else ()))
    return transition(current, _changed(group, telling, firing, fresh=fresh, now=now), now, context.roster, turns)


def _is_news(telling: Telling, ended: Incident | None, firing: list[Alert]) -> bool:
    """Whether alerts that fire, though their incident is over, are reason enough for people to hear of them."""
    if ended is not None and ended.resolved_by == "silent" and telling.reason == "repeat interval elapsed":
        return any(alert.updated_ns > (ended.resolved_at or 0.0) * 10**9 for alert in firing)
    return telling.reason != "some alerts resolved"


def _same(resolved: Incident, now: float) -> bool:
    """Whether alerts that fire again belong to the incident that they had: a person's answer to it is still fresh."""
    return now - (resolved.resolved_at or 0.0) < resolved.plan.reopen_within


def _changed(group: Group, telling: Telling, firing: list[Alert], *, fresh: int, now: float) -> AlertsChanged:
    shown = firing or telling.alerts
    return AlertsChanged(
        reason=telling.reason,
        firing=len(firing),
        resolved=len(telling.entry.resolved),
        fresh=fresh,
        common_labels=common(alert.labels for alert in shown),
        common_annotations=common(alert.annotations for alert in shown),
        ended_by="expired" if not firing and all(_lapsed(alert, now) for alert in telling.alerts) else "source",
        group=group.id,
    )


async def _current(context: Context, telling: Telling) -> Incident | None:
    """The group's incident, or the one that it was merged into; the log will name that one."""
    if telling.before is None or not telling.before.incident:
        return None
    try:
        found = await incidents.current(context.wire, telling.before.incident)
    except NotFound:  # trimmed by retention
        return None
    telling.entry.incident = found.id
    return found


def _lapsed(alert: Alert, now: float) -> bool:
    return not 0 < alert.ends_ns <= now * 10**9


def _keep_alerts(operations: Operations, incident: Incident, telling: Telling) -> None:
    """The incident keeps what it was told, also when the group is gone."""
    firing, before = set(telling.entry.firing), telling.before
    known_firing, known_resolved = (set(before.firing), set(before.resolved)) if before else (set[str](), set[str]())
    for alert in telling.alerts:
        known = known_firing if alert.fingerprint in firing else known_resolved
        if alert.fingerprint not in known or incident.version == 1:
            incidents.keep_alert(operations, incident.id, alert)
