"""While all alerts of an incident are muted its plan stands still: until that is over, alerts come that are not muted, or a person acts."""

from __future__ import annotations

from amproxy.machine.draft import Draft
from amproxy.machine.events import Hold


def hold(draft: Draft, event: Hold) -> None:
    """Page nobody before the end of it, except those who were asked by hand. Only what is triggered can be held."""
    incident = draft.incident
    if incident.state != "triggered" or event.until <= draft.now:
        release(draft, "that is over")
        return
    if incident.held_by != event.reason:
        draft.say("held", f"Nobody is paged for now: {event.reason}.", until=event.until)
    incident.held_until, incident.held_by = event.until, event.reason


def release(draft: Draft, why: str) -> None:
    """Let the plan, and people's rules, go on where they stood."""
    incident = draft.incident
    if incident.held_until is not None:
        draft.say("released", f"No longer held back ({incident.held_by}): {why}.")
        incident.held_until, incident.held_by = None, ""


def run_out(draft: Draft) -> None:
    """Release it when it is time."""
    if draft.incident.held_until is not None and draft.incident.held_until <= draft.now:
        release(draft, "that is over")
