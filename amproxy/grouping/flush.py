"""The decisions of a group's flush: whom it notifies of what, and what its incident gets of it.

Pure: `now` (Unix seconds) is an argument. correlate/flusher.py loads, asks here, and commits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from datetime import UTC, datetime
from itertools import islice
from types import MappingProxyType
from typing import NamedTuple

from msgspec.structs import replace

from amproxy.config.structs import Config, Integration, OncallSettings, Policy, Receiver
from amproxy.grouping.dedup import notification_reason, sort_alerts
from amproxy.grouping.muting import Muting
from amproxy.labels.severity import gravest, severity_of
from amproxy.machine.alerts import NEWS_PHRASES, find_joined
from amproxy.machine.draft import new_id
from amproxy.machine.events import AlertsChanged, Opened, Returned
from amproxy.model import (
    MAX_SUPPRESSED,
    Alert,
    AlertRepair,
    Group,
    Incident,
    LoadedGroup,
    LogEntry,
    MutedAlertsLog,
    NotificationReason,
    SuppressedAlertRecord,
    SuppressionUpdate,
    common_pairs,
)
from amproxy.oncall.roster import Roster

LOG_RETENTION = 120 * 3600.0  # seconds: as Alertmanager's --data.retention
MAX_REPAIRS = 10  # of one notification that the timeline tells
MUTED_WRITE_EVERY = 3600.0  # seconds: so often it is written that an alert is still suppressed


class DueNotification(NamedTuple):
    """A notification of one integration, and its log entry once that is delivered."""

    integration: Integration
    # in the order of a message; resolved ones are left out where send_resolved is off
    alerts: list[Alert]
    truncated: int  # alerts left out because of max_alerts
    reason: NotificationReason
    log_entry: LogEntry
    previous: LogEntry | None  # the log entry so far; None = never notified, or long ago


class FlushDecision(NamedTuple):
    """The outcome of one flush."""

    notifications: list[DueNotification]
    log_only: list[tuple[str, LogEntry]]  # entries to write although nothing is sent
    # (fingerprint, revision) of alerts that may be deleted once every integration is notified
    resolved: list[tuple[str, bytes]]
    muted_by: list[str]  # names of time intervals


class MutedAlertsUpdate(NamedTuple):
    """The records of suppressed alerts that a flush writes, and the log for the next flush."""

    records: list[SuppressionUpdate]
    log: MutedAlertsLog


def decide_flush(
    loaded: LoadedGroup,
    group: Group,
    receiver: Receiver,
    roster: Roster,
    muting: Muting,
    now: float,
    tick: float,
    silent: Mapping[str, float] = MappingProxyType({}),
) -> FlushDecision:
    """Decide one flush. `group` carries the timings in force now, `loaded` what is stored.

    silent: the key of an integration's log → when its incident ended because nothing was heard of
    it (Unix seconds).
    tick: when the flush was planned, Unix seconds. The log carries it, so that the tick a whole
    repeat_interval later repeats, whatever the milliseconds.
    """
    now_ns = int(now * 10**9)
    over = {alert.fingerprint for alert in loaded.alerts if alert.resolved(now_ns)}
    resolved = [(fingerprint, loaded.revisions[fingerprint]) for fingerprint in over]
    muted_by = active_mute_intervals(group, roster, now)
    unmuted = [] if muted_by else [a for a in loaded.alerts if not muting.is_muted(a)]
    decision = FlushDecision([], [], resolved, muted_by)
    for integration in receiver.integrations:
        if muted_by and integration.kind != "oncall":
            continue
        key = notification_log_key(integration)
        previous = _unexpired_entry(loaded.log.get(key), now)
        alerts = unmuted
        if integration.kind == "oncall" and len(unmuted) < len(loaded.alerts):
            alerts = _unmuted_or_known(loaded.alerts, unmuted, previous)
        if not alerts and loaded.alerts:
            continue
        if previous and key in silent and _was_pushed_after(silent[key], unmuted, over):
            # a push is news again: without it the silence would last until the next repetition
            previous = replace(previous, firing=[])
        due = _due_notification(integration, alerts, over, previous, group, now, tick)
        # Repeating is no news: while all of it is muted, an incident that somebody has resolved
        # must not open again.
        if due is None or (due.reason == "repeat interval elapsed" and not unmuted):
            continue
        if due.alerts:
            decision.notifications.append(due)
        else:
            decision.log_only.append((key, due.log_entry))
    return decision


def first_flush(starts_ns: int, group_wait: float, now_ns: int) -> int:
    """The time of a group's first flush, ns: after `group_wait` seconds.

    At once where its alert has fired for longer than that.
    """
    wait_ns = int(group_wait * 10**9)
    return now_ns if starts_ns + wait_ns < now_ns else now_ns + wait_ns


def flush_tick(group: Group, planned: float, now: float) -> float:
    """The tick that a flush counts as, when it was planned for one; the next is an interval later.

    Ticks that were missed are not made up for. All in Unix seconds.
    """
    return planned if planned + group.group_interval > now else now


def next_repeat(entry: LogEntry, group: Group) -> float:
    """The tick at which alerts that fire without a change are notified anew, Unix seconds."""
    return entry.at + math.ceil(group.repeat_interval / group.group_interval) * group.group_interval


def notification_log_key(integration: Integration) -> str:
    """The key of an integration in its group's notification log: `webhook/0`."""
    return f"{integration.kind}/{integration.index}"


