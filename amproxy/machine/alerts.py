"""What alerts do to an incident."""

from __future__ import annotations

from amproxy.machine import steps
from amproxy.machine.change import Draft
from amproxy.machine.events import AlertsChanged, Opened

ENDS = {
    "source": "its alerts are resolved",
    "expired": "no news from the source in time",
    "moved": "its alerts belong to other groups since the file changed",
}


def opened(draft: Draft, event: Opened) -> None:
    incident = draft.incident
    where = f"receiver {incident.receiver}, policy {incident.policy}" if incident.receiver else f"policy {incident.policy}"
    draft.say("opened", f"Opened ({event.reason}): {where}.", user=event.by)
    steps.restart(draft)


def changed(draft: Draft, event: AlertsChanged) -> None:
    """Counts and texts follow the alerts; when nothing fires any more the incident is over."""
    incident = draft.incident
    incident.firing, incident.resolved = event.firing, event.resolved
    incident.common_labels, incident.common_annotations = event.common_labels, event.common_annotations
    if incident.state == "resolved" or event.reason == "repeat interval elapsed":
        return
    counts = f"{event.firing} firing, {event.resolved} resolved"
    if event.firing:
        text = f"{event.fresh} new, {counts}" if event.fresh else counts
        draft.say("alerts", f"Alerts changed ({event.reason}): {text}.")
        draft.redraw(f"Alerts changed: {counts}.")
        return
    close(draft, by=event.ended_by, text=f"Resolved: {ENDS[event.ended_by]}.")


def close(draft: Draft, *, by: str, text: str, user: str = "") -> None:
    """End the incident; nothing is due any more."""
    incident = draft.incident
    incident.state, incident.resolved_by, incident.resolved_at = "resolved", by, draft.now
    incident.snoozed_until = None
    steps.stop(draft)
    draft.say("resolved", text, user=user)
    draft.redraw(text)
