"""One person's notification rules for one incident: which contact next, and when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from zoneinfo import ZoneInfo

from amproxy.clock import utc
from amproxy.config import contacts
from amproxy.config.structs import Notify, Urgency
from amproxy.machine import draft as machine_draft
from amproxy.machine.draft import Draft, new_id
from amproxy.model import Chain, Incident, Page

SAME_STEP_SECONDS = 60.0  # seconds in which one step does not begin a person's rules twice but for policies in a circle


def start_chain(draft: Draft, user: str, urgency: Urgency, *, step: int, reason: str, insists: bool = False) -> None:
    """Begin a person's rules. A chain that still runs goes on as it is: two steps that reach one person do not restart it.

    Only where the new page is more urgent, and the person has other rules for that, those begin. insists: it was asked for
    by hand, so that somebody else's acknowledgement does not end it.
    """
    incident = draft.incident
    before = next((chain for chain in incident.chains if chain.user == user), None)
    insists = insists or (before is not None and before.insists)
    if before is not None and (before.due is not None or _paged_just_now(draft, user)):
        more_urgent = _more_urgent(draft, before, urgency)
        what = "the rules for important pages begin" if more_urgent else "the rules go on where they are"
        draft.say("step", f"{draft.name(user)} is being paged already; {what}.", user=user, step=step)
        if not more_urgent:
            before.insists = insists
            _end_quiet_hours(draft, before, urgency)
            return
    incident.chains = [chain for chain in incident.chains if chain.user != user]
    incident.chains.append(
        Chain(user=user, urgency=urgency, due=draft.now, step=step, round=incident.round, reason=reason, insists=insists)
    )


def _paged_just_now(draft: Draft, user: str) -> bool:
    """Whether an earlier step of this very moment paged the person, whose rules may be over with that."""
    return any(message.kind == "page" and message.user == user for message in draft.outbox)


def _more_urgent(draft: Draft, running: Chain, urgency: Urgency) -> bool:
    if urgency != "important" or running.urgency == "important":
        return False
    user = draft.roster.config.users[running.user]
    return contacts.notification_rules(user, "important") != contacts.notification_rules(user, "default")


def _end_quiet_hours(draft: Draft, running: Chain, urgency: Urgency) -> None:
    """Quiet hours end for a page that does not heed them."""
    if urgency == "important":
        running.urgency = "important"
    if running.quiet and ignores_quiet_hours(draft.incident, running):
        running.due, running.quiet = draft.now, False


def run_due_chains(draft: Draft) -> bool:
    """Run every personal rule that is due; return whether one ran."""
    due = [
        chain for chain in draft.incident.chains if chain.due is not None and chain.due <= draft.now and is_running(draft.incident, chain)
    ]
    for chain in due:
        _run_rule(draft, chain)
    return bool(due)


def is_running(incident: Incident, chain: Chain) -> bool:
    """Whether a person's rules go on as things are: those asked for by hand do unless it is over."""
    return chain.insists or (incident.state == "triggered" and incident.held_until is None)


def _run_rule(draft: Draft, chain: Chain) -> None:
    user = draft.roster.config.users.get(chain.user)
    rules = contacts.notification_rules(user, chain.urgency) if user else ()
    if chain.position >= len(rules):
        chain.due = None
        if not any(page.user == chain.user and page.state in ("due", "sent") for page in draft.incident.pages):
            mark_unreachable(draft, chain)
        return
    rule = rules[chain.position]
    if isinstance(rule, Notify) and _wait_for_quiet_hours(draft, chain):
        return
    chain.position += 1
    if not isinstance(rule, Notify):
        chain.due = draft.now + rule.seconds
        return
    paged = [page_contact(draft, chain, channel) for channel in rule.channels]
    if not any(paged):
        while chain.position < len(rules) and not isinstance(rules[chain.position], Notify):
            chain.position += 1  # nothing went out: there is no answer to wait for


