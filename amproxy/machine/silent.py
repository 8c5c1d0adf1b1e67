"""`auto_resolve`: an incident of which there was no news for long is over."""

from __future__ import annotations

from amproxy.machine import states
from amproxy.machine.draft import Draft
from amproxy.model import Incident
from amproxy.times import format_duration


def due(incident: Incident) -> float | None:
    """When it ends by itself if there is no news (Unix seconds); None = never. A snooze is waited for."""
    if not incident.plan.auto_resolve or incident.state in ("resolved", "snoozed"):
        return None
    return incident.heard_at + incident.plan.auto_resolve


def run_out(draft: Draft, heard: float | None) -> None:
    """End it if it is time. heard: when its alerts were pushed last; that is news as well."""
    incident = draft.incident
    incident.heard_at = max(incident.heard_at, heard or 0.0)
    end = due(incident)
    if end is not None and end <= draft.now:
        text = f"Resolved: there was no news of it for {format_duration(incident.plan.auto_resolve)}."
        states.close(draft, by="silent", text=text)
