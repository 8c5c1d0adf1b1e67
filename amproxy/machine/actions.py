"""What people do to an incident: answer it, put it off, end it, bring it back. What involves others stands in handover.py."""

from __future__ import annotations

from amproxy.clock import utc
from amproxy.errors import Conflict
from amproxy.machine import gate, handover, states
from amproxy.machine.answer import answered, joined, renewed
from amproxy.machine.change import Draft
from amproxy.machine.events import (
    Absorb,
    Acknowledge,
    Act,
    AddResponders,
    Escalate,
    Merge,
    Note,
    Reassign,
    Reopen,
    Resolve,
    Snooze,
    Unacknowledge,
)
from amproxy.machine.plans import begin


def act(draft: Draft, event: Act) -> None:
    """Do what a person asked for. Raises Conflict when the state, or the age of the button, forbids it."""
    if isinstance(event, Note):
        draft.say("note", f"{draft.name(event.user)}: {event.text}", user=event.user, note=event.text)
        return
    if isinstance(event, Reopen):
        _reopen(draft, event)
        return
    _refuse_stale(draft, event)
    draft.incident.heard_at = draft.now
    match event:
        case Acknowledge():
            _acknowledge(draft, event)
        case Unacknowledge():
            _unacknowledge(draft, event)
        case Resolve():
            by = f"Resolved by {draft.name(event.user)} (via {event.via})."
            states.close(draft, by=event.user or event.via, text=by, user=event.user)
        case Snooze():
            _snooze(draft, event)
        case Escalate():
            _escalate(draft, event)
        case Reassign():
            handover.reassign(draft, event)
        case AddResponders():
            handover.add_responders(draft, event)
        case Merge():
            handover.merge(draft, event)
        case Absorb():
            handover.absorb(draft, event)
        case _:
            raise TypeError(f"no such action: {event!r}")


def _refuse_stale(draft: Draft, event: Act) -> None:
    incident = draft.incident
    if incident.state == "resolved":
        if incident.merged_into:
            raise Conflict(f"#{incident.number} is part of another incident now")
        who = draft.name(incident.resolved_by) if incident.resolved_by not in states.ENDS else "its alerts"
        raise Conflict(f"#{incident.number} is already resolved by {who}")
    if event.epoch is not None and event.epoch != incident.epoch:
        raise Conflict(f"this button is from an earlier alarm of #{incident.number}; it is {incident.state} now")


def _acknowledge(draft: Draft, event: Acknowledge) -> None:
    incident = draft.incident
    if incident.state == "acknowledged":
        if not (joined(draft, event) or renewed(draft, event)):
            raise Conflict(f"#{incident.number} is already acknowledged by {draft.name(incident.acknowledged_by)}")
        return
    answered(draft, event)


def _unacknowledge(draft: Draft, event: Unacknowledge) -> None:
    if draft.incident.state != "acknowledged":
        raise Conflict(f"#{draft.incident.number} is not acknowledged; it is {draft.incident.state}")
    text = f"Acknowledgement withdrawn by {draft.name(event.user)} (via {event.via})."
    states.trigger_again(draft, "unacknowledged", text, event.user)


def _reopen(draft: Draft, event: Reopen) -> None:
    incident = draft.incident
    if incident.state != "resolved":
        raise Conflict(f"#{incident.number} is not resolved; it is {incident.state}")
    if incident.merged_into:
        raise Conflict(f"#{incident.number} is part of another incident now")
    states.trigger_again(draft, "reopened", f"Opened again by {draft.name(event.user)} (via {event.via}).", event.user)
    begin(draft, draft.roster.config.policies.get(incident.policy, incident.plan))


def _snooze(draft: Draft, event: Snooze) -> None:
    incident = draft.incident
    if event.until <= draft.now:
        raise Conflict("the end of a snooze must lie in the future")
    left, chains = incident.step_left, incident.chains
    if incident.state == "triggered" and incident.plan.after_snooze == "resume":
        for chain in chains:
            chain.left, chain.due = None if chain.due is None else max(0.0, chain.due - draft.now), None
        left = 0.0 if gate.standing(draft) else None if incident.step_due is None else max(0.0, incident.step_due - draft.now)
    waiting_for = incident.waiting_for
    states.stop(draft)
    if incident.plan.after_snooze == "resume" and incident.state in ("triggered", "snoozed"):
        incident.step_left, incident.chains, incident.waiting_for = left, chains, waiting_for
    incident.state, incident.snoozed_by, incident.snoozed_until = "snoozed", event.user, event.until
    incident.acknowledged_by, incident.acknowledged_at = "", None
    text = f"Snoozed by {draft.name(event.user)} until {utc(event.until):%Y-%m-%d %H:%M} UTC (via {event.via})."
    draft.say("snoozed", text, user=event.user, until=event.until)
    draft.redraw(text)


def unsnooze(draft: Draft) -> None:
    """The snooze is over: the plan begins anew or, where it is configured so and something was left, goes on where it was."""
    incident = draft.incident
    left = [chain for chain in incident.chains if chain.left is not None]
    if incident.plan.after_snooze == "restart" or (incident.step_left is None and not left):
        states.trigger_again(draft, "triggered", "The snooze is over: the policy begins anew.", "")
        return
    incident.state, incident.epoch, incident.heard_at = "triggered", incident.epoch + 1, draft.now
    incident.snoozed_by, incident.snoozed_until = "", None
    incident.step_due = None if incident.step_left is None else draft.now + incident.step_left
    incident.step_left = None
    for chain in left:
        chain.due, chain.left = draft.now + (chain.left or 0.0), None
    text = "The snooze is over: the policy goes on where it was."
    draft.say("triggered", text)
    draft.redraw(text)


def _escalate(draft: Draft, event: Escalate) -> None:
    """Run the next step now; from the beginning where nothing runs."""
    incident = draft.incident
    text = f"Escalated by {draft.name(event.user)} (via {event.via})."
    if incident.state != "triggered":
        states.trigger_again(draft, "escalated", text, event.user)
        return
    draft.say("escalated", text, user=event.user)
    incident.held_until, incident.held_by = None, ""
    if gate.standing(draft):
        incident.position += 1
    elif incident.step_due is None:
        states.restart(draft)
        return
    incident.step_due, incident.waiting_for = draft.now, ""
