"""The reasons why one person was not paged for one incident: pure, from what is stored.

The rest (who else was on call, the further rules of somebody) is taken from today's file and
overrides, and the sentence says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from amproxy.config.channels import notification_rules
from amproxy.config.structs import (
    ForwardStep,
    Notify,
    NotifyStep,
    ResolveStep,
    Urgency,
    WebhookStep,
)
from amproxy.model import Chain, Incident, Page, TimelineEntry
from amproxy.oncall.roster import Roster
from amproxy.reports.evidence import EvidenceRank, EvidenceReason, IncidentEvidence, why_step_missed
from amproxy.simulation.explain import has_usable_contact

# Timeline entries that say nothing of pages: what a person did, and what happened to the incident.
_ACTIONS = {"acknowledged", "unacknowledged", "resolved", "snoozed", "escalated", "note"}
_NOT_ABOUT_PAGES: Final = _ACTIONS | {"opened", "reopened", "triggered", "merged"}
_DELIVERY_KINDS: Final = frozenset({"sent", "failed", "skipped"})
_STATE_ORDER: Final = ("sent", "failed", "skipped", "due")


class WhyVerdict(NamedTuple):
    """The verdict on one person and one incident."""

    known: bool  # the file or the incident knows the person
    paged: bool
    reasons: list[str]  # sentences, the most specific first
    pages: list[Page]  # those to the person, in order


def why_not_paged(
    incident: Incident, timeline: Sequence[TimelineEntry], user: str, roster: Roster, now: float
) -> WhyVerdict:
    """Return the reasons why a person was paged or not.

    timeline: oldest first; user: a name; now: Unix seconds.
    """
    evidence = IncidentEvidence(incident, timeline, user, roster)
    pages = [page for page in incident.pages if page.user == user]
    if not _is_known(evidence, pages):
        return WhyVerdict(False, False, [f"The file does not know {user}."], [])
    reasons = [
        *_page_reasons(evidence, pages, now),
        *_person_reasons(evidence, pages),
        *_rule_reasons(evidence, pages),
    ]
    paged = any(page.kind == "page" and page.state == "sent" for page in pages)
    if not paged:
        reasons = _add_policy_reasons(evidence, reasons)
    reasons.sort(key=lambda reason: reason.rank)
    return WhyVerdict(True, paged, [reason.text for reason in reasons], pages)


def _is_known(evidence: IncidentEvidence, pages: Sequence[Page]) -> bool:
    user = evidence.user
    if evidence.user_config is not None or pages:
        return True
    return any(entry.user == user for entry in evidence.timeline) or any(
        user in step.users
        for policy in evidence.policies()
        for step in policy.steps
        if isinstance(step, NotifyStep)
    )


def _page_reasons(
    evidence: IncidentEvidence, pages: Sequence[Page], now: float
) -> Iterator[EvidenceReason]:
    for page in sorted(pages, key=lambda page: (_STATE_ORDER.index(page.state), page.due)):
        yield EvidenceReason(EvidenceRank.PAGE, _page_text(evidence, page, now))


def _page_text(evidence: IncidentEvidence, page: Page, now: float) -> str:
    round_ = f", round {page.round}" if page.round > 1 else ""
    why = f"step {page.step}{round_}: {page.reason}" if page.step else page.reason or "by hand"
    over, due, error = f"over {page.channel}", evidence.when(page.due), page.error.rstrip(".")
    match page.state:
        case "sent":
            what = "Reminded" if page.kind == "reminder" else "Paged"
            at = due if page.sent_at is None else evidence.when(page.sent_at)
            together = ", in one message with other incidents" if page.bundle else ""
            return f"{what} {over} at {at}{together} ({why}): delivered."
        case "failed":
            return f"The page {over} of {due} ({why}) failed: {error}."
        case "skipped":
            return f"A page {over} was due at {due} ({why}) but was not sent: {error}."
        case _:
            state = "is due at" if page.due > now else "is on its way since"
            tried = f"; {page.attempts} attempts so far" if page.attempts else ""
            return f"A page {over} {state} {due} ({why}){tried}."


def _person_reasons(evidence: IncidentEvidence, pages: Sequence[Page]) -> Iterator[EvidenceReason]:
    """Entries about the person, such as no contact, rules that run already, quiet hours."""
    channels = {page.channel for page in pages}
    for entry in evidence.timeline:
        if entry.user != evidence.user or entry.kind in _NOT_ABOUT_PAGES:
            continue
        # The page itself says it already, unless it is forgotten: then the entry is all there is.
        if entry.kind in _DELIVERY_KINDS and entry.channel in channels:
            continue
        yield EvidenceReason(EvidenceRank.PERSON, evidence.describe_entry(entry))


def _rule_reasons(evidence: IncidentEvidence, pages: Sequence[Page]) -> Iterator[EvidenceReason]:
    """The person's own notification rules wait, or waited when somebody answered."""
    if running := _running_rules(evidence):
        yield EvidenceReason(EvidenceRank.RULES, running)
        return
    for policy in evidence.policies():
        for number, step in enumerate(policy.steps, 1):
            if not isinstance(step, NotifyStep):
                continue
            entry = evidence.last_run_of(policy.name, number)
            if entry is None or not evidence.step_asked_for_person(entry):
                continue
            if any(page.step == number and page.due >= entry.at for page in pages):
                continue
            if waited := _waited_rules(evidence, number, step, entry.at):
                yield EvidenceReason(EvidenceRank.RULES, waited)


