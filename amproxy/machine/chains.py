"""One person's notification rules for one incident: which contact next, and when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from amproxy.clock import utc
from amproxy.config.channels import (
    contact_address,
    is_deliverable,
    left_out_channels,
    notification_rules,
    own_channels,
    why_undeliverable,
)
from amproxy.config.structs import Config, Notify, Urgency, Wait
from amproxy.machine.draft import Draft, end_wait, new_id
from amproxy.model import Chain, Incident, Page
from amproxy.text import Moment, Phrase, Words, phrase

# Within so many seconds a step begins a person's rules twice only if policies go in a circle.
SAME_STEP_SECONDS = 60.0
_WAITED: Final = "wait"  # of Chain.ran


def start_chain(
    draft: Draft, user: str, urgency: Urgency, *, step: int, reason: Words, insists: bool = False
) -> None:
    """Begin a person's rules, unless they run already: two steps that page one person do not.

    Running rules begin anew only where the new page is more urgent and the person has other rules
    for that. insists: by hand, so that somebody else's acknowledgement does not end them.
    """
    incident = draft.incident
    before = next((chain for chain in incident.chains if chain.user == user), None)
    insists = insists or (before is not None and before.insists)
    if before is not None and (before.due is not None or _was_just_paged(draft, user)):
        more_urgent = _is_more_urgent(draft, before, urgency)
        what = phrase("event.paged_already", person=draft.people(user))
        if more_urgent:
            what = phrase("event.paged_more_urgently", **what.values)
        draft.record("step", what, user=user, step=step)
        if not more_urgent:
            before.insists = insists
            _end_quiet_hours(draft, before, urgency)
            return
    chain = Chain(
        user=user,
        urgency=urgency,
        due=draft.now,
        step=step,
        round=incident.round,
        reason=reason,
        insists=insists,
    )
    incident.chains = [*(other for other in incident.chains if other.user != user), chain]


def _was_just_paged(draft: Draft, user: str) -> bool:
    """True where an earlier step of this transition paged the person.

    Such rules may be over already, and would begin a second time at the same moment.
    """
    return any(message.kind == "page" and message.user == user for message in draft.outbox)


def _is_more_urgent(draft: Draft, running: Chain, urgency: Urgency) -> bool:
    if urgency != "important" or running.urgency == "important":
        return False
    config = draft.roster.config
    important, default = (
        notification_rules(config, config.users[running.user], one)
        for one in ("important", "default")
    )
    return important != default


def _end_quiet_hours(draft: Draft, running: Chain, urgency: Urgency) -> None:
    """Run the next rule at once where the new page ignores the quiet hours that it waits for."""
    if urgency == "important":
        running.urgency = "important"
    if running.quiet and ignores_quiet_hours(draft.incident, running):
        running.due, running.quiet = draft.now, False


def run_due_chains(draft: Draft) -> bool:
    """Run every personal rule that is due; return True if one ran."""
    due = due_chains(draft)
    for chain in due:
        _run_rule(draft, chain)
    return bool(due)


def due_chains(draft: Draft) -> list[Chain]:
    """The personal rules that go on now."""
    return [
        chain
        for chain in draft.incident.chains
        if chain.due is not None and chain.due <= draft.now and is_running(draft.incident, chain)
    ]


def is_running(incident: Incident, chain: Chain) -> bool:
    """True while a person's rules may run: those by hand do unless the incident is over."""
    return chain.insists or (incident.state == "triggered" and incident.held_until is None)