def active_mute_intervals(group: Group, roster: Roster, now: float) -> list[str]:
    """The names of the time intervals that mute a group; [] = it is not muted.

    Its mute intervals that are active or, where none of its active intervals is, all of those.
    """
    at = datetime.fromtimestamp(now, UTC)
    muting = [
        name for name in roster.known_intervals(group.mute_time_intervals) if roster.holds(name, at)
    ]
    if muting:
        return muting
    active = roster.known_intervals(group.active_time_intervals)
    return [] if not active or any(roster.holds(name, at) for name in active) else active


def _was_pushed_after(end: float, alerts: list[Alert], over: set[str]) -> bool:
    return last_push([alert for alert in alerts if alert.fingerprint not in over]) > end


def _unexpired_entry(entry: LogEntry | None, now: float) -> LogEntry | None:
    """Return the entry, or None for one that has expired: as if nothing was ever notified."""
    if entry is None or entry.at + LOG_RETENTION < now:
        # an open incident is still the group's, however old the last notification is
        return entry if entry is not None and entry.incident else None
    return entry


def _unmuted_or_known(
    alerts: list[Alert], unmuted: list[Alert], previous: LogEntry | None
) -> list[Alert]:
    """Return the alerts of an incident's notification while some of the group's are muted.

    Muted alerts page nobody, but an incident still learns what becomes of its own. Alertmanager
    never announces a resolution that happens while muted; an incident would then escalate for ever.
    """
    known = {alert.fingerprint for alert in unmuted}.union(previous.firing if previous else ())
    return [alert for alert in alerts if alert.fingerprint in known]


def _due_notification(
    integration: Integration,
    alerts: list[Alert],
    over: set[str],
    previous: LogEntry | None,
    group: Group,
    now: float,
    tick: float,
) -> DueNotification | None:
    firing = frozenset(alert.fingerprint for alert in alerts if alert.fingerprint not in over)
    resolved = frozenset(alert.fingerprint for alert in alerts if alert.fingerprint in over)
    reason = notification_reason(
        previous,
        firing,
        resolved,
        send_resolved=integration.send_resolved,
        repeat_interval=group.repeat_interval,
        now=now,
    )
    if reason is None:
        return None
    shown = sort_alerts(
        [alert for alert in alerts if integration.send_resolved or alert.fingerprint in firing]
    )
    if integration.kind == "oncall" and previous is not None:
        resolved |= frozenset(previous.resolved) - firing
    log_entry = LogEntry(
        firing=sorted(firing),
        resolved=sorted(resolved),
        at=tick,
        incident=previous.incident if previous else "",
        # a first notification begins a message of its own
        ref=previous.ref if previous and reason != "first notification" else {},
    )
    limit = getattr(integration.settings, "max_alerts", 0) or len(shown)
    return DueNotification(
        integration, shown[:limit], max(0, len(shown) - limit), reason, log_entry, previous
    )


