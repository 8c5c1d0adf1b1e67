"""What a group's flush tells, and to whom: pure, `now` is an argument. flusher.py loads, asks this, and commits.

What a flush finds held back by silences and windows, compared with what the last one wrote: pure. Most flushes change nothing.
"""

from __future__ import annotations

from collections.abc import Set
from datetime import UTC, datetime
from typing import NamedTuple

from amproxy.config.structs import Integration, Receiver
from amproxy.correlate.muting import Muting
from amproxy.grouping.dedup import notification_reason, sort_alerts
from amproxy.model import Alert, Group, LogEntry, MutedAlertsLog, NotificationReason
from amproxy.oncall.roster import Roster
from amproxy.store.groups import LoadedGroup
from amproxy.store.muting import MAX_SUPPRESSED, SuppressedAlertRecord, SuppressionUpdate

LOG_RETENTION = 120 * 3600.0  # seconds: as Alertmanager's --data.retention


class DueNotification(NamedTuple):
    """One integration is to be told, and this is what its log will say then."""

    integration: Integration
    alerts: list[Alert]  # in the order of a message; resolved ones left out where send_resolved is off
    truncated: int
    reason: NotificationReason
    entry: LogEntry
    before: LogEntry | None


class FlushDecision(NamedTuple):
    tellings: list[DueNotification]
    logged: list[tuple[str, LogEntry]]  # entries to write although nothing is sent
    resolved: list[tuple[str, bytes]]  # (fingerprint, revision) that may go once everybody is told
    muted_by: list[str]  # names of time intervals


def decide_flush(
    loaded: LoadedGroup, group: Group, receiver: Receiver, roster: Roster, muting: Muting, now: float, tick: float
) -> FlushDecision:
    """Decide one flush. `group` carries the timings in force now, `loaded` what is stored.

    tick: when the flush was planned. The log carries it, so that the tick a whole repeat_interval later repeats, whatever the milliseconds.
    """
    now_ns = int(now * 10**9)
    over = {alert.fingerprint for alert in loaded.alerts if alert.resolved(now_ns)}
    resolved = [(fingerprint, loaded.revisions[fingerprint]) for fingerprint in over]
    muted_by = active_mute_intervals(group, roster, now)
    heard = [] if muted_by else [alert for alert in loaded.alerts if not muting.holds(alert)]
    tellings: list[DueNotification] = []
    logged: list[tuple[str, LogEntry]] = []
    for integration in receiver.integrations:
        if muted_by and integration.kind != "oncall":
            continue
        before = _unexpired_entry(loaded.log.get(notification_log_key(integration)), now)
        alerts = heard
        if integration.kind == "oncall" and len(heard) < len(loaded.alerts):
            alerts = _unmuted_or_known(loaded.alerts, heard, before)
        if not alerts and loaded.alerts:
            continue
        telling = _due_notification(integration, alerts, over, before, group, now, tick)
        if telling is None or (telling.reason == "repeat interval elapsed" and not heard):
            continue  # repeating is no news: while all of it is muted, an incident that somebody has resolved must not open again
        if telling.alerts:
            tellings.append(telling)
        else:
            logged.append((notification_log_key(integration), telling.entry))
    return FlushDecision(tellings, logged, resolved, muted_by)


def notification_log_key(integration: Integration) -> str:
    return f"{integration.kind}/{integration.index}"


def active_mute_intervals(group: Group, roster: Roster, now: float) -> list[str]:
    """Names of the mute intervals that hold, or, where none of the active intervals holds, those."""
    at = datetime.fromtimestamp(now, UTC)
    holding = [name for name in roster.known(group.mute_time_intervals) if roster.holds(name, at)]
    if holding:
        return holding
    active = roster.known(group.active_time_intervals)
    return [] if not active or any(roster.holds(name, at) for name in active) else active


def _unexpired_entry(entry: LogEntry | None, now: float) -> LogEntry | None:
    """An entry that has expired counts as none: nothing was ever told."""
    if entry is None or entry.at + LOG_RETENTION < now:
        return entry if entry is not None and entry.incident else None
    return entry


