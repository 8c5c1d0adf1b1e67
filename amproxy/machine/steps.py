"""The policy that an incident follows, and its steps: which runs next, when, and what it does.

The policy is the one that the incident was opened with, one that a step forwards to, or a person's
choice; a running incident keeps it as it was when it started.
"""

from __future__ import annotations

from typing import Final

from amproxy.clock import utc
from amproxy.config.structs import (
    Condition,
    Config,
    ForwardStep,
    Integration,
    NotifyStep,
    Policy,
    ResolveStep,
    Step,
    Wait,
    WaitForAlertsStep,
    WaitUntilStep,
    WebhookStep,
)
from amproxy.labels.matchers import parse_matcher
from amproxy.machine.chains import due_chains, start_chain
from amproxy.machine.draft import Draft, clear_wait, close_incident, end_wait, new_id, set_wait
from amproxy.machine.holds import has_enough_alerts
from amproxy.machine.lost_names import last_resort, lost_names, plan_of_chain, step_of_today
from amproxy.machine.recipients import Recipients, find_recipients, page_urgency
from amproxy.model import Chain, Incident, Page, TimelineEntry
from amproxy.oncall.roster import Roster
from amproxy.text import Length, Phrase, ScheduleName, Words, phrase

STEP_SKIPPED: Final = "event.step_skipped"
PAGING_INSTEAD: Final = "event.instead"
# Seconds before a step runs again: rounds without any wait, or policies that forward to each other
# in a circle, must not run all at once.
ROUND_PAUSE = 60.0
# Seconds after which a schedule without any shift in sight is checked again.
SHIFT_RETRY_SECONDS = 86400.0


def begin_policy(draft: Draft, plan: Policy) -> None:
    """Follow a policy from now on.

    The policies that it may forward to are stored with it, as the file has them now: an edit of
    the file does not change what runs already.
    """
    incident = draft.incident
    incident.plan, incident.policy, incident.team = plan, plan.name, plan.team or incident.team
    incident.begins_with = plan.name
    incident.forwards = _reachable_policies(draft.roster.config, plan)


def begin_policy_anew(draft: Draft) -> None:
    """Follow the policy that it began with, as the file has it now; else its present one."""
    incident = draft.incident
    begin_policy(draft, draft.roster.config.policies.get(incident.begins_with, incident.plan))


def forward_to_policy(draft: Draft, plan: Policy) -> None:
    """Follow a policy that a step forwards to, from its first step; people's rules go on."""
    incident = draft.incident
    incident.plan, incident.policy, incident.team = plan, plan.name, plan.team or incident.team
    incident.position, incident.round = 0, 1
    incident.heard_at = draft.now  # it gets the whole of its own auto_resolve


def _reachable_policies(config: Config, plan: Policy) -> dict[str, Policy]:
    found: dict[str, Policy] = {}
    todo = [plan]
    while todo:
        for step in todo.pop().steps:
            if not isinstance(step, ForwardStep) or step.policy in found:
                continue
            if step.policy in config.policies:
                found[step.policy] = config.policies[step.policy]
                todo.append(found[step.policy])
    return found


def skip_reason(step: Condition, incident: Incident, roster: Roster, now: float) -> Phrase | None:
    """The reason why a step is skipped, by its matchers and time intervals; None = it runs.

    A time interval that is not in the file any more restricts nothing: too many pages are better
    than none.
    """
    for text in step.matchers:
        if not parse_matcher(text).matches(incident.common_labels):
            return phrase("skip.matcher", matcher=text)
    if not step.mute_time_intervals and not step.active_time_intervals:
        return None
    at = utc(now)
    for name in roster.known_intervals(step.mute_time_intervals):
        if roster.holds(name, at):
            return phrase("skip.muted", interval=name)
    active = roster.known_intervals(step.active_time_intervals)
    if active and not any(roster.holds(name, at) for name in active):
        return phrase("skip.outside", intervals=tuple(active))
    return None


def skipped_because(entry: TimelineEntry) -> Words | None:
    """The reason of an entry that says that a step was skipped; None = it says another thing."""
    if entry.what and entry.what.key == STEP_SKIPPED:
        reason = entry.what.values["reason"]
        return reason if isinstance(reason, Phrase) else None
    stored = entry.data.get("skipped")  # of an earlier version
    return stored if isinstance(stored, str) else None


