"""An acknowledgement: who has answered, for how long it counts, and the reminder before it runs out.

A snooze: nothing happens until its end. Then the policy begins anew or, with `after_snooze: resume`, goes on where it was.

What people do to an incident: answer it, end it, bring it back. Snoozes stand in snoozing.py, what involves others in handover.py.
"""

from __future__ import annotations

from amproxy.clock import utc
from amproxy.config import contacts
from amproxy.config.structs import Notify
from amproxy.errors import Conflict
from amproxy.machine import chains, holds, policy, responders
from amproxy.machine import draft as machine_draft
from amproxy.machine.draft import Draft, new_id
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
from amproxy.model import Page


def set_acknowledged(draft: Draft, event: Acknowledge) -> None:
    """Somebody takes it. Others who were asked to join by hand are still asked."""
    incident = draft.incident
    machine_draft.stop_steps(draft)
    incident.chains = [chain for chain in incident.chains if chain.user != event.user]
    incident.state, incident.acknowledged_by, incident.acknowledged_at = "acknowledged", event.user, draft.now
    incident.snoozed_by, incident.snoozed_until = "", None
    if incident.first_acknowledged_at is None:
        incident.first_acknowledged_by, incident.first_acknowledged_at = event.user, draft.now
    _start_timeout(draft)
    text = f"Acknowledged by {draft.name(event.user)} (via {event.via})."
    draft.say("acknowledged", text, user=event.user)
    draft.redraw(text)


def try_join(draft: Draft, event: Acknowledge) -> bool:
    """Whether this is the answer of somebody who was asked to join what another has acknowledged."""
    incident = draft.incident
    if not any(chain.user == event.user and chain.insists for chain in incident.chains):
        return False
    incident.chains = [chain for chain in incident.chains if chain.user != event.user]
    text = f"{draft.name(event.user)} is on it too (via {event.via})."
    draft.say("joined", text, user=event.user)
    draft.redraw(text)
    return True


def try_renew(draft: Draft, event: Acknowledge) -> bool:
    """Whether this prolongs an acknowledgement: its owner has been reminded that it runs out."""
    incident = draft.incident
    if incident.acknowledge_due is None or incident.reminder_due is not None or not incident.plan.acknowledge_reminder:
        return False
    if event.user != incident.acknowledged_by:
        return False
    _start_timeout(draft)
    text = f"{draft.name(event.user)} is still on it (via {event.via})."
    draft.say("renewed", text, user=event.user)
    draft.redraw(text)
    return True


def _start_timeout(draft: Draft) -> None:
    incident, plan = draft.incident, draft.incident.plan
    incident.acknowledge_due = incident.reminder_due = None
    if plan.acknowledge_timeout:
        incident.acknowledge_due = draft.now + plan.acknowledge_timeout
        if plan.acknowledge_reminder:
            incident.reminder_due = incident.acknowledge_due - plan.acknowledge_reminder


def expire_acknowledgement(draft: Draft) -> None:
    """Remind the one who acknowledged, or, when the time is over, trigger again from the first step."""
    incident = draft.incident
    if incident.state != "acknowledged" or incident.acknowledge_due is None:
        return
    if incident.acknowledge_due <= draft.now:
        text = f"The acknowledgement by {draft.name(incident.acknowledged_by)} has run out."
        machine_draft.trigger_again(draft, "unacknowledged", text, "")
    elif incident.reminder_due is not None and incident.reminder_due <= draft.now:
        incident.reminder_due = None
        _remind(draft, incident.acknowledge_due)


def _remind(draft: Draft, due: float) -> None:
    """Over the channels that the person's rules begin with; where none of them reaches anything, over the first contact that does."""
    name = draft.incident.acknowledged_by
    user = draft.roster.config.users.get(name)
    rule = next((rule for rule in contacts.notification_rules(user, "default") if isinstance(rule, Notify)), None) if user else None
    reached = [_remind_over(draft, name, channel) for channel in rule.channels] if rule else []
    if any(reached) or _remind_next(draft, name):
        draft.say("reminded", f"Reminding {draft.name(name)} that the acknowledgement runs out at {utc(due):%H:%M} UTC.", user=name)
    else:
        text = f"{draft.name(name)} cannot be reminded that the acknowledgement runs out at {utc(due):%H:%M} UTC: there is no contact."
        draft.say("failed", text, user=name)


def _remind_over(draft: Draft, name: str, channel: str) -> bool:
    """One reminder over one channel; False where there is no contact for it."""
    address = contacts.contact_address(draft.roster.config.users[name], channel)
    if address is None:
        return False
    draft.page(
        Page(
            id=new_id(), kind="reminder", user=name, channel=channel, address=address, policy=draft.incident.policy,
            reason="your acknowledgement runs out", due=draft.now,
        )
    )  # fmt: skip
    return True


def _remind_next(draft: Draft, name: str) -> bool:
    """One reminder over the first of the person's contacts that was not tried; False where there is none."""
    incident = draft.incident
    since = (incident.acknowledge_due or 0.0) - incident.plan.acknowledge_reminder
    tried = [page for page in incident.pages if page.kind == "reminder" and page.user == name and page.due >= since]
    return any(_remind_over(draft, name, channel) for channel in chains.untried_channels(draft, name, tried))