def decide_incident_event(
    due: DueNotification, group: Group, incident: Incident | None, now: float
) -> Opened | Returned | AlertsChanged | None:
    """Return the event of a notification for the group's incident; None = none.

    `Opened` wants a new_incident. The log entry of the notification is brought up to date.
    """
    pushed_at = last_push(firing_alerts(due))
    event = incident_event(incident, alerts_changed(due, group, now), pushed_at=pushed_at, now=now)
    if isinstance(event, Opened | Returned):
        due.log_entry.resolved = []  # it begins anew: what was resolved before is not its own
    elif event is not None and incident is not None and event.fresh:
        known = set(due.previous.firing) if due.previous else set[str]()
        fresh = (one.labels for one in firing_alerts(due) if one.fingerprint not in known)
        reopens, joined = find_joined(incident, fresh)
        return replace(event, reopens=reopens, joined=joined)
    return event


def new_incident(
    config: Config,
    group: Group,
    integration: Integration,
    firing: Sequence[Alert],
    now: float,
    *,
    number: int,
    title: str,
) -> Incident:
    """The incident that a group of firing alerts opens; not stored yet."""
    settings: OncallSettings = integration.settings
    policy = settings.escalation_policy
    return Incident(
        id=new_id(),
        number=number,
        title=title,
        receiver=group.receiver,
        policy=policy,
        plan=config.policies.get(policy) or Policy(name=policy),
        urgency=settings.urgency,
        group=group.id,
        group_key=group.key,
        group_labels=group.labels,
        common_labels=common_pairs(alert.labels for alert in firing),
        common_annotations=common_pairs(alert.annotations for alert in firing),
        severity=gravest(severity_of(alert.labels) for alert in firing),
        source=firing[0].source,
        firing=len(firing),
        started_at=now,
        pushed_at=last_push(firing),
    )


def last_push(alerts: Sequence[Alert]) -> float:
    """The time of the last push among alerts, Unix seconds; 0 where there are none."""
    return max((alert.updated_ns for alert in alerts), default=0) / 10**9


def incident_event(
    incident: Incident | None, changed: AlertsChanged, *, pushed_at: float, now: float
) -> Opened | Returned | AlertsChanged | None:
    """Return the event that a notification means to the group's incident; None = none.

    `Opened` wants a new incident. incident: that of the last notification, None = there is none.
    changed: the alerts as this notification has them. pushed_at: the last push of a firing alert,
    Unix seconds.
    """
    over = incident is None or incident.state == "resolved"
    if not (over and changed.firing and _is_news(incident, changed, pushed_at)):
        return changed if incident is not None else None
    if incident is not None and _is_same_incident(incident, now):
        return Returned(alerts=replace(changed, fresh=changed.firing, resolved=0))
    return Opened(reason=NEWS_PHRASES[changed.reason], repairs=changed.repairs)


def alerts_changed(due: DueNotification, group: Group, now: float) -> AlertsChanged:
    """The event of a notification for its incident: the alerts as the notification has them."""
    firing = firing_alerts(due)
    shown = firing or due.alerts
    expired = not firing and all(_has_lapsed(alert, now) for alert in due.alerts)
    known = due.previous.firing if due.previous else ()
    unnamed = sum(alert.unnamed and alert.fingerprint in known for alert in due.alerts)
    return AlertsChanged(
        reason=due.reason,
        firing=len(firing),
        resolved=len(due.log_entry.resolved),
        fresh=len(set(due.log_entry.firing).difference(known)),
        common_labels=common_pairs(alert.labels for alert in shown),
        common_annotations=common_pairs(alert.annotations for alert in shown),
        ended_by="expired" if expired else "unnamed" if unnamed else "source",
        unnamed=unnamed,
        severity=gravest(severity_of(alert.labels) for alert in firing),
        group=group.id,
        repairs=_news_repairs(due),
    )


def _news_repairs(due: DueNotification) -> tuple[AlertRepair, ...]:
    """The repairs of alerts that began or ended with a notification, each once."""
    known = set(due.previous.firing) if due.previous else set[str]()
    firing = set(due.log_entry.firing)
    found: dict[AlertRepair, None] = {}
    for alert in due.alerts:
        name = alert.fingerprint
        if alert.repairs and (name in firing) != (name in known):
            found.update(dict.fromkeys(alert.repairs))
            if len(found) >= MAX_REPAIRS:
                break
    return tuple(islice(found, MAX_REPAIRS))