def _wait_for_quiet_hours(draft: Draft, chain: Chain) -> bool:
    """Whether the person has quiet hours, so that the next rule waits for their end."""
    chain.quiet = False
    until = None if ignores_quiet_hours(draft.incident, chain) else draft.roster.quiet_until(chain.user, utc(draft.now))
    if until is None:
        return False
    chain.due, chain.quiet = until.timestamp(), True
    local = until.astimezone(ZoneInfo(draft.roster.config.users[chain.user].timezone))
    text = f"{draft.name(chain.user)} has quiet hours until {local:%a %H:%M} ({local.tzname()}): the page waits for their end."
    draft.say("quiet", text, user=chain.user, step=chain.step, until=chain.due)
    return True


def ignores_quiet_hours(incident: Incident, chain: Chain) -> bool:
    """Whether a person's pages heed no quiet hours: what is important, or asked for by hand, wakes people up."""
    return chain.urgency == "important" or chain.insists or chain.step == 0 or not incident.group


def page_contact(draft: Draft, chain: Chain, channel: str) -> bool:
    """Page one person over one channel; False where there is no contact for it."""
    user = draft.roster.config.users[chain.user]
    address = contacts.contact_address(user, channel)
    if address is None:
        draft.say("failed", f"{draft.name(user.name)} has no {channel} contact.", user=user.name, channel=channel, step=chain.step)
        return False
    draft.page(
        Page(
            id=new_id(), user=user.name, channel=channel, address=address, policy=draft.incident.policy, step=chain.step,
            round=chain.round, reason=chain.reason, insists=chain.insists, due=draft.now,
        )
    )  # fmt: skip
    return True


def try_next_contact(draft: Draft, page: Page) -> None:
    """A contact failed for good: go to the person's next one at once, unless another of the same rule still stands."""
    chain = next((chain for chain in draft.incident.chains if chain.user == page.user), None)
    if chain is None or chain.round != page.round:
        return
    mine = [p for p in draft.incident.pages if p.user == page.user and p.kind == "page"]
    if any(p.due == page.due and p.state in ("due", "sent") for p in mine):
        return
    if chain.due is not None:
        chain.due = draft.now
        return
    of_round = [p for p in mine if p.round == chain.round]
    if any(page_contact(draft, chain, channel) for channel in untried_channels(draft, page.user, of_round)):
        return
    if not any(p.state in ("due", "sent") for p in of_round):
        mark_unreachable(draft, chain)


def untried_channels(draft: Draft, name: str, pages: Iterable[Page]) -> Iterator[str]:
    """A person's channels over which none of these pages went, in the order of the contacts."""
    user, tried = draft.roster.config.users.get(name), {page.channel for page in pages}
    return (channel for channel in (user.contacts if user else ()) if channel not in tried and channel != "phone")


def mark_unreachable(draft: Draft, chain: Chain) -> None:
    """No contact of the person works. If that is true of everyone who was paged, nobody's answer is waited for."""
    if chain.unreachable:
        return
    chain.unreachable = True
    draft.say("failed", f"{draft.name(chain.user)} cannot be reached over any contact.", user=chain.user, step=chain.step)
    incident = draft.incident
    if _started_twice(draft, chain):
        return
    if incident.waiting in ("time", "answer") and all(other.unreachable for other in incident.chains):
        machine_draft.end_wait(draft)
        draft.say("escalated", "Nobody who was paged can be reached: the policy goes on at once.")


def _started_twice(draft: Draft, chain: Chain) -> bool:
    """Whether one step began a person's rules twice within moments. Cut short once more, such a wait would be so for ever."""
    user = draft.roster.config.users.get(chain.user)
    rules = [rule for rule in contacts.notification_rules(user, chain.urgency) if isinstance(rule, Notify)] if user else []
    once = Counter(channel for rule in rules for channel in rule.channels)
    pages = (
        page
        for page in draft.incident.pages
        if page.user == chain.user and page.kind == "page" and page.due > draft.now - SAME_STEP_SECONDS
    )
    found = Counter((page.policy, page.step, page.channel) for page in pages)
    return any(times > once.get(channel, 1) for (_, _, channel), times in found.items())
