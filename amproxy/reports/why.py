"""Why one person was not paged for one incident: pure, from what is stored.

What is not stored (who else was on call, how somebody's rules go on) is asked of today's file and overrides, and the sentence
says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from amproxy.config import contacts
from amproxy.config.structs import ForwardStep, Notify, NotifyStep, ResolveStep, Urgency, WebhookStep
from amproxy.model import Chain, Incident, Page, TimelineEntry
from amproxy.oncall.roster import Roster
from amproxy.reports.evidence import EvidenceRank, EvidenceReason, IncidentEvidence, why_step_missed
from amproxy.simulation.explain import has_usable_contact

# What a person did, or what happened to the incident as a whole: no news of whether that person was paged.
_NOT_ABOUT_PAGES = frozenset(
    {"opened", "acknowledged", "unacknowledged", "resolved", "reopened", "snoozed", "triggered", "escalated", "merged", "note"}
)
_DELIVERY_KINDS = frozenset({"sent", "failed", "skipped"})


class WhyVerdict(NamedTuple):
    """known: whether the file or the incident knows the person at all. pages: those to the person, in order."""

    known: bool
    paged: bool
    reasons: list[str]  # sentences, the most specific first
    pages: list[Page]


def why_not_paged(incident: Incident, timeline: Sequence[TimelineEntry], user: str, roster: Roster, now: float) -> WhyVerdict:
    """Whether a person was paged, and why or why not. timeline: oldest first; user: a name; now: Unix seconds."""
    account = IncidentEvidence(incident, timeline, user, roster)
    pages = [page for page in incident.pages if page.user == user]
    known = account.known is not None or bool(pages) or any(entry.user == user for entry in timeline) or _is_in_policies(account)
    if not known:
        return WhyVerdict(False, False, [f"The file does not know {user}."], [])
    reasons = [*_page_reasons(account, pages, now), *_person_reasons(account, pages), *_rule_reasons(account, pages)]
    paged = any(page.kind == "page" and page.state == "sent" for page in pages)
    if not paged:
        asked = bool(reasons)
        reasons += [
            reason
            for reason in (*_incident_reasons(account), *_step_reasons(account))
            if reason.rank is not EvidenceRank.ENDED or not asked
        ]
        if all(reason.rank in (EvidenceRank.ENDED, EvidenceRank.RECEIVER) for reason in reasons):
            reasons.append(EvidenceReason(EvidenceRank.NEVER, f"No step of policy {incident.policy} gets to {account.name}."))
        if account.known is None:
            reasons.append(EvidenceReason(EvidenceRank.NO_CONTACT, f"The file does not know {user} any more."))
        elif not has_usable_contact(account.known):
            reasons.append(
                EvidenceReason(EvidenceRank.NO_CONTACT, f"{account.name} has no contact that amproxy can use, as the file is now.")
            )
    reasons.sort(key=lambda reason: reason.rank)
    return WhyVerdict(True, paged, [reason.text for reason in reasons], pages)


def _is_in_policies(account: IncidentEvidence) -> bool:
    return any(account.user in step.users for plan in account.plans() for step in plan.steps if isinstance(step, NotifyStep))


def _page_reasons(account: IncidentEvidence, pages: Sequence[Page], now: float) -> Iterator[EvidenceReason]:
    order = ("sent", "failed", "skipped", "due")
    for page in sorted(pages, key=lambda page: (order.index(page.state), page.due)):
        what = "Reminded" if page.kind == "reminder" else "Paged"
        again = f", round {page.round}" if page.round > 1 else ""
        why = f"step {page.step}{again}: {page.reason}" if page.step else page.reason or "by hand"
        over, due = f"over {page.channel}", account.when(page.due)
        match page.state:
            case "sent":
                together = ", in one message with other incidents" if page.bundle else ""
                text = f"{what} {over} at {account.when(page.due if page.sent_at is None else page.sent_at)}{together} ({why}): delivered."
            case "failed":
                text = f"The page {over} of {due} ({why}) failed: {page.error.rstrip('.')}."
            case "skipped":
                text = f"A page {over} was due at {due} ({why}) but was not sent: {page.error.rstrip('.')}."
            case _:
                tried = f"; {page.attempts} attempts so far" if page.attempts else ""
                text = f"A page {over} {'is due at' if page.due > now else 'is on its way since'} {due} ({why}){tried}."
        yield EvidenceReason(EvidenceRank.PAGE, text)


def _person_reasons(account: IncidentEvidence, pages: Sequence[Page]) -> Iterator[EvidenceReason]:
    """What the machine wrote about the person, deliveries aside: no contact, rules that run already, quiet hours."""
    channels = {page.channel for page in pages}
    for entry in account.timeline:
        told_by_page = entry.kind in _DELIVERY_KINDS and entry.channel in channels
        if entry.user == account.user and entry.kind not in _NOT_ABOUT_PAGES and not told_by_page:
            yield EvidenceReason(EvidenceRank.PERSON, account.told(entry))


def _rule_reasons(account: IncidentEvidence, pages: Sequence[Page]) -> Iterator[EvidenceReason]:
    """The person was asked for, and their own notification rules wait, or waited when somebody answered."""
    incident, name = account.incident, account.name
    chain = next((chain for chain in incident.chains if chain.user == account.user), None)
    if chain is not None and (at := chain.due) is not None and (rule := _next_rule(account, chain, at)):
        begun = f"The notification rules of {name} run since step {chain.step} ({chain.reason})"
        yield EvidenceReason(EvidenceRank.RULES, f"{begun}; the next one, {rule[1]}, is due at {account.when(rule[0])}.")
        return
    for plan in account.plans():
        for number, step in enumerate(plan.steps, 1):
            entry = account.ran(plan.name, number) if isinstance(step, NotifyStep) else None
            if entry is None or not account.asked(entry) or any(page.step == number and page.due >= entry.at for page in pages):
                continue
            urgent = "important" in (incident.urgency, step.urgency) if isinstance(step, NotifyStep) else False
            first = _next_rule(account, Chain(user=account.user, urgency="important" if urgent else "default"), entry.at)
            if first and account.stop is not None and first[0] > entry.at:
                waits = f"At {account.when(entry.at)} step {number} asked for {name}, whose notification rules wait first"
                then = f"{first[1]} would have been at {account.when(first[0])}, by the rules as they are now"
                yield EvidenceReason(EvidenceRank.RULES, f"{waits}: {then}; before that {account.stopped()}.")


def _next_rule(account: IncidentEvidence, chain: Chain, at: float) -> tuple[float, str] | None:
    """When the next rule that pages runs, if the chain goes on at `at`, and over which channels."""
    urgency: Urgency = chain.urgency
    for rule in contacts.notification_rules(account.known, urgency)[chain.position :] if account.known else ():
        if isinstance(rule, Notify):
            return at, ", ".join(rule.channels)
        at += rule.seconds
    return None


def _incident_reasons(account: IncidentEvidence) -> Iterator[EvidenceReason]:
    """What holds for everybody: the incident is part of another, is held back, or its policy is over."""
    incident, last = account.incident, {entry.kind: entry for entry in account.timeline}
    if incident.merged_into:
        text = account.told(last["merged"]) if "merged" in last else f"It became part of incident {incident.merged_into}."
        yield EvidenceReason(EvidenceRank.ELSEWHERE, f"{text} Whoever had to know was paged for that one.")
    if incident.held_until is not None:
        by = f", because of {incident.held_by}" if incident.held_by else ""
        yield EvidenceReason(
            EvidenceRank.HELD, f"It is held back until {account.when(incident.held_until)}{by}: nothing of the policy runs before that."
        )
    elif "held" in last:
        yield EvidenceReason(EvidenceRank.HELD, account.told(last["held"]))
    if "ended" in last and incident.step_due is None and account.stop is None:
        yield EvidenceReason(EvidenceRank.ENDED, account.told(last["ended"]))


def _step_reasons(account: IncidentEvidence) -> Iterator[EvidenceReason]:
    """The steps of the policies, one by one."""
    for plan in account.plans():
        for number, step in enumerate(plan.steps, 1):
            entry = account.ran(plan.name, number)
            if isinstance(step, NotifyStep) and not step.receiver:
                if reason := why_step_missed(account, plan, number, step):
                    yield reason
            elif entry and isinstance(step, NotifyStep | WebhookStep):
                yield EvidenceReason(EvidenceRank.RECEIVER, account.told(entry))
            elif entry and isinstance(step, ForwardStep | ResolveStep):
                yield EvidenceReason(EvidenceRank.ENDED, account.told(entry))