def firing_alerts(due: DueNotification) -> list[Alert]:
    """The alerts of a notification that fire, in its order."""
    firing = set(due.log_entry.firing)
    return [alert for alert in due.alerts if alert.fingerprint in firing]


def _is_news(ended: Incident | None, changed: AlertsChanged, pushed_at: float) -> bool:
    """Decide whether alerts that fire without an open incident are reason enough to page."""
    repeats = changed.reason == "repeat interval elapsed"
    if ended is not None and ended.resolved_by == "silent" and repeats:
        # it was resolved because nobody pushed its alerts any more: only a push is news then
        return pushed_at > (ended.resolved_at or 0.0)
    return changed.reason != "some alerts resolved"


def _is_same_incident(resolved: Incident, now: float) -> bool:
    """Decide whether alerts that fire again reopen their incident (`reopen_within`)."""
    return now - (resolved.resolved_at or 0.0) < resolved.plan.reopen_within


def _has_lapsed(alert: Alert, now: float) -> bool:
    """Nobody sent its end: it was not heard of again before the time at which it would end."""
    if alert.unnamed:
        return False
    sent = not alert.timeout and 0 < alert.ends_ns <= alert.updated_ns
    return not (sent and alert.ends_ns <= now * 10**9)


def compare_muted_alerts(
    loaded: LoadedGroup, group: Group, muting: Muting, notified: Set[str], now: float
) -> MutedAlertsUpdate | None:
    """Compare what silences and windows suppress with the log of the last flush; None = no news.

    notified: fingerprints of the firing alerts that this flush notifies of. Most flushes change
    nothing, so most write nothing.
    """
    previous = loaded.following
    if not (previous or muting.silenced_by or muting.maintained_by):
        return None
    was = previous.by if previous else {}
    suppressed = _muting_causes(loaded.alerts, muting, was)
    refresh = previous is None or now - previous.at >= MUTED_WRITE_EVERY
    now_ns = int(now * 10**9)
    records, by = list[SuppressionUpdate](), dict[str, list[str]]()
    for alert in loaded.alerts:
        name = alert.fingerprint
        known, causes = was.get(name, []), suppressed.get(name, [])
        if not (known or causes):
            continue
        over = alert.resolved(now_ns)
        released = not causes and name in notified
        if released:
            record = _suppressed_record(alert, group, now, notified_at=now)
            records += [SuppressionUpdate(cause, record) for cause in known]
        else:
            record = _suppressed_record(alert, group, now)
            changed = [cause for cause in causes if refresh or over or cause not in known]
            records += [SuppressionUpdate(cause, record) for cause in changed]
        if not over and not released:
            by[name] = list(dict.fromkeys((*known, *causes)))
    if not records and by == was:
        return None
    return MutedAlertsUpdate(records, MutedAlertsLog(at=now, by=by))


def _muting_causes(
    alerts: list[Alert], muting: Muting, was: dict[str, list[str]]
) -> dict[str, list[str]]:
    """Fingerprint → `silence:ID` and `maintenance:ID`, of MAX_SUPPRESSED alerts at most."""
    suppressed: dict[str, list[str]] = {}
    # those that are in the log already come first: an alert must not drop out of its record
    for alert in sorted(alerts, key=lambda alert: alert.fingerprint not in was):
        name = alert.fingerprint
        causes = [f"silence:{id_}" for id_ in muting.silenced_by.get(name, ())]
        causes += [f"maintenance:{id_}" for id_ in muting.maintained_by.get(name, ())]
        if causes and len(suppressed) < MAX_SUPPRESSED:
            suppressed[name] = causes
    return suppressed


def _suppressed_record(
    alert: Alert, group: Group, now: float, notified_at: float | None = None
) -> SuppressedAlertRecord:
    return SuppressedAlertRecord(
        fingerprint=alert.fingerprint,
        labels=alert.labels,
        group=group.id,
        receiver=group.receiver,
        first=now,
        last=now,
        told=notified_at,
    )