def _running_rules(evidence: IncidentEvidence) -> str:
    """Return a sentence of rules that wait now; "" = none do."""
    for chain in evidence.incident.chains:
        if chain.user != evidence.user:
            continue
        rule = _next_rule(evidence, chain, chain.due) if chain.due is not None else None
        if rule is None:
            return ""
        started = f"run since step {chain.step} ({chain.reason})"
        following = f"the next one, {rule.channels}, is due at {evidence.when(rule.at)}"
        return f"The notification rules of {evidence.name} {started}; {following}."
    return ""


def _waited_rules(evidence: IncidentEvidence, number: int, step: NotifyStep, at: float) -> str:
    """Return a sentence of rules that waited when the incident was answered; "" = none did."""
    important = "important" in (evidence.incident.urgency, step.urgency)
    chain = Chain(user=evidence.user, urgency="important" if important else "default")
    rule = _next_rule(evidence, chain, at)
    if rule is None or evidence.stop is None or rule.at <= at:
        return ""
    waits = f"step {number} asked for {evidence.name}, whose notification rules wait first"
    then = f"would have been at {evidence.when(rule.at)}, by the rules as they are now"
    return (
        f"At {evidence.when(at)} {waits}: {rule.channels} {then};"
        f" before that {evidence.describe_stop()}."
    )


class _NextRule(NamedTuple):
    at: float  # Unix seconds
    channels: str


def _next_rule(evidence: IncidentEvidence, chain: Chain, at: float) -> _NextRule | None:
    """Return the next rule that pages, if the chain goes on at `at` (Unix seconds)."""
    if evidence.user_config is None:
        return None
    urgency: Urgency = chain.urgency
    rules = notification_rules(evidence.roster.config, evidence.user_config, urgency)
    for rule in rules[chain.position :]:
        if isinstance(rule, Notify):
            return _NextRule(at, ", ".join(rule.channels))
        at += rule.seconds
    return None


def _add_policy_reasons(
    evidence: IncidentEvidence, reasons: list[EvidenceReason]
) -> list[EvidenceReason]:
    """Return the reasons with those of the incident and its policies, for a person not paged."""
    # That the policy is over is no reason for somebody whom it did ask for.
    found = [
        *reasons,
        *(
            reason
            for reason in (*_incident_reasons(evidence), *_step_reasons(evidence))
            if not reasons or reason.rank is not EvidenceRank.ENDED
        ),
    ]
    if all(reason.rank in (EvidenceRank.ENDED, EvidenceRank.RECEIVER) for reason in found):
        text = f"No step of policy {evidence.incident.policy} gets to {evidence.name}."
        found.append(EvidenceReason(EvidenceRank.NEVER, text))
    if evidence.user_config is None:
        text = f"The file does not know {evidence.user} any more."
        found.append(EvidenceReason(EvidenceRank.NO_CONTACT, text))
    elif not has_usable_contact(evidence.roster.config, evidence.user_config):
        text = f"{evidence.name} has no contact that amproxy can use, as the file is now."
        found.append(EvidenceReason(EvidenceRank.NO_CONTACT, text))
    return found


def _incident_reasons(evidence: IncidentEvidence) -> Iterator[EvidenceReason]:
    """The reasons for everybody: the incident is merged, is held back, or its policy is over."""
    incident, last = evidence.incident, {entry.kind: entry for entry in evidence.timeline}
    if incident.merged_into:
        text = f"It became part of incident {incident.merged_into}."
        if "merged" in last:
            text = evidence.describe_entry(last["merged"])
        text += " Whoever had to know was paged for that one."
        yield EvidenceReason(EvidenceRank.MERGED, text)
    if incident.held_until is not None:
        by = f", because of {incident.held_by}" if incident.held_by else ""
        until = evidence.when(incident.held_until)
        text = f"It is held back until {until}{by}: nothing of the policy runs before that."
        yield EvidenceReason(EvidenceRank.ON_HOLD, text)
    elif "held" in last:
        yield EvidenceReason(EvidenceRank.ON_HOLD, evidence.describe_entry(last["held"]))
    if "ended" in last and incident.step_due is None and evidence.stop is None:
        yield EvidenceReason(EvidenceRank.ENDED, evidence.describe_entry(last["ended"]))


def _step_reasons(evidence: IncidentEvidence) -> Iterator[EvidenceReason]:
    """The reasons of the policies, step by step."""
    for policy in evidence.policies():
        for number, step in enumerate(policy.steps, 1):
            entry = evidence.last_run_of(policy.name, number)
            if isinstance(step, NotifyStep) and not step.receiver:
                if reason := why_step_missed(evidence, policy, number, step):
                    yield reason
            elif entry and isinstance(step, NotifyStep | WebhookStep):
                yield EvidenceReason(EvidenceRank.RECEIVER, evidence.describe_entry(entry))
            elif entry and isinstance(step, ForwardStep | ResolveStep):
                yield EvidenceReason(EvidenceRank.ENDED, evidence.describe_entry(entry))
