"""Actions that involve others: reassigning, paging more people, merging two incidents."""

from __future__ import annotations

from amproxy.config.structs import NotifyStep, Policy
from amproxy.errors import Conflict
from amproxy.machine.alerts import sum_groups
from amproxy.machine.chains import start_chain
from amproxy.machine.draft import Draft, close_incident, set_wait, trigger_again
from amproxy.machine.events import Absorb, AddResponders, Merge, Reassign
from amproxy.machine.holds import record_arrivals
from amproxy.machine.recipients import find_recipients, page_urgency
from amproxy.machine.steps import begin_policy
from amproxy.model import Incident, MergedGroup
from amproxy.text import Phrase
from amproxy.times import format_duration

# Seconds that people paged by hand have to answer; then the policy begins again, so that an
# incident is never left with somebody who does not answer.
ANSWER_TIMEOUT = 900.0


def reassign(draft: Draft, event: Reassign) -> None:
    """Page somebody else instead; this ends the chains and any acknowledgement."""
    incident, by = draft.incident, f"by {draft.name(event.user)} (via {event.via})"
    if isinstance(event.to, Policy):
        incident.chains = []
        begin_policy(draft, event.to)
        text = f"Reassigned to policy {event.to.name} {by}."
        trigger_again(draft, "reassigned", text, event.user)
        return
    users, why = _resolve_people(draft, event.to)
    incident.chains = []
    names = ", ".join(map(draft.name, users))
    text = f"Reassigned to {names} {by}."
    trigger_again(draft, "reassigned", text, event.user, to=list(users))
    reason = f"{why}, reassigned {by}" if why else f"reassigned to you {by}"
    for user in users:
        start_chain(draft, user, page_urgency(draft, event.to), step=0, reason=reason)
    text = f"an answer of {names}, for {format_duration(ANSWER_TIMEOUT)}"
    set_wait(draft, "answer", draft.now + ANSWER_TIMEOUT, text)


def add_responders(draft: Draft, event: AddResponders) -> None:
    """Page more people by their own rules until they answer, whoever has acknowledged.

    Raises Conflict while the incident is snoozed.
    """
    incident, by = draft.incident, f"by {draft.name(event.user)} (via {event.via})"
    if incident.state == "snoozed":
        raise Conflict(Phrase("refusal.snoozed", {"number": str(incident.number)}))
    users, why = _resolve_people(draft, event.to)
    text = f"{', '.join(map(draft.name, users))} asked to join {by}."
    draft.record("responders", text, user=event.user, to=list(users))
    incident.responders = list(dict.fromkeys((*incident.responders, *users)))
    urgency = page_urgency(draft, event.to)
    reason = f"asked to join {by}" + (f"; {why}" if why else "")
    for user in users:
        if incident.state == "acknowledged" and incident.acknowledged_by == user:
            text = f"{draft.name(user)} has acknowledged already and is not paged."
            draft.record("step", text, user=user)
        else:
            start_chain(draft, user, urgency, step=0, reason=reason, insists=True)


def merge(draft: Draft, event: Merge) -> None:
    """Resolve it: it becomes part of another incident."""
    incident = draft.incident
    if event.into == incident.id:
        raise Conflict(Phrase("refusal.merge_itself"))
    incident.merged_into = event.into
    text = f"Merged into #{event.number} by {draft.name(event.user)} (via {event.via})."
    close_incident(draft, by="merged", text=text, user=event.user)


def absorb(draft: Draft, event: Absorb) -> None:
    """Add another incident's alerts: this one ends when the alerts of both are resolved."""
    incident = draft.incident
    incident.parts = {**_all_groups(incident), **event.groups}
    sum_groups(draft, list(incident.parts.values()))
    text = (
        f"#{event.number} ({event.title}) was merged into this "
        f"by {draft.name(event.user)} (via {event.via})."
    )
    draft.record(
        "merged",
        text,
        user=event.user,
        number=event.number,
        firing=incident.firing,
        resolved=incident.resolved,
    )
    draft.refresh_messages(text)
    record_arrivals(draft, sum(group.firing for group in event.groups.values()))


def incident_groups(incident: Incident) -> dict[str, MergedGroup]:
    """The groups (Group.id → alerts) that an incident brings along when it is merged."""
    return {group: alerts for group, alerts in _all_groups(incident).items() if group}


def _all_groups(incident: Incident) -> dict[str, MergedGroup]:
    """Its own group, "" for one opened by hand, and those of incidents merged into it."""
    own = MergedGroup(
        firing=incident.firing,
        resolved=incident.resolved,
        common_labels=incident.common_labels,
        common_annotations=incident.common_annotations,
    )
    return incident.parts or {incident.group: own}


def _resolve_people(draft: Draft, to: NotifyStep) -> tuple[tuple[str, ...], str]:
    """The people, and the reason for them where they are not named. Raises Conflict if nobody."""
    found = find_recipients(draft, to)
    if not found.users:
        raise Conflict(Phrase("refusal.nobody_to_ask", {"reason": found.reason}))
    return found.users, "" if to.users else found.reason
