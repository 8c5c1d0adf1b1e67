"""What people do to an incident, and what runs out by itself."""

from __future__ import annotations

from amproxy.clock import utc
from amproxy.errors import Conflict
from amproxy.machine import alerts, steps
from amproxy.machine.change import Draft
from amproxy.machine.events import Acknowledge, Act, Escalate, Note, Resolve, Snooze, Unacknowledge


def act(draft: Draft, event: Act) -> None:
    """Do what a person asked for. Raises Conflict when the state, or the age of the button, forbids it."""
    if isinstance(event, Note):
        draft.say("note", f"{draft.name(event.user)}: {event.text}", user=event.user)
        return
    _refuse_stale(draft, event)
    match event:
        case Acknowledge():
            _acknowledge(draft, event)
        case Unacknowledge():
            _unacknowledge(draft, event)
        case Resolve():
            alerts.close(
                draft, by=event.user or event.via, text=f"Resolved by {draft.name(event.user)} (via {event.via}).", user=event.user
            )
        case Snooze():
            _snooze(draft, event)
        case Escalate():
            _escalate(draft, event)
        case _:
            raise TypeError(f"no such action: {event!r}")


def _refuse_stale(draft: Draft, event: Act) -> None:
    incident = draft.incident
    if incident.state == "resolved":
        who = draft.name(incident.resolved_by) if incident.resolved_by not in alerts.ENDS else "its alerts"
        raise Conflict(f"#{incident.number} is already resolved by {who}")
    if event.epoch is not None and event.epoch != incident.epoch:
        raise Conflict(f"this button is from an earlier alarm of #{incident.number}; it is {incident.state} now")


def _acknowledge(draft: Draft, event: Acknowledge) -> None:
    incident = draft.incident
    if incident.state == "acknowledged":
        raise Conflict(f"#{incident.number} is already acknowledged by {draft.name(incident.acknowledged_by)}")
    steps.stop(draft)
    incident.state, incident.acknowledged_by, incident.acknowledged_at = "acknowledged", event.user, draft.now
    incident.snoozed_until = None
    if incident.plan.acknowledge_timeout:
        incident.acknowledge_due = draft.now + incident.plan.acknowledge_timeout
    text = f"Acknowledged by {draft.name(event.user)} (via {event.via})."
    draft.say("acknowledged", text, user=event.user)
    draft.redraw(text)


def _unacknowledge(draft: Draft, event: Unacknowledge) -> None:
    if draft.incident.state != "acknowledged":
        raise Conflict(f"#{draft.incident.number} is not acknowledged; it is {draft.incident.state}")
    _trigger_again(draft, "unacknowledged", f"Acknowledgement withdrawn by {draft.name(event.user)} (via {event.via}).", event.user)


def _snooze(draft: Draft, event: Snooze) -> None:
    incident = draft.incident
    if event.until <= draft.now:
        raise Conflict("the end of a snooze must lie in the future")
    steps.stop(draft)
    incident.state, incident.snoozed_by, incident.snoozed_until = "snoozed", event.user, event.until
    text = f"Snoozed by {draft.name(event.user)} until {utc(event.until):%Y-%m-%d %H:%M} UTC (via {event.via})."
    draft.say("snoozed", text, user=event.user)
    draft.redraw(text)


def _escalate(draft: Draft, event: Escalate) -> None:
    """Run the next step now; from the beginning where nothing runs."""
    incident = draft.incident
    text = f"Escalated by {draft.name(event.user)} (via {event.via})."
    if incident.state != "triggered":
        _trigger_again(draft, "escalated", text, event.user)
        return
    draft.say("escalated", text, user=event.user)
    if incident.step_due is None:
        steps.restart(draft)
        return
    incident.step_due, incident.waiting_for = draft.now, ""


def run_out(draft: Draft) -> None:
    """An acknowledgement or a snooze whose time is over triggers again, from the first step."""
    incident = draft.incident
    if incident.state == "acknowledged" and incident.acknowledge_due is not None and incident.acknowledge_due <= draft.now:
        text = f"The acknowledgement by {draft.name(incident.acknowledged_by)} has run out."
        _trigger_again(draft, "unacknowledged", text, "")
    elif incident.state == "snoozed" and incident.snoozed_until is not None and incident.snoozed_until <= draft.now:
        _trigger_again(draft, "triggered", "The snooze is over.", "")


def _trigger_again(draft: Draft, kind: str, text: str, user: str) -> None:
    incident = draft.incident
    incident.state, incident.epoch = "triggered", incident.epoch + 1
    incident.acknowledged_by, incident.acknowledged_at, incident.acknowledge_due = "", None, None
    incident.snoozed_by, incident.snoozed_until = "", None
    draft.say(kind, text, user=user)
    steps.restart(draft)
    draft.redraw(text)