def run_due_step(draft: Draft) -> bool:
    """Run the next step if it is due; return True if one ran."""
    incident = draft.incident
    if incident.step_due is None or incident.step_due > draft.now:
        return False
    if incident.position >= len(incident.plan.steps):
        _finish_round(draft)
    else:
        _run_step(draft, incident.plan.steps[incident.position], incident.position + 1)
    return True


def _finish_round(draft: Draft) -> None:
    incident = draft.incident
    if incident.round > incident.plan.repeat or not incident.plan.steps:
        clear_wait(draft)
        draft.record("ended", phrase("event.ended"))
        return
    incident.round += 1
    first = min(incident.plan.repeat_from, len(incident.plan.steps))
    incident.position = first - 1
    end_wait(draft)
    what = phrase("event.repeat", round=incident.round, rounds=incident.plan.repeat + 1)
    if first > 1:
        what = phrase("event.repeat_from", first=first, **what.values)
    draft.record("repeat", what)


def _run_step(draft: Draft, step: Step, number: int) -> None:
    incident = draft.incident
    if (incident.policy, number) in draft.ran:
        set_wait(draft, "round", draft.now + ROUND_PAUSE, phrase("wait.round"))
        return
    draft.ran.add((incident.policy, number))
    incident.position = number
    if isinstance(step, WaitForAlertsStep):
        if has_enough_alerts(draft, step, number):
            end_wait(draft)
        return
    # Before the step itself, which may set a wait of its own.
    end_wait(draft)
    if isinstance(step, Condition):
        skipped = skip_reason(step, incident, draft.roster, draft.now)
        if skipped:
            what = phrase(STEP_SKIPPED, step=number, reason=skipped)
            draft.record("step", what, step=number)
            return
    match step:
        case Wait():
            _run_wait(draft, step, number)
        case WaitUntilStep():
            _run_wait_until(draft, step, number)
        case NotifyStep():
            _run_notify(draft, step, number)
        case WebhookStep():
            _tell_receiver(draft, step, number)
        case ForwardStep():
            _run_forward(draft, step, number)
        case ResolveStep():
            what = phrase("event.resolved_by_step", step=number, policy=incident.policy)
            close_incident(draft, "policy", what, step=number)


def _run_wait(draft: Draft, step: Wait, number: int) -> None:
    chains = draft.incident.chains
    if chains and all(chain.unreachable for chain in chains):
        draft.record("escalated", phrase("event.not_waiting", step=number), step=number)
        return
    waiting_for = phrase("wait.time", length=Length(step.seconds))
    set_wait(draft, "time", draft.now + step.seconds, waiting_for)


def _run_wait_until(draft: Draft, step: WaitUntilStep, number: int) -> None:
    interval = step.interval
    if not draft.roster.known_intervals((interval,)):
        what = phrase("event.interval_gone", step=number, interval=interval)
        draft.record("step", what, step=number)
        return
    opens = draft.roster.opens(interval, utc(draft.now))
    if opens is None:
        what = phrase("event.interval_never", step=number, interval=interval)
        draft.record("step", what, step=number)
    elif opens.timestamp() > draft.now:
        waiting_for = phrase("wait.interval", interval=interval)
        set_wait(draft, "interval", opens.timestamp(), waiting_for)


def _run_forward(draft: Draft, step: ForwardStep, number: int) -> None:
    plan = draft.incident.forwards.get(step.policy)
    if plan is None:
        what = phrase("event.no_policy", step=number, policy=step.policy)
        draft.record("failed", what, step=number)
        return
    what = phrase("event.forwarded", step=number, policy=step.policy)
    draft.record("forwarded", what, step=number)
    forward_to_policy(draft, plan)


def _run_notify(draft: Draft, step: NotifyStep, number: int) -> None:
    """Page everyone whom the step names, or do what `if_nobody` says."""
    if step.receiver:
        _tell_receiver(draft, step, number)
        return
    found = find_recipients(draft, step)
    lost = lost_names(draft.roster.config, step)
    if not found.users and not lost:
        _handle_nobody(draft, step, number, found.reason)
        return
    if found.users:
        _page_people(draft, step, number, found)
    # Of people who take turns, one that is left is enough.
    if lost and not (found.users and step.pick == "round_robin"):
        paged = _page_instead(draft, step, number, lost, besides=found.users)
        if not (paged or found.users):
            _handle_nobody(draft, step, number, found.reason)