def _unmuted_or_known(alerts: list[Alert], heard: list[Alert], before: LogEntry | None) -> list[Alert]:
    """While muted, people hear of nothing new, but an incident still learns what becomes of its own alerts.

    Alertmanager never announces a resolution that happens while muted; an incident would then escalate for ever.
    """
    known = {alert.fingerprint for alert in heard}.union(before.firing if before else ())
    return [alert for alert in alerts if alert.fingerprint in known]


def _due_notification(
    integration: Integration, alerts: list[Alert], over: set[str], before: LogEntry | None, group: Group, now: float, tick: float
) -> DueNotification | None:
    firing = frozenset(alert.fingerprint for alert in alerts if alert.fingerprint not in over)
    resolved = frozenset(alert.fingerprint for alert in alerts if alert.fingerprint in over)
    reason = notification_reason(
        before, firing, resolved, send_resolved=integration.send_resolved, repeat_interval=group.repeat_interval, now=now
    )
    if reason is None:
        return None
    told = sort_alerts([alert for alert in alerts if integration.send_resolved or alert.fingerprint in firing])
    if integration.kind == "oncall" and before is not None:
        resolved |= frozenset(before.resolved) - firing
    entry = LogEntry(firing=sorted(firing), resolved=sorted(resolved), at=tick, incident=before.incident if before else "")
    most = getattr(integration.settings, "max_alerts", 0) or len(told)
    return DueNotification(integration, told[:most], max(0, len(told) - most), reason, entry, before)


MUTED_WRITE_EVERY = 3600.0  # seconds: so often it is written that an alert is still held back


class MutedAlertsUpdate(NamedTuple):
    """What is to be written."""

    seen: list[SuppressionUpdate]
    following: MutedAlertsLog


def compare_muted_alerts(loaded: LoadedGroup, group: Group, muting: Muting, told: Set[str], now: float) -> MutedAlertsUpdate | None:
    """None = there is nothing new to write. told: fingerprints of the firing alerts that this flush tells; now: Unix seconds."""
    before = loaded.following
    if not (before or muting.silenced_by or muting.maintained_by):
        return None
    was = before.by if before else {}
    held = _muting_causes(loaded.alerts, muting, was)
    again = before is None or now - before.at >= MUTED_WRITE_EVERY
    now_ns, seen, following = int(now * 10**9), list[SuppressionUpdate](), dict[str, list[str]]()
    for alert in loaded.alerts:
        name = alert.fingerprint
        known, causes = was.get(name, []), held.get(name, [])
        over = alert.resolved(now_ns)
        told_now = not causes and name in told
        if told_now:
            seen += [SuppressionUpdate(by, _muted_alert(alert, group, now, told=now)) for by in known]
        else:
            seen += [SuppressionUpdate(by, _muted_alert(alert, group, now)) for by in causes if again or over or by not in known]
        if not over and not told_now and (known or causes):
            following[name] = list(dict.fromkeys((*known, *causes)))
    if not seen and following == was:
        return None
    return MutedAlertsUpdate(seen, MutedAlertsLog(at=now, by=following))


def _muting_causes(alerts: list[Alert], muting: Muting, was: dict[str, list[str]]) -> dict[str, list[str]]:
    """Fingerprint → what holds it back; of very many alerts those that are followed already, and as many more as there is room for."""
    held: dict[str, list[str]] = {}
    for alert in sorted(alerts, key=lambda alert: alert.fingerprint not in was):
        causes = [f"silence:{name}" for name in muting.silenced_by.get(alert.fingerprint, ())]
        causes += [f"maintenance:{name}" for name in muting.maintained_by.get(alert.fingerprint, ())]
        if causes and len(held) < MAX_SUPPRESSED:
            held[alert.fingerprint] = causes
    return held


def _muted_alert(alert: Alert, group: Group, now: float, told: float | None = None) -> SuppressedAlertRecord:
    return SuppressedAlertRecord(
        fingerprint=alert.fingerprint, labels=alert.labels, group=group.id, receiver=group.receiver, first=now, last=now, told=told
    )
