"""The reasons why one person was not paged for one incident: pure, from what is stored.

The rest (who else was on call, the further rules of somebody) is taken from today's file and
overrides, and the reason says so.
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
from amproxy.machine.chains import next_rule
from amproxy.model import Chain, Incident, Page, TimelineEntry
from amproxy.oncall.roster import Roster
from amproxy.reports.evidence import EvidenceRank, EvidenceReason, IncidentEvidence, why_step_missed
from amproxy.simulation.explain import has_usable_contact
from amproxy.text import Moment, Phrase, PhraseValue, Words, phrase

# Timeline entries that say nothing of pages: what a person did, and what happened to the incident.
_ACTIONS = {"acknowledged", "unacknowledged", "resolved", "snoozed", "escalated", "note"}
_NOT_ABOUT_PAGES: Final = _ACTIONS | {
    "opened",
    "reopened",
    "triggered",
    "merged",
    "unmerged",
    "taken_out",
}
_DELIVERY_KINDS: Final = frozenset({"sent", "failed", "skipped"})
_STATE_ORDER: Final = ("sent", "failed", "skipped", "due")


class WhyVerdict(NamedTuple):
    """The verdict on one person and one incident."""

    known: bool  # the file or the incident knows the person
    paged: bool
    reasons: list[Phrase]  # the most specific first
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
        return WhyVerdict(False, False, [phrase("why.unknown", user=user)], [])
    reasons = [
        *_page_reasons(pages, now),
        *_person_reasons(evidence, pages),
        *_rule_reasons(evidence, pages),
    ]
    paged = any(page.kind == "page" and page.state == "sent" for page in pages)
    if not paged:
        reasons = _add_policy_reasons(evidence, reasons)
    reasons.sort(key=lambda reason: reason.rank)
    return WhyVerdict(True, paged, [reason.what for reason in reasons], pages)


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


def _page_reasons(pages: Sequence[Page], now: float) -> Iterator[EvidenceReason]:
    for page in sorted(pages, key=lambda page: (_STATE_ORDER.index(page.state), page.due)):
        yield EvidenceReason(EvidenceRank.PAGE, _page_phrase(page, now))


def _page_phrase(page: Page, now: float) -> Phrase:
    values: dict[str, PhraseValue] = {
        "channel": page.channel,
        "at": Moment(page.due),
        "why": _why_paged(page),
    }
    match page.state:
        case "sent":
            values["at"] = Moment(page.due if page.sent_at is None else page.sent_at)
            if page.kind == "reminder":
                return Phrase("why.reminded", values)
            return Phrase("why.paged_together" if page.bundle else "why.paged", values)
        case "failed":
            return phrase("why.page_failed", error=page.error, **values)
        case "skipped":
            return phrase("why.page_skipped", error=page.error, **values)
        case _:
            due = phrase("why.page_due" if page.due > now else "why.page_on_its_way", **values)
            return phrase("why.page_tried", what=due, n=page.attempts) if page.attempts else due


def _why_paged(page: Page) -> Words:
    if not page.step:
        return page.reason or phrase("why.by_hand")
    if page.round > 1:
        return phrase("why.step_round", step=page.step, round=page.round, reason=page.reason)
    return phrase("why.step", step=page.step, reason=page.reason)


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


def _running_rules(evidence: IncidentEvidence) -> Phrase | None:
    """Return the rules that wait now; None = none do."""
    for chain in evidence.incident.chains:
        if chain.user != evidence.user:
            continue
        rule = _next_rule(evidence, chain, chain.due) if chain.due is not None else None
        if rule is None:
            return None
        return phrase(
            "why.rules_run",
            person=evidence.person,
            step=chain.step,
            reason=chain.reason,
            channels=rule.channels,
            at=Moment(rule.at),
        )
    return None


def _waited_rules(
    evidence: IncidentEvidence, number: int, step: NotifyStep, at: float
) -> Phrase | None:
    """Return the rules that waited when the incident was answered; None = none did."""
    important = "important" in (evidence.incident.urgency, step.urgency)
    chain = Chain(user=evidence.user, urgency="important" if important else "default")
    rule = _next_rule(evidence, chain, at)
    stop = evidence.describe_stop()
    if rule is None or stop is None or rule.at <= at:
        return None
    return phrase(
        "why.rules_waited",
        at=Moment(at),
        step=number,
        person=evidence.person,
        channels=rule.channels,
        then=Moment(rule.at),
        stop=stop,
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
    for rule in rules[next_rule(chain, rules) :]:
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
        never = phrase("why.never", policy=evidence.incident.policy, person=evidence.person)
        found.append(EvidenceReason(EvidenceRank.NEVER, never))
    if evidence.user_config is None:
        gone = phrase("why.gone", person=evidence.person)
        found.append(EvidenceReason(EvidenceRank.NO_CONTACT, gone))
    elif not has_usable_contact(evidence.roster.config, evidence.user_config):
        no_contact = phrase("why.no_contact", person=evidence.person)
        found.append(EvidenceReason(EvidenceRank.NO_CONTACT, no_contact))
    return found


def _incident_reasons(evidence: IncidentEvidence) -> Iterator[EvidenceReason]:
    """The reasons for everybody: the incident is merged, is held back, or its policy is over."""
    incident, last = evidence.incident, {entry.kind: entry for entry in evidence.timeline}
    if incident.merged_into:
        merged = phrase("why.merged", incident=incident.merged_into)
        if (entry := last.get("resolved")) and entry.data.get("by") == "merged":
            merged = phrase("why.merged_then", what=evidence.describe_entry(entry))
        yield EvidenceReason(EvidenceRank.MERGED, merged)
    if incident.held_until is not None:
        held = phrase("why.held", until=Moment(incident.held_until))
        if incident.held_by:
            held = phrase("why.held_because", reason=incident.held_by, **held.values)
        yield EvidenceReason(EvidenceRank.ON_HOLD, held)
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