def remind_after_failure(draft: Draft, page: Page) -> None:
    """A reminder did not arrive: the person's next contact is tried, unless another reminder of the same moment still stands."""
    incident = draft.incident
    if incident.state != "acknowledged" or incident.acknowledged_by != page.user or incident.reminder_due is not None:
        return
    if not any(p.kind == "reminder" and p.due == page.due and p.state in ("due", "sent") for p in incident.pages):
        _remind_next(draft, page.user)


def snooze(draft: Draft, event: Snooze) -> None:
    """Put it off, whatever it is. Raises Conflict for an end that is past."""
    incident = draft.incident
    if event.until <= draft.now:
        raise Conflict("the end of a snooze must lie in the future")
    if incident.state == "triggered":
        _save_remaining_waits(draft)
    left, waiting, words, chains = incident.step_left, incident.waiting, incident.waiting_for, incident.chains
    resumes = incident.plan.after_snooze == "resume" and incident.state in ("triggered", "snoozed")
    machine_draft.stop_steps(draft)
    incident.chains = chains if resumes else []
    if resumes:
        incident.step_left, incident.waiting, incident.waiting_for = left, waiting, words
    incident.state, incident.snoozed_by, incident.snoozed_until = "snoozed", event.user, event.until
    incident.acknowledged_by, incident.acknowledged_at = "", None
    text = f"Snoozed by {draft.name(event.user)} until {utc(event.until):%Y-%m-%d %H:%M} UTC (via {event.via})."
    draft.say("snoozed", text, user=event.user, until=event.until)
    draft.redraw(text)


def _save_remaining_waits(draft: Draft) -> None:
    """How long the plan and each person's rules would still have waited."""
    incident = draft.incident
    for chain in incident.chains:
        chain.left, chain.due = _seconds_until(draft, chain.due), None
    # One that waits for alerts looks again at the end: some may have come meanwhile.
    incident.step_left = 0.0 if incident.waiting == "alerts" else _seconds_until(draft, incident.step_due)


def _seconds_until(draft: Draft, due: float | None) -> float | None:
    return None if due is None else max(0.0, due - draft.now)


def expire_snooze(draft: Draft) -> None:
    """At the end of a snooze it triggers again."""
    incident = draft.incident
    if incident.state != "snoozed" or incident.snoozed_until is None or incident.snoozed_until > draft.now:
        return
    running = [chain for chain in incident.chains if chain.left is not None]
    if incident.plan.after_snooze == "restart" or (incident.step_left is None and not running):
        machine_draft.trigger_again(draft, "triggered", "The snooze is over: the policy begins anew.", "")
        return
    machine_draft.set_triggered(draft)
    step_due = None if incident.step_left is None else draft.now + incident.step_left
    machine_draft.set_wait(draft, incident.waiting, step_due, incident.waiting_for)
    incident.step_left = None
    for chain in running:
        chain.due, chain.left = draft.now + (chain.left or 0.0), None
    text = "The snooze is over: the policy goes on where it was."
    draft.say("triggered", text)
    draft.redraw(text)


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
            machine_draft.close_incident(draft, by=event.user or event.via, text=by, user=event.user)
        case Reopen():
            policy.begin_policy_anew(draft)
            machine_draft.trigger_again(draft, "reopened", f"Opened again by {draft.name(event.user)} (via {event.via}).", event.user)
        case Snooze():
            snooze(draft, event)
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
        end = machine_draft.RESOLVED_TEXTS.get(incident.resolved_by)
        raise Conflict(f"#{incident.number} is already resolved" + (f": {end}" if end else f" by {draft.name(incident.resolved_by)}"))
    if event.epoch is not None and event.epoch != incident.epoch:
        raise Conflict(f"this button is from an earlier alarm of #{incident.number}; it is {incident.state} now")


def _acknowledge(draft: Draft, event: Acknowledge) -> None:
    incident = draft.incident
    if incident.state != "acknowledged":
        set_acknowledged(draft, event)
    elif not (try_join(draft, event) or try_renew(draft, event)):
        raise Conflict(f"#{incident.number} is already acknowledged by {draft.name(incident.acknowledged_by)}")


def _unacknowledge(draft: Draft, event: Unacknowledge) -> None:
    if draft.incident.state != "acknowledged":
        raise Conflict(f"#{draft.incident.number} is not acknowledged; it is {draft.incident.state}")
    text = f"Acknowledgement withdrawn by {draft.name(event.user)} (via {event.via})."
    machine_draft.trigger_again(draft, "unacknowledged", text, event.user)


def _escalate(draft: Draft, event: Escalate) -> None:
    """Run the next step now, without what it waits for; from the beginning where nothing runs."""
    incident = draft.incident
    text = f"Escalated by {draft.name(event.user)} (via {event.via})."
    if incident.state != "triggered":
        machine_draft.trigger_again(draft, "escalated", text, event.user)
        return
    draft.say("escalated", text, user=event.user)
    holds.release_hold(draft, "escalated by hand")
    if incident.waiting in ("alerts", "shift"):
        incident.position += 1  # such a step would only wait again
    elif incident.step_due is None:
        machine_draft.restart_steps(draft)
    machine_draft.end_wait(draft)
