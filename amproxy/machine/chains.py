"""One person's notification rules for one incident: which contact next, and when."""

from __future__ import annotations

from amproxy.config.structs import Notify, Urgency
from amproxy.decide import people
from amproxy.machine.change import Draft, new_id
from amproxy.model import Chain, Incident, Page


def start(draft: Draft, user: str, urgency: Urgency, *, step: int, reason: str, insists: bool = False) -> None:
    """Begin a person's rules. A chain that still runs goes on as it is: two steps that reach one person do not restart it.

    Only where the new page is more urgent, and the person has other rules for that, those begin. insists: it was asked for
    by hand, so that somebody else's acknowledgement does not end it.
    """
    incident = draft.incident
    running = next((chain for chain in incident.chains if chain.user == user and chain.due is not None), None)
    if running is not None and not _more_urgent(draft, running, urgency):
        running.insists = running.insists or insists
        draft.say("step", f"{draft.name(user)} is being paged already; the rules go on where they are.", user=user, step=step)
        return
    if running is not None:
        draft.say("step", f"{draft.name(user)} is being paged already; the rules for important pages begin.", user=user, step=step)
        insists = insists or running.insists
    incident.chains = [chain for chain in incident.chains if chain.user != user]
    incident.chains.append(
        Chain(user=user, urgency=urgency, due=draft.now, step=step, round=incident.round, reason=reason, insists=insists)
    )


def _more_urgent(draft: Draft, running: Chain, urgency: Urgency) -> bool:
    if urgency != "important" or running.urgency == "important":
        return False
    user = draft.roster.config.users[running.user]
    return people.rules(user, "important") != people.rules(user, "default")


def run_due(draft: Draft) -> bool:
    """Run every personal rule that is due; return whether one ran."""
    due = [chain for chain in draft.incident.chains if chain.due is not None and chain.due <= draft.now and runs(draft.incident, chain)]
    for chain in due:
        _run(draft, chain)
    return bool(due)


def runs(incident: Incident, chain: Chain) -> bool:
    """Whether a person's rules go on as things are: those asked for by hand do unless it is over."""
    return chain.insists or (incident.state == "triggered" and incident.held_until is None)


def _run(draft: Draft, chain: Chain) -> None:
    user = draft.roster.config.users.get(chain.user)
    rules = people.rules(user, chain.urgency) if user else ()
    if chain.position >= len(rules):
        chain.due = None
        if not any(page.user == chain.user and page.state in ("due", "sent") for page in draft.incident.pages):
            unreachable(draft, chain)
        return
    rule = rules[chain.position]
    chain.position += 1
    if not isinstance(rule, Notify):
        chain.due = draft.now + rule.seconds
        return
    for channel in rule.channels:
        contact(draft, chain, channel)


def contact(draft: Draft, chain: Chain, channel: str) -> None:
    """Page one person over one channel."""
    user = draft.roster.config.users[chain.user]
    address = people.address(user, channel)
    if address is None:
        draft.say("failed", f"{draft.name(user.name)} has no {channel} contact.", user=user.name, channel=channel, step=chain.step)
        return
    draft.page(
        Page(
            id=new_id(), user=user.name, channel=channel, address=address, policy=draft.incident.policy, step=chain.step,
            round=chain.round, reason=chain.reason, insists=chain.insists, due=draft.now,
        )
    )  # fmt: skip


def after_failure(draft: Draft, page: Page) -> None:
    """A contact failed for good: go to the person's next one at once, unless another of the same rule still stands."""
    chain = next((chain for chain in draft.incident.chains if chain.user == page.user), None)
    if chain is None or chain.round != page.round:
        return
    if any(p.user == page.user and p.due == page.due and p.state in ("due", "sent") for p in draft.incident.pages):
        return
    if chain.due is not None:
        chain.due = draft.now
        return
    user = draft.roster.config.users.get(page.user)
    tried = {p.channel for p in draft.incident.pages if p.user == page.user and p.round == chain.round}
    untried = [channel for channel in (user.contacts if user else ()) if channel not in tried and channel != "phone"]
    if untried:
        contact(draft, chain, untried[0])
    elif not any(p.user == page.user and p.round == chain.round and p.state in ("due", "sent") for p in draft.incident.pages):
        unreachable(draft, chain)


def unreachable(draft: Draft, chain: Chain) -> None:
    """No contact of the person works. If that is true of everyone whom the last steps paged, the next step does not wait."""
    if chain.unreachable:
        return
    chain.unreachable = True
    draft.say("failed", f"{draft.name(chain.user)} cannot be reached over any contact.", user=chain.user, step=chain.step)
    incident = draft.incident
    if incident.step_due is not None and all(other.unreachable for other in incident.chains) and incident.waiting_for.startswith("wait "):
        incident.step_due, incident.waiting_for = draft.now, ""
        draft.say("escalated", "Nobody whom the policy paged can be reached: the next step runs at once.")
