"""Actions that involve other people: reassigning, and paging more of them."""

from __future__ import annotations

from amproxy.config.structs import NotifyStep, Policy
from amproxy.errors import Conflict
from amproxy.machine.chains import start_chain
from amproxy.machine.draft import Draft, set_wait, trigger_again
from amproxy.machine.events import AddResponders, Reassign
from amproxy.machine.recipients import find_recipients, page_urgency
from amproxy.machine.steps import begin_policy
from amproxy.text import Length, Phrase, phrase

# Seconds that people paged by hand have to answer; then the policy begins again, so that an
# incident is never left with somebody who does not answer.
ANSWER_TIMEOUT = 900.0


def reassign(draft: Draft, event: Reassign) -> None:
    """Page somebody else instead; this ends the chains and any acknowledgement."""
    incident, by = draft.incident, draft.people(event.user)
    if isinstance(event.to, Policy):
        incident.chains = []
        begin_policy(draft, event.to)
        name, via = event.to.name, event.via
        what = phrase("event.reassigned_to_policy", policy=name, by=by, via=via)
        trigger_again(draft, "reassigned", what, event.user)
        return
    users, why = _resolve_people(draft, event.to)
    incident.chains = []
    people = draft.people(*users)
    what = phrase("event.reassigned", people=people, by=by, via=event.via)
    trigger_again(draft, "reassigned", what, event.user, to=list(users))
    reason = phrase("reason.reassigned", by=by, via=event.via)
    if why:
        reason = phrase("reason.reassigned_because", why=why, **reason.values)
    for user in users:
        start_chain(draft, user, page_urgency(draft, event.to), step=0, reason=reason)
    waiting_for = phrase("wait.answer", people=people, length=Length(ANSWER_TIMEOUT))
    set_wait(draft, "answer", draft.now + ANSWER_TIMEOUT, waiting_for)


def add_responders(draft: Draft, event: AddResponders) -> None:
    """Page more people by their own rules until they answer, whoever has acknowledged.

    Raises Conflict while the incident is snoozed.
    """
    incident, by = draft.incident, draft.people(event.user)
    if incident.state == "snoozed":
        raise Conflict(Phrase("refusal.snoozed", {"number": str(incident.number)}))
    users, why = _resolve_people(draft, event.to)
    what = phrase("event.responders", people=draft.people(*users), by=by, via=event.via)
    draft.record("responders", what, user=event.user, to=list(users))
    incident.responders = list(dict.fromkeys((*incident.responders, *users)))
    urgency = page_urgency(draft, event.to)
    reason = phrase("reason.asked_to_join", by=by, via=event.via)
    if why:
        reason = phrase("reason.asked_to_join_because", why=why, **reason.values)
    for user in users:
        if incident.state == "acknowledged" and incident.acknowledged_by == user:
            what = phrase("event.has_acknowledged", person=draft.people(user))
            draft.record("step", what, user=user)
        else:
            start_chain(draft, user, urgency, step=0, reason=reason, insists=True)


def _resolve_people(draft: Draft, to: NotifyStep) -> tuple[tuple[str, ...], Phrase | None]:
    """The people, and the reason for them where they are not named. Raises Conflict if nobody."""
    found = find_recipients(draft, to)
    if not found.users:
        raise Conflict(Phrase("refusal.nobody_to_ask", {"reason": found.reason}))
    return found.users, None if to.users else found.reason
