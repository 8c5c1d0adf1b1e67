"""While all alerts of an incident are muted its plan stands still: until that is over, alerts come that are not muted, or a person acts.

`wait_for_alerts`: a policy stands still until enough alerts have come within a time. Each new alert asks again.

`auto_resolve`: an incident of which there was no news for long is over.
"""

from __future__ import annotations

from amproxy.config.structs import Policy, WaitForAlertsStep
from amproxy.machine import draft as machine_draft
from amproxy.machine.draft import Draft
from amproxy.machine.events import Hold
from amproxy.model import Incident
from amproxy.times import format_duration


def hold_incident(draft: Draft, event: Hold) -> None:
    """Page nobody before the end of it, except those who were asked by hand. Only what is triggered can be held."""
    incident = draft.incident
    if incident.state != "triggered" or event.until <= draft.now:
        release_hold(draft, "that is over")
        return
    if incident.held_by != event.reason:
        draft.say("held", f"Nobody is paged for now: {event.reason}.", until=event.until)
    incident.held_until, incident.held_by = event.until, event.reason


def release_hold(draft: Draft, why: str) -> None:
    """Let the plan, and people's rules, go on where they stood."""
    incident = draft.incident
    if incident.held_until is not None:
        draft.say("released", f"No longer held back ({incident.held_by}): {why}.")
        incident.held_until, incident.held_by = None, ""


def expire_hold(draft: Draft) -> None:
    """Release it when it is time."""
    if draft.incident.held_until is not None and draft.incident.held_until <= draft.now:
        release_hold(draft, "that is over")


def record_arrivals(draft: Draft, alerts: int) -> None:
    """So many alerts are new. They are remembered as far back as a step may look, and a plan that waits for them looks again."""
    incident = draft.incident
    plans: list[Policy] = [incident.plan, *incident.forwards.values()]
    longest = max((step.within for plan in plans for step in plan.steps if isinstance(step, WaitForAlertsStep)), default=0.0)
    if longest and alerts:
        incident.arrivals = [(at, count) for at, count in incident.arrivals if at > draft.now - longest] + [(draft.now, alerts)]
    if incident.state == "triggered" and incident.waiting == "alerts":
        incident.step_due = draft.now


def has_enough_alerts(draft: Draft, step: WaitForAlertsStep, number: int) -> bool:
    """Whether enough alerts came; where not, the plan stands still before the step."""
    incident = draft.incident
    came = sum(count for at, count in incident.arrivals if at > draft.now - step.within)
    within = format_duration(step.within)
    if came > step.more_than:
        draft.say("step", f"Step {number}: {came} alerts came within {within}, more than {step.more_than}: going on.", step=number)
        return True
    why = f"more than {step.more_than} alerts within {within}"
    if incident.waiting != "alerts":
        draft.say("step", f"Step {number}: waiting for {why}; there were {came}.", step=number)
    incident.position = number - 1
    machine_draft.set_wait(draft, "alerts", None, why)
    return False


def auto_resolve_due(incident: Incident) -> float | None:
    """When it ends by itself if there is no news (Unix seconds); None = never. A snooze is waited for."""
    if not incident.plan.auto_resolve or incident.state in ("resolved", "snoozed"):
        return None
    return incident.heard_at + incident.plan.auto_resolve


def auto_resolve(draft: Draft, heard: float | None) -> None:
    """End it if it is time. heard: when its alerts were pushed last; that is news as well."""
    incident = draft.incident
    incident.heard_at = max(incident.heard_at, heard or 0.0)
    end = auto_resolve_due(incident)
    if end is not None and end <= draft.now:
        text = f"Resolved: there was no news of it for {format_duration(incident.plan.auto_resolve)}."
        machine_draft.close_incident(draft, by="silent", text=text)
