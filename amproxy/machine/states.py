"""From one state to another: what begins, and what is not due any more."""

from __future__ import annotations

from typing import Any

from amproxy.machine import waits
from amproxy.machine.draft import Draft

ENDS = {
    "source": "its alerts are resolved",
    "expired": "no news from the source in time",
    "moved": "its alerts belong to other groups since the file changed",
    "policy": "a step of its policy ends it",
    "silent": "there was no news of it for long",
    "merged": "it is part of another incident now",
}


def restart(draft: Draft) -> None:
    """Begin the plan from its first step, now."""
    incident = draft.incident
    incident.position, incident.round = 0, 1
    _only_asked(draft)
    waits.go_on(draft)


def stop(draft: Draft) -> None:
    """Nothing of the plan is due any more, nor of an answer. People who were asked by hand are still asked."""
    incident = draft.incident
    waits.end(draft)
    _only_asked(draft)
    incident.acknowledge_due = incident.reminder_due = incident.step_left = None
    incident.held_until, incident.held_by = None, ""


def _only_asked(draft: Draft) -> None:
    draft.incident.chains = [chain for chain in draft.incident.chains if chain.insists]


def triggered(draft: Draft) -> None:
    """Whatever it was, it is triggered now; buttons drawn before are old. What is due then, the caller says."""
    incident = draft.incident
    incident.state, incident.epoch, incident.heard_at = "triggered", incident.epoch + 1, draft.now
    incident.acknowledged_by, incident.acknowledged_at = "", None
    incident.snoozed_by, incident.snoozed_until = "", None
    incident.resolved_by, incident.resolved_at = "", None


def trigger_again(draft: Draft, kind: str, text: str, user: str, **data: Any) -> None:
    """It is triggered and begins its plan anew. data: for the timeline."""
    triggered(draft)
    stop(draft)
    draft.say(kind, text, user=user, **data)
    restart(draft)
    draft.redraw(text)


def close(draft: Draft, *, by: str, text: str, user: str = "", step: int = 0) -> None:
    """End the incident; nothing is due any more."""
    incident = draft.incident
    incident.state, incident.resolved_by, incident.resolved_at = "resolved", by, draft.now
    incident.snoozed_until = None
    stop(draft)
    incident.chains = []
    draft.say("resolved", text, user=user, step=step, by=by)
    draft.redraw(text)
