"""When others come in: reassigning, asking more people, and merging one incident into another."""

from __future__ import annotations

from amproxy.config.structs import NotifyStep, Policy
from amproxy.errors import Conflict
from amproxy.machine import alerts, chains, holds, policy, recipients
from amproxy.machine import draft as machine_draft
from amproxy.machine.draft import Draft
from amproxy.machine.events import Absorb, AddResponders, Merge, Reassign
from amproxy.model import Incident, MergedGroup
from amproxy.times import format_duration

ANSWER_TIMEOUT = 900.0  # seconds for those who are asked by hand; without an answer the policy begins again: nobody is ever silence


def reassign(draft: Draft, event: Reassign) -> None:
    """Somebody else answers for it. Whoever was being paged is not any more; an acknowledgement is over."""
    incident, by = draft.incident, f"by {draft.name(event.user)} (via {event.via})"
    if isinstance(event.to, Policy):
        incident.chains = []
        policy.begin_policy(draft, event.to)
        machine_draft.trigger_again(draft, "reassigned", f"Reassigned to policy {event.to.name} {by}.", event.user)
        return
    users, why = _resolve_people(draft, event.to)
    incident.chains = []
    names = ", ".join(map(draft.name, users))
    machine_draft.trigger_again(draft, "reassigned", f"Reassigned to {names} {by}.", event.user, to=list(users))
    for user in users:
        reason = f"{why}, reassigned {by}" if why else f"reassigned to you {by}"
        chains.start_chain(draft, user, recipients.page_urgency(draft, event.to), step=0, reason=reason)
    machine_draft.set_wait(draft, "answer", draft.now + ANSWER_TIMEOUT, f"an answer of {names}, for {format_duration(ANSWER_TIMEOUT)}")


def add_responders(draft: Draft, event: AddResponders) -> None:
    """More people are paged by their own rules, whoever has acknowledged, until they answer."""
    incident, by = draft.incident, f"by {draft.name(event.user)} (via {event.via})"
    if incident.state == "snoozed":
        raise Conflict(f"#{incident.number} is snoozed, and nobody is paged before its end; acknowledge it first")
    users, why = _resolve_people(draft, event.to)
    draft.say("responders", f"{', '.join(map(draft.name, users))} asked to join {by}.", user=event.user, to=list(users))
    incident.responders = list(dict.fromkeys((*incident.responders, *users)))
    for user in users:
        if incident.state == "acknowledged" and incident.acknowledged_by == user:
            draft.say("step", f"{draft.name(user)} has acknowledged already and is not paged.", user=user)
            continue
        reason = f"asked to join {by}" + (f"; {why}" if why else "")
        chains.start_chain(draft, user, recipients.page_urgency(draft, event.to), step=0, reason=reason, insists=True)


def merge(draft: Draft, event: Merge) -> None:
    """It is over as an incident of its own."""
    incident = draft.incident
    if event.into == incident.id:
        raise Conflict("an incident cannot be merged into itself")
    incident.merged_into = event.into
    text = f"Merged into #{event.number} by {draft.name(event.user)} (via {event.via})."
    machine_draft.close_incident(draft, by="merged", text=text, user=event.user)


def absorb(draft: Draft, event: Absorb) -> None:
    """Take in another incident's alerts: this one is over when the alerts of both are."""
    incident = draft.incident
    incident.parts = {**(incident.parts or {incident.group: _own_group(incident)}), **event.parts}
    alerts.sum_groups(draft, list(incident.parts.values()))
    text = f"#{event.number} ({event.title}) was merged into this by {draft.name(event.user)} (via {event.via})."
    draft.say("merged", text, user=event.user, number=event.number, firing=incident.firing, resolved=incident.resolved)
    draft.redraw(text)
    holds.record_arrivals(draft, sum(part.firing for part in event.parts.values()))


def incident_groups(incident: Incident) -> dict[str, MergedGroup]:
    """The alerts that an incident brings along when it is merged: those of its group, and of what was merged into it."""
    return {group: part for group, part in (incident.parts or {incident.group: _own_group(incident)}).items() if group}


def _own_group(incident: Incident) -> MergedGroup:
    return MergedGroup(
        firing=incident.firing, resolved=incident.resolved, common_labels=incident.common_labels,
        common_annotations=incident.common_annotations,
    )  # fmt: skip


def _resolve_people(draft: Draft, to: NotifyStep) -> tuple[tuple[str, ...], str]:
    """Who is meant, and why where that is not said by name. Raises Conflict where it is nobody."""
    found = recipients.find_recipients(draft, to)
    if not found.users:
        raise Conflict(f"nobody to ask: {found.reason}")
    return found.users, "" if to.users else found.reason