def _page_people(draft: Draft, step: NotifyStep, number: int, found: Recipients) -> None:
    what = phrase("event.paging", step=number, people=draft.people(*found.users), why=found.reason)
    if found.not_paged:
        what = phrase("event.paging_without", not_paged=found.not_paged, **what.values)
    draft.record("step", what, step=number, users=list(found.users))
    for user in found.users:
        start_chain(draft, user, page_urgency(draft, step), step=number, reason=found.reason)


def _page_instead(
    draft: Draft,
    step: NotifyStep | WebhookStep,
    number: int,
    lost: tuple[Phrase, ...],
    *,
    besides: tuple[str, ...] = (),
) -> bool:
    """Page others where the file has lost what a step names: silence would end the escalation.

    Return False where there is nobody. besides: the people whom the step pages all the same.
    """
    today = _step_of_today(draft, draft.incident.plan, number)
    if today is not None and today.receiver:
        if _call_receiver(draft, today, number):
            return True
        today = None
    found = _stand_ins(draft, step, today)
    users = tuple(user for user in found.users if user not in besides)
    if not users:
        return False
    names = phrase("reason.several", reasons=lost)
    if isinstance(step, NotifyStep) and step.schedule:
        draft.nobody.append(step.schedule)
    people = draft.people(*users)
    what = phrase(PAGING_INSTEAD, step=number, lost=names, people=people, why=found.reason)
    draft.record("step", what, step=number, users=list(users), instead=True)
    urgency = page_urgency(draft, step if isinstance(step, NotifyStep) else NotifyStep())
    for user in users:
        reason = phrase("reason.instead", lost=names, why=found.reason)
        start_chain(draft, user, urgency, step=number, reason=reason)
    return True


def _step_of_today(draft: Draft, plan: Policy, number: int) -> NotifyStep | WebhookStep | None:
    """The file's step that stands for one of a running policy, where it runs now."""
    today = step_of_today(draft.roster.config, plan, number)
    if today is None or skip_reason(today, draft.incident, draft.roster, draft.now):
        return None
    return today


def _stand_ins(
    draft: Draft, step: Step | None, today: NotifyStep | WebhookStep | None
) -> Recipients:
    """The people of a step of today's policy; where that is nobody, the last resort."""
    if isinstance(today, NotifyStep):
        found = find_recipients(draft, today)
        if found.users:
            reason = phrase("reason.policy_today", policy=draft.incident.policy, why=found.reason)
            return Recipients(found.users, reason)
    return last_resort(draft.roster, draft.incident, step, draft.now)


def replace_gone_people(draft: Draft) -> bool:
    """Page others in the place of people who have left the file while their rules ran.

    Return True if there was one whose next rule is due.
    """
    gone = [chain for chain in due_chains(draft) if chain.user not in draft.roster.config.users]
    for chain in gone:
        chain.due = None
        _replace_person(draft, chain)
    return bool(gone)


def _replace_person(draft: Draft, chain: Chain) -> None:
    plan, person = plan_of_chain(draft.incident, chain), draft.people(chain.user)
    step = plan.steps[chain.step - 1] if 0 < chain.step <= len(plan.steps) else None
    if isinstance(step, NotifyStep) and not step.receiver:
        found = find_recipients(draft, step)
        if not found.users or chain.user in step.users:
            today = _step_of_today(draft, plan, chain.step)
            others = _stand_ins(draft, step, today)
            found = Recipients((*found.users, *others.users), others.reason)
    else:
        found = last_resort(draft.roster, draft.incident, step, draft.now)
    # Those whom the same step has paged already are on it.
    on_it = {one.user for one in draft.incident.chains if one.step == chain.step}
    users = tuple(user for user in dict.fromkeys(found.users) if user not in on_it)
    what = phrase("event.person_gone", person=person)
    if users:
        people = draft.people(*users)
        what = phrase("event.person_replaced", person=person, people=people, why=found.reason)
    draft.record("step", what, user=chain.user, step=chain.step, users=list(users), instead=True)
    for user in users:
        lost = phrase("reason.gone", person=person)
        reason = phrase("reason.instead", lost=lost, why=found.reason)
        start_chain(
            draft, user, chain.urgency, step=chain.step, reason=reason, insists=chain.insists
        )


