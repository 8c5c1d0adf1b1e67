"""What people do to an incident: answer it, end it, bring it back. Snoozes stand in snoozing.py, what involves others in handover.py."""

from __future__ import annotations

from amproxy.errors import Conflict
from amproxy.machine import answer, holds, policy, responders, snoozing, states, waits
from amproxy.machine.draft import Draft
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


def act(draft: Draft, event: Act) -> None:
    """Do what a person asked for. Raises Conflict when the state, or the age of the button, forbids it."""
    _refuse_stale(draft, event)
    draft.incident.heard_at = draft.now
    match event:
        case Note():
            draft.say("note", f"{draft.name(event.user)}: {event.text}", user=event.user, note=event.text)
        case Acknowledge():
            _acknowledge(draft, event)
        case Unacknowledge():
            _unacknowledge(draft, event)
        case Resolve():
            by = f"Resolved by {draft.name(event.user)} (via {event.via})."
            states.close(draft, by=event.user or event.via, text=by, user=event.user)
        case Reopen():
            policy.begin_anew(draft)
            states.trigger_again(draft, "reopened", f"Opened again by {draft.name(event.user)} (via {event.via}).", event.user)
        case Snooze():
            snoozing.snooze(draft, event)
        case Escalate():
            _escalate(draft, event)
        case Reassign():
            responders.reassign(draft, event)
        case AddResponders():
            responders.add_responders(draft, event)
        case Merge():
            responders.merge(draft, event)
        case Absorb():
            responders.absorb(draft, event)
        case _:
            raise TypeError(f"no such action: {event!r}")


def _refuse_stale(draft: Draft, event: Act) -> None:
    incident = draft.incident
    if isinstance(event, Note):
        return
    if incident.merged_into:
        raise Conflict(f"#{incident.number} is part of another incident now")
    if isinstance(event, Reopen):
        if incident.state != "resolved":
            raise Conflict(f"#{incident.number} is not resolved; it is {incident.state}")
    elif incident.state == "resolved":
        end = states.ENDS.get(incident.resolved_by)
        raise Conflict(f"#{incident.number} is already resolved" + (f": {end}" if end else f" by {draft.name(incident.resolved_by)}"))
    if event.epoch is not None and event.epoch != incident.epoch:
        raise Conflict(f"this button is from an earlier alarm of #{incident.number}; it is {incident.state} now")


def _acknowledge(draft: Draft, event: Acknowledge) -> None:
    incident = draft.incident
    if incident.state != "acknowledged":
        answer.answered(draft, event)
    elif not (answer.joined(draft, event) or answer.renewed(draft, event)):
        raise Conflict(f"#{incident.number} is already acknowledged by {draft.name(incident.acknowledged_by)}")


def _unacknowledge(draft: Draft, event: Unacknowledge) -> None:
    if draft.incident.state != "acknowledged":
        raise Conflict(f"#{draft.incident.number} is not acknowledged; it is {draft.incident.state}")
    text = f"Acknowledgement withdrawn by {draft.name(event.user)} (via {event.via})."
    states.trigger_again(draft, "unacknowledged", text, event.user)


def _escalate(draft: Draft, event: Escalate) -> None:
    """Run the next step now, without what it waits for; from the beginning where nothing runs."""
    incident = draft.incident
    text = f"Escalated by {draft.name(event.user)} (via {event.via})."
    if incident.state != "triggered":
        states.trigger_again(draft, "escalated", text, event.user)
        return
    draft.say("escalated", text, user=event.user)
    holds.release(draft, "escalated by hand")
    if incident.waiting in ("alerts", "shift"):
        incident.position += 1  # such a step would only wait again
    elif incident.step_due is None:
        states.restart(draft)
    waits.go_on(draft)
