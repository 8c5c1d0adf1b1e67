"""An acknowledgement: who has answered, for how long it counts, and the reminder before it runs out."""

from __future__ import annotations

from amproxy.clock import utc
from amproxy.config import contacts
from amproxy.config.structs import Notify
from amproxy.machine import chains, states
from amproxy.machine.draft import Draft, new_id
from amproxy.machine.events import Acknowledge
from amproxy.model import Page


def answered(draft: Draft, event: Acknowledge) -> None:
    """Somebody takes it. Others who were asked to join by hand are still asked."""
    incident = draft.incident
    states.stop(draft)
    incident.chains = [chain for chain in incident.chains if chain.user != event.user]
    incident.state, incident.acknowledged_by, incident.acknowledged_at = "acknowledged", event.user, draft.now
    incident.snoozed_by, incident.snoozed_until = "", None
    if incident.first_acknowledged_at is None:
        incident.first_acknowledged_by, incident.first_acknowledged_at = event.user, draft.now
    _count_down(draft)
    text = f"Acknowledged by {draft.name(event.user)} (via {event.via})."
    draft.say("acknowledged", text, user=event.user)
    draft.redraw(text)


def joined(draft: Draft, event: Acknowledge) -> bool:
    """Whether this is the answer of somebody who was asked to join what another has acknowledged."""
    incident = draft.incident
    if not any(chain.user == event.user and chain.insists for chain in incident.chains):
        return False
    incident.chains = [chain for chain in incident.chains if chain.user != event.user]
    text = f"{draft.name(event.user)} is on it too (via {event.via})."
    draft.say("joined", text, user=event.user)
    draft.redraw(text)
    return True


def renewed(draft: Draft, event: Acknowledge) -> bool:
    """Whether this prolongs an acknowledgement: its owner has been reminded that it runs out."""
    incident = draft.incident
    if incident.acknowledge_due is None or incident.reminder_due is not None or not incident.plan.acknowledge_reminder:
        return False
    if event.user != incident.acknowledged_by:
        return False
    _count_down(draft)
    text = f"{draft.name(event.user)} is still on it (via {event.via})."
    draft.say("renewed", text, user=event.user)
    draft.redraw(text)
    return True


def _count_down(draft: Draft) -> None:
    incident, plan = draft.incident, draft.incident.plan
    incident.acknowledge_due = incident.reminder_due = None
    if plan.acknowledge_timeout:
        incident.acknowledge_due = draft.now + plan.acknowledge_timeout
        if plan.acknowledge_reminder:
            incident.reminder_due = incident.acknowledge_due - plan.acknowledge_reminder


def run_out(draft: Draft) -> None:
    """Remind the one who acknowledged, or, when the time is over, trigger again from the first step."""
    incident = draft.incident
    if incident.state != "acknowledged" or incident.acknowledge_due is None:
        return
    if incident.acknowledge_due <= draft.now:
        text = f"The acknowledgement by {draft.name(incident.acknowledged_by)} has run out."
        states.trigger_again(draft, "unacknowledged", text, "")
    elif incident.reminder_due is not None and incident.reminder_due <= draft.now:
        incident.reminder_due = None
        _remind(draft, incident.acknowledge_due)


def _remind(draft: Draft, due: float) -> None:
    """Over the channels that the person's rules begin with; where none of them reaches anything, over the first contact that does."""
    name = draft.incident.acknowledged_by
    user = draft.roster.config.users.get(name)
    rule = next((rule for rule in contacts.rules(user, "default") if isinstance(rule, Notify)), None) if user else None
    reached = [_remind_over(draft, name, channel) for channel in rule.channels] if rule else []
    if any(reached) or _remind_next(draft, name):
        draft.say("reminded", f"Reminding {draft.name(name)} that the acknowledgement runs out at {utc(due):%H:%M} UTC.", user=name)
    else:
        text = f"{draft.name(name)} cannot be reminded that the acknowledgement runs out at {utc(due):%H:%M} UTC: there is no contact."
        draft.say("failed", text, user=name)


def _remind_over(draft: Draft, name: str, channel: str) -> bool:
    """One reminder over one channel; False where there is no contact for it."""
    address = contacts.address(draft.roster.config.users[name], channel)
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
    return any(_remind_over(draft, name, channel) for channel in chains.untried(draft, name, tried))


def after_failure(draft: Draft, page: Page) -> None:
    """A reminder did not arrive: the person's next contact is tried, unless another reminder of the same moment still stands."""
    incident = draft.incident
    if incident.state != "acknowledged" or incident.acknowledged_by != page.user or incident.reminder_due is not None:
        return
    if not any(p.kind == "reminder" and p.due == page.due and p.state in ("due", "sent") for p in incident.pages):
        _remind_next(draft, page.user)
