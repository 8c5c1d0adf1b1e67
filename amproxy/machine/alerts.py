"""What alerts do to an incident: open it, change it, end it, bring it back."""

from __future__ import annotations

from amproxy.machine import draft as machine_draft
from amproxy.machine import holds, policy
from amproxy.machine.draft import Draft
from amproxy.machine.events import AlertsChanged, Opened, Returned
from amproxy.model import MergedGroup, common_pairs
from amproxy.times import format_duration


def on_opened(draft: Draft, event: Opened) -> None:
    incident = draft.incident
    policy.begin_policy(draft, incident.plan)
    incident.heard_at = draft.now
    holds.record_arrivals(draft, incident.firing)
    where = f"receiver {incident.receiver}, policy {incident.policy}" if incident.receiver else f"policy {incident.policy}"
    draft.say("opened", f"Opened ({event.reason}): {where}.", user=event.by, firing=incident.firing, resolved=incident.resolved)
    machine_draft.restart_steps(draft)


def on_alerts_changed(draft: Draft, event: AlertsChanged) -> None:
    """Counts and texts follow the alerts; when nothing fires any more the incident is over."""
    incident = draft.incident
    _update_counts(draft, event)
    if incident.state == "resolved" or event.reason == "repeat interval elapsed":  # that is no news, but amproxy's own clock
        return
    incident.heard_at = draft.now
    counts = f"{incident.firing} firing, {incident.resolved} resolved"
    if incident.firing or "" in incident.parts:  # what was opened by hand is not over with the alerts of others
        text = f"{event.fresh} new, {counts}" if event.fresh else counts
        told = f"Alerts changed ({event.reason}): {text}."
        draft.say("alerts", told, firing=incident.firing, resolved=incident.resolved, fresh=event.fresh)
        draft.redraw(f"Alerts changed: {counts}.")
        if event.fresh:
            holds.release_hold(draft, "new alerts are not muted")
            holds.record_arrivals(draft, event.fresh)
        return
    machine_draft.close_incident(draft, by=event.ended_by, text=f"Resolved: {machine_draft.RESOLVED_TEXTS[event.ended_by]}.")


def on_returned(draft: Draft, event: Returned) -> None:
    """Open it again. One that comes back too often is held back until it has fired for a while."""
    incident, alerts = draft.incident, event.alerts
    _update_counts(draft, alerts)
    after = format_duration(max(1, round(draft.now - (incident.resolved_at or draft.now))))
    policy.begin_policy_anew(draft)
    text = f"Its alerts fire again after {after}."
    machine_draft.trigger_again(draft, "reopened", text, "", firing=incident.firing, resolved=incident.resolved)
    holds.record_arrivals(draft, alerts.fresh)
    _dampen_flapping(draft)


def _dampen_flapping(draft: Draft) -> None:
    """Flapping: the plan begins only if the alerts go on firing."""
    incident, flapping = draft.incident, draft.incident.plan.flapping
    if flapping is None:
        return
    incident.returns = [at for at in incident.returns if at > draft.now - flapping.within] + [draft.now]
    times = len(incident.returns)
    if times > flapping.more_than:
        hold = format_duration(flapping.hold)
        machine_draft.set_wait(draft, "flapping", draft.now + flapping.hold, f"flapping: must fire for {hold}")
        often = f"it came back {times} times in {format_duration(flapping.within)}"
        draft.say("flapping", f"Flapping: {often}. Nobody is paged unless it fires for {hold}.")


def _update_counts(draft: Draft, event: AlertsChanged) -> None:
    """Take over what the group's alerts are now; an incident that others were merged into adds up all of its groups."""
    incident = draft.incident
    part = MergedGroup(
        firing=event.firing, resolved=event.resolved, common_labels=event.common_labels, common_annotations=event.common_annotations
    )
    if incident.parts:
        incident.parts = {**incident.parts, event.group: part}
    sum_groups(draft, list(incident.parts.values()) or [part])


def sum_groups(draft: Draft, parts: list[MergedGroup]) -> None:
    """An incident shows what all of its alerts share."""
    incident = draft.incident
    incident.firing, incident.resolved = sum(part.firing for part in parts), sum(part.resolved for part in parts)
    shown = [part for part in parts if part.firing] or parts
    incident.common_labels = common_pairs(part.common_labels for part in shown)
    incident.common_annotations = common_pairs(part.common_annotations for part in shown)
