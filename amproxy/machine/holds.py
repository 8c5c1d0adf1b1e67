"""Delays and ends without a person: muted alerts, too few alerts, no news for long."""

from __future__ import annotations

from amproxy.config.structs import Policy, WaitForAlertsStep
from amproxy.machine.draft import Draft, close_incident, set_wait
from amproxy.machine.events import Hold
from amproxy.model import Incident
from amproxy.text import Length, Phrase, phrase


def hold_incident(draft: Draft, event: Hold) -> None:
    """Page nobody before its end but those paged by hand: all alerts are muted.

    New alerts that are not muted, or a person's action, end the hold early.
    """
    incident = draft.incident
    # In other states nothing of the policy runs that could be delayed.
    if incident.state != "triggered" or event.until <= draft.now:
        release_hold(draft, phrase("hold.over"))
        return
    if incident.held_by != event.reason:
        draft.record("held", phrase("event.held", reason=event.reason), until=event.until)
    incident.held_until, incident.held_by = event.until, event.reason


def release_hold(draft: Draft, why: Phrase) -> None:
    """Let the policy, and people's rules, go on where they are."""
    incident = draft.incident
    if incident.held_until is not None:
        draft.record("released", phrase("event.released", reason=incident.held_by, why=why))
        incident.held_until, incident.held_by = None, ""


def expire_hold(draft: Draft) -> None:
    """End a hold whose time is over."""
    if draft.incident.held_until is not None and draft.incident.held_until <= draft.now:
        release_hold(draft, phrase("hold.over"))


def record_arrivals(draft: Draft, alerts: int) -> None:
    """Count new alerts, and have a `wait_for_alerts` step that waits for them check again."""
    incident = draft.incident
    plans: list[Policy] = [incident.plan, *incident.forwards.values()]
    # Kept as far back as any step of these policies may count.
    longest = max(
        (
            step.within
            for plan in plans
            for step in plan.steps
            if isinstance(step, WaitForAlertsStep)
        ),
        default=0.0,
    )
    if longest and alerts:
        recent = [(at, count) for at, count in incident.arrivals if at > draft.now - longest]
        incident.arrivals = [*recent, (draft.now, alerts)]
    if incident.state == "triggered" and incident.waiting == "alerts":
        incident.step_due = draft.now


def has_enough_alerts(draft: Draft, step: WaitForAlertsStep, number: int) -> bool:
    """True where enough alerts came within the step's time; else the policy waits at the step."""
    incident = draft.incident
    came = sum(count for at, count in incident.arrivals if at > draft.now - step.within)
    wanted = phrase("wait.alerts", n=step.more_than, within=Length(step.within))
    if came > step.more_than:
        what = phrase("event.alerts_came", step=number, count=came, **wanted.values)
        draft.record("step", what, step=number)
        return True
    if incident.waiting != "alerts":
        what = phrase("event.waiting_for_alerts", step=number, wanted=wanted, came=came)
        draft.record("step", what, step=number)
    incident.position = number - 1
    set_wait(draft, "alerts", None, wanted)
    return False


def auto_resolve_due(incident: Incident) -> float | None:
    """The time (Unix seconds) at which it resolves itself without news; None = never.

    Never while it is snoozed: the end of a snooze counts as news.
    """
    if not incident.plan.auto_resolve or incident.state in ("resolved", "snoozed"):
        return None
    return incident.heard_at + incident.plan.auto_resolve


def auto_resolve(draft: Draft, pushed_at: float | None) -> None:
    """Resolve it if that is due. pushed_at: of the last push of its alerts, which is news too."""
    incident = draft.incident
    incident.heard_at = max(incident.heard_at, pushed_at or 0.0)
    end = auto_resolve_due(incident)
    if end is not None and end <= draft.now:
        what = phrase("event.resolved_silent", length=Length(incident.plan.auto_resolve))
        close_incident(draft, "silent", what)
