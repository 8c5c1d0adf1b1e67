"""A snooze: nothing happens until its end. Then the policy begins anew or, with `after_snooze: resume`, goes on where it was."""

from __future__ import annotations

from amproxy.clock import utc
from amproxy.errors import Conflict
from amproxy.machine import states, waits
from amproxy.machine.draft import Draft
from amproxy.machine.events import Snooze


def snooze(draft: Draft, event: Snooze) -> None:
    """Put it off, whatever it is. Raises Conflict for an end that is past."""
    incident = draft.incident
    if event.until <= draft.now:
        raise Conflict("the end of a snooze must lie in the future")
    if incident.state == "triggered":
        _count_what_is_left(draft)
    left, waiting, words, chains = incident.step_left, incident.waiting, incident.waiting_for, incident.chains
    resumes = incident.plan.after_snooze == "resume" and incident.state in ("triggered", "snoozed")
    states.stop(draft)
    incident.chains = chains if resumes else []
    if resumes:
        incident.step_left, incident.waiting, incident.waiting_for = left, waiting, words
    incident.state, incident.snoozed_by, incident.snoozed_until = "snoozed", event.user, event.until
    incident.acknowledged_by, incident.acknowledged_at = "", None
    text = f"Snoozed by {draft.name(event.user)} until {utc(event.until):%Y-%m-%d %H:%M} UTC (via {event.via})."
    draft.say("snoozed", text, user=event.user, until=event.until)
    draft.redraw(text)


def _count_what_is_left(draft: Draft) -> None:
    """How long the plan and each person's rules would still have waited."""
    incident = draft.incident
    for chain in incident.chains:
        chain.left, chain.due = _until(draft, chain.due), None
    # One that waits for alerts looks again at the end: some may have come meanwhile.
    incident.step_left = 0.0 if incident.waiting == "alerts" else _until(draft, incident.step_due)


def _until(draft: Draft, due: float | None) -> float | None:
    return None if due is None else max(0.0, due - draft.now)


def run_out(draft: Draft) -> None:
    """At the end of a snooze it triggers again."""
    incident = draft.incident
    if incident.state != "snoozed" or incident.snoozed_until is None or incident.snoozed_until > draft.now:
        return
    running = [chain for chain in incident.chains if chain.left is not None]
    if incident.plan.after_snooze == "restart" or (incident.step_left is None and not running):
        states.trigger_again(draft, "triggered", "The snooze is over: the policy begins anew.", "")
        return
    states.triggered(draft)
    step_due = None if incident.step_left is None else draft.now + incident.step_left
    waits.wait(draft, incident.waiting, step_due, incident.waiting_for)
    incident.step_left = None
    for chain in running:
        chain.due, chain.left = draft.now + (chain.left or 0.0), None
    text = "The snooze is over: the policy goes on where it was."
    draft.say("triggered", text)
    draft.redraw(text)