def _run_rule(draft: Draft, chain: Chain) -> None:
    config = draft.roster.config
    user = config.users.get(chain.user)
    rules = notification_rules(config, user, chain.urgency) if user else ()
    chain.position = next_rule(chain, rules)
    rule = rules[chain.position] if chain.position < len(rules) else None
    if isinstance(rule, Notify) and _wait_for_quiet_hours(draft, chain):
        return
    if user and not chain.ran:
        for channel, reason in left_out_channels(config, user, chain.urgency):
            _note_undeliverable(draft, chain, channel, reason)
    if rule is None:
        _end_chain(draft, chain)
        return
    _pass_rule(chain, rule)
    if not isinstance(rule, Notify):
        chain.due = draft.now + rule.seconds
        return
    # A list, not any() of a generator: all channels of a rule are paged.
    paged = [page_contact(draft, chain, channel) for channel in rule.channels]
    if not any(paged):
        # Nothing was sent, so there is no answer that the waits behind the rule could wait for.
        while chain.position < len(rules) and isinstance(rules[chain.position], Wait):
            _pass_rule(chain, rules[chain.position])


def _pass_rule(chain: Chain, rule: Notify | Wait) -> None:
    chain.position += 1
    chain.ran = [*chain.ran, ",".join(rule.channels) if isinstance(rule, Notify) else _WAITED]


def next_rule(chain: Chain, rules: Sequence[Notify | Wait]) -> int:
    """The position of the next rule in a person's rules as they are now.

    Where they have changed since the last one ran, it is that of the first page that was not sent
    yet, or of the wait before it: none is missed, and none is sent twice.
    """
    if not chain.ran:
        return chain.position
    began = [",".join(rule.channels) if isinstance(rule, Notify) else _WAITED for rule in rules]
    if began[: len(chain.ran)] == chain.ran:
        return len(chain.ran)
    sent = Counter(channel for one in chain.ran if one != _WAITED for channel in one.split(","))
    position = 0
    for number, rule in enumerate(rules):
        if isinstance(rule, Notify):
            if not all(sent[channel] > 0 for channel in rule.channels):
                break
            sent.subtract(rule.channels)
            position = number + 1
    if chain.ran[-1] == _WAITED:
        while position < len(rules) and isinstance(rules[position], Wait):
            position += 1
    return position


def _end_chain(draft: Draft, chain: Chain) -> None:
    """End a person's rules; where they reached nothing, try the contacts that they do not use."""
    chain.due = None
    pages = [page for page in draft.incident.pages if page.user == chain.user]
    if any(page.state in ("due", "sent") for page in pages):
        return
    untried = untried_channels(draft, chain.user, (p for p in pages if p.round == chain.round))
    if not any(page_contact(draft, chain, channel) for channel in untried):
        mark_unreachable(draft, chain)


def _wait_for_quiet_hours(draft: Draft, chain: Chain) -> bool:
    """Let the next rule wait for the end of quiet hours; False where there are none."""
    chain.quiet = False
    if ignores_quiet_hours(draft.incident, chain):
        return False
    until = draft.roster.quiet_until(chain.user, utc(draft.now))
    if until is None:
        return False
    chain.due, chain.quiet = until.timestamp(), True
    what = phrase("event.quiet", person=draft.people(chain.user), until=Moment(chain.due))
    draft.record("quiet", what, user=chain.user, step=chain.step, until=chain.due)
    return True


def ignores_quiet_hours(incident: Incident, chain: Chain) -> bool:
    """True where pages are sent in quiet hours too: important ones, and those by hand."""
    return chain.urgency == "important" or chain.insists or chain.step == 0 or not incident.group


def page_contact(draft: Draft, chain: Chain, channel: str) -> bool:
    """Page one person over one channel; False where no contact for it can be delivered to."""
    user = draft.roster.config.users[chain.user]
    address = contact_address(user, channel)
    if address is None:
        what = phrase("event.no_contact", person=draft.people(user.name), channel=channel)
        draft.record("failed", what, user=user.name, channel=channel, step=chain.step)
        return False
    if reason := why_undeliverable(draft.roster.config, channel, address):
        _note_undeliverable(draft, chain, channel, reason)
        return False
    page = Page(
        id=new_id(),
        user=user.name,
        channel=channel,
        address=address,
        policy=draft.incident.policy,
        step=chain.step,
        round=chain.round,
        reason=chain.reason,
        insists=chain.insists,
        due=draft.now,
    )
    draft.page(page)
    return True