def _handle_nobody(draft: Draft, step: NotifyStep, number: int, reason: Phrase) -> None:
    """Do what `if_nobody` says, and record it: a step without anybody never passes unnoticed."""
    incident, config = draft.incident, draft.roster.config
    rule = step.if_nobody or incident.plan.if_nobody
    nobody = phrase("reason.step_has_nobody")
    if step.schedule:
        nobody = phrase("reason.schedule_has_nobody", schedule=ScheduleName(step.schedule))
    elif step.team:
        nobody = phrase("reason.team_has_nobody", team=step.team)
    what = phrase("event.nobody", step=number, nobody=nobody, reason=reason)
    draft.nobody.append(step.schedule)
    # A user or schedule that has left the file since is passed over.
    if rule.kind == "user" and rule.user in config.users:
        person = draft.people(rule.user)
        what = phrase("event.nobody_fallback", person=person, **what.values)
        draft.record("nobody", what, step=number, users=[rule.user])
        urgency, reason = page_urgency(draft, step), phrase("reason.fallback", nobody=nobody)
        start_chain(draft, rule.user, urgency, step=number, reason=reason)
    elif rule.kind == "wait_for_shift" and step.schedule in config.schedules:
        _wait_for_shift(draft, step.schedule, number)
        draft.record("nobody", phrase("event.nobody_waits", **what.values), step=number)
    else:
        draft.record("nobody", what, step=number)


def _wait_for_shift(draft: Draft, schedule: str, number: int) -> None:
    """Run the step again when somebody is on call."""
    shift = draft.roster.on_call(schedule, utc(draft.now)).until
    until = shift.timestamp() if shift else draft.now + SHIFT_RETRY_SECONDS
    draft.incident.position = number - 1
    set_wait(draft, "shift", until, phrase("wait.shift", schedule=ScheduleName(schedule)))


def _tell_receiver(draft: Draft, step: NotifyStep | WebhookStep, number: int) -> None:
    """Tell the receiver of a step; where it has nothing to send to, page others instead."""
    if _call_receiver(draft, step, number):
        return
    empty = phrase("reason.receiver_empty", receiver=step.receiver)
    what = phrase("event.receiver_empty", step=number, receiver=step.receiver)
    if isinstance(step, WebhookStep):
        empty = phrase("reason.no_webhook", receiver=step.receiver)
        what = phrase("event.no_webhook", step=number, receiver=step.receiver)
    lost = lost_names(draft.roster.config, step) or (empty,)
    if not _page_instead(draft, step, number, lost):
        draft.record("failed", what, step=number)


def _call_receiver(draft: Draft, step: NotifyStep | WebhookStep, number: int) -> bool:
    """Tell what a receiver sends to, or call its webhooks once; False where it has none."""
    name, once = step.receiver, isinstance(step, WebhookStep)
    integrations = _receiver_integrations(draft, name)
    if once:
        integrations = [one for one in integrations if one.kind == "webhook"]
    if not integrations:
        return False
    key = "event.calling_webhook" if once else "event.telling"
    draft.record("step", phrase(key, step=number, receiver=name), step=number)
    for integration in integrations:
        _page_integration(draft, name, integration, number, once=once)
    return True


def _receiver_integrations(draft: Draft, name: str) -> list[Integration]:
    """All but those that would open an incident again."""
    receiver = draft.roster.config.receivers.get(name)
    integrations = receiver.integrations if receiver else ()
    return [integration for integration in integrations if integration.kind != "oncall"]


def _page_integration(
    draft: Draft, name: str, integration: Integration, number: int, *, once: bool
) -> None:
    page = Page(
        id=new_id(),
        receiver=name,
        integration=f"{integration.kind}/{integration.index}",
        channel=integration.kind,
        policy=draft.incident.policy,
        step=number,
        round=draft.incident.round,
        reason=phrase("reason.policy", policy=draft.incident.policy),
        once=once,
        due=draft.now,
    )
    draft.page(page)