def _note_undeliverable(draft: Draft, chain: Chain, channel: str, reason: Phrase) -> None:
    """Record why a contact is passed over: the next one is tried at once."""
    what = phrase(
        "event.page",
        channel=channel,
        person=draft.people(chain.user),
        result=phrase("outcome.not_sent", reason=reason),
    )
    draft.record("failed", what, user=chain.user, channel=channel, step=chain.step)


def try_next_contact(draft: Draft, page: Page) -> None:
    """Go on with the person's rules at once, because a page failed for good.

    While another page of the same rule may still arrive, nothing changes. Where no rule is left,
    the contacts that the rules do not use are tried.
    """
    incident = draft.incident
    chain = next((chain for chain in incident.chains if chain.user == page.user), None)
    if chain is None or chain.round != page.round:
        return
    mine = [p for p in incident.pages if p.user == page.user and p.kind == "page"]
    # Pages of one rule are due at the same time.
    if any(p.due == page.due and p.state in ("due", "sent") for p in mine):
        return
    if incident.state == "snoozed":
        # Nobody is paged while it is snoozed; the rules go on right after the end.
        if chain.left is not None:
            chain.left = 0.0
        return
    if chain.due is not None:
        chain.due = draft.now
        return
    of_round = [p for p in mine if p.round == chain.round]
    untried = untried_channels(draft, page.user, of_round)
    if any(page_contact(draft, chain, channel) for channel in untried):
        return
    if not any(p.state in ("due", "sent") for p in of_round):
        mark_unreachable(draft, chain)


def untried_channels(draft: Draft, name: str, pages: Iterable[Page]) -> Iterator[str]:
    """The channels of a person that none of these pages used, in the order of the contacts.

    Those that cannot be delivered to are not among them.
    """
    config, tried = draft.roster.config, {page.channel for page in pages}
    user = config.users.get(name)
    if user is None:
        return iter(())
    return (
        channel
        for channel in own_channels(user)
        if channel not in tried and is_deliverable(config, user, channel)
    )


def has_other_contact(config: Config, incident: Incident, page: Page) -> bool:
    """True where the failure of a page leaves another contact of its person that has not failed."""
    user = config.users.get(page.user)
    failed = {
        one.channel
        for one in incident.pages
        if one.user == page.user and one.round == page.round and one.state == "failed"
    }
    return user is not None and any(
        channel not in failed and channel != page.channel and is_deliverable(config, user, channel)
        for channel in own_channels(user)
    )


def mark_unreachable(draft: Draft, chain: Chain) -> None:
    """Note that no contact of the person works.

    Where that is true of everyone who was paged, the policy does not wait for an answer.
    """
    if chain.unreachable:
        return
    chain.unreachable = True
    what = phrase("event.unreachable", person=draft.people(chain.user))
    draft.record("failed", what, user=chain.user, step=chain.step, unreachable=True)
    incident = draft.incident
    if _started_twice(draft, chain):
        return
    if incident.waiting in ("time", "answer") and all(
        other.unreachable for other in incident.chains
    ):
        end_wait(draft)
        draft.record("escalated", phrase("event.nobody_reachable"))


def _started_twice(draft: Draft, chain: Chain) -> bool:
    """True where one step began a person's rules twice within SAME_STEP_SECONDS.

    If such a wait were cut short too, policies in a circle would run without any pause.
    """
    config = draft.roster.config
    user = config.users.get(chain.user)
    rules = notification_rules(config, user, chain.urgency) if user else ()
    once = Counter(
        channel for rule in rules if isinstance(rule, Notify) for channel in rule.channels
    )
    paged = Counter(
        (page.policy, page.step, page.channel)
        for page in draft.incident.pages
        if page.user == chain.user
        and page.kind == "page"
        and page.due > draft.now - SAME_STEP_SECONDS
    )
    return any(times > once.get(channel, 1) for (_, _, channel), times in paged.items())
