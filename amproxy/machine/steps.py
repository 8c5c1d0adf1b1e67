"""A notify step: pages people and tells chats. A webhook step: calls a receiver once.

The policy's steps: what runs next, and when. A running incident keeps the plan it started with.
"""

from __future__ import annotations

from amproxy.clock import utc
from amproxy.config.structs import (
    Condition,
    ForwardStep,
    Integration,
    NotifyStep,
    ResolveStep,
    Step,
    Wait,
    WaitForAlertsStep,
    WaitUntilStep,
    WebhookStep,
)
from amproxy.machine import chains, holds, policy, recipients
from amproxy.machine import draft as machine_draft
from amproxy.machine.draft import Draft, new_id
from amproxy.model import Page
from amproxy.times import format_duration

SHIFT_RETRY_SECONDS = 86400.0  # seconds: with no shift in sight, the schedule is asked again after this


def run_notify_step(draft: Draft, step: NotifyStep, number: int) -> None:
    """Page everyone whom the step names, or do what `if_nobody` says."""
    if step.receiver:
        _notify_receiver(draft, step.receiver, number)
        return
    found = recipients.find_recipients(draft, step)
    if not found.users:
        _handle_nobody(draft, step, number, found.reason)
        return
    why = f"{found.reason}; {found.not_asked}" if found.not_asked else found.reason
    names = ", ".join(map(draft.name, found.users))
    draft.say("step", f"Step {number}: paging {names} ({why}).", step=number, users=list(found.users))
    for user in found.users:
        chains.start_chain(draft, user, recipients.page_urgency(draft, step), step=number, reason=found.reason)


def _handle_nobody(draft: Draft, step: NotifyStep, number: int, reason: str) -> None:
    """Nobody on call is never silence."""
    incident = draft.incident
    rule = step.if_nobody or incident.plan.if_nobody
    what = f"schedule {step.schedule}" if step.schedule else f"team {step.team}" if step.team else "the step"
    draft.nobody.append(step.schedule)
    if rule.kind == "user" and rule.user in draft.roster.config.users:
        text = f"Step {number}: {what} has nobody ({reason}); falling back to {draft.name(rule.user)}."
        draft.say("nobody", text, step=number, users=[rule.user])
        chains.start_chain(draft, rule.user, recipients.page_urgency(draft, step), step=number, reason=f"fallback: {what} has nobody")
    elif rule.kind == "wait_for_shift" and step.schedule in draft.roster.config.schedules:
        until = draft.roster.on_call(step.schedule, utc(draft.now)).until
        incident.position = number - 1
        machine_draft.set_wait(
            draft, "shift", until.timestamp() if until else draft.now + SHIFT_RETRY_SECONDS, f"somebody on call for {step.schedule}"
        )
        draft.say("nobody", f"Step {number}: {what} has nobody ({reason}); waiting for the next shift.", step=number)
    else:
        draft.say("nobody", f"Step {number}: {what} has nobody ({reason}); going on with the next step.", step=number)


def _notify_receiver(draft: Draft, name: str, number: int) -> None:
    targets = _receiver_integrations(draft, name)
    if not targets:
        draft.say("failed", f"Step {number}: receiver {name} has nothing to send to.", step=number)
        return
    draft.say("step", f"Step {number}: telling receiver {name}.", step=number)
    for integration in targets:
        _page_integration(draft, name, integration, number, once=False)


def call_webhooks(draft: Draft, name: str, number: int) -> None:
    """Call each webhook of a receiver once."""
    targets = [integration for integration in _receiver_integrations(draft, name) if integration.kind == "webhook"]
    if not targets:
        draft.say("failed", f"Step {number}: receiver {name} has no webhook.", step=number)
        return
    draft.say("step", f"Step {number}: calling the webhook of receiver {name}.", step=number)
    for integration in targets:
        _page_integration(draft, name, integration, number, once=True)


def _receiver_integrations(draft: Draft, name: str) -> list[Integration]:
    receiver = draft.roster.config.receivers.get(name)
    return [integration for integration in receiver.integrations if integration.kind != "oncall"] if receiver else []


def _page_integration(draft: Draft, name: str, integration: Integration, number: int, *, once: bool) -> None:
    draft.page(
        Page(
            id=new_id(), receiver=name, integration=f"{integration.kind}/{integration.index}", channel=integration.kind,
            policy=draft.incident.policy, step=number, round=draft.incident.round, reason=f"policy {draft.incident.policy}",
            once=once, due=draft.now,
        )
    )  # fmt: skip


ROUND_PAUSE = 60.0  # seconds before a step runs again: rounds without any wait, or policies in a circle, must not run all at once


def run_due_step(draft: Draft) -> bool:
    """Run the next step if it is due; return whether one ran."""
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
        machine_draft.clear_wait(draft)
        draft.say("ended", "The policy has no further step. Nobody has answered yet.")
    else:
        incident.round += 1
        first = min(incident.plan.repeat_from, len(incident.plan.steps))
        incident.position = first - 1
        machine_draft.end_wait(draft)
        again = "the steps run again" if first == 1 else f"the steps from {first} on run again"
        draft.say("repeat", f"Nobody has answered: {again} (round {incident.round} of {incident.plan.repeat + 1}).")


def _run_step(draft: Draft, step: Step, number: int) -> None:
    incident = draft.incident
    if (incident.policy, number) in draft.ran:
        machine_draft.set_wait(draft, "round", draft.now + ROUND_PAUSE, "next round")
        return
    draft.ran.add((incident.policy, number))
    incident.position = number
    if isinstance(step, WaitForAlertsStep):
        if holds.has_enough_alerts(draft, step, number):
            machine_draft.end_wait(draft)
        return
    machine_draft.end_wait(draft)
    if isinstance(step, Condition) and (skipped := policy.skip_reason(step, incident, draft.roster, draft.now)):
        draft.say("step", f"Step {number} skipped: {skipped}.", step=number)
        return
    match step:
        case Wait():
            _run_wait(draft, step, number)
        case WaitUntilStep():
            _run_wait_until(draft, step, number)
        case NotifyStep():
            run_notify_step(draft, step, number)
        case WebhookStep():
            call_webhooks(draft, step.receiver, number)
        case ForwardStep():
            _run_forward(draft, step, number)
        case ResolveStep():
            text = f"Resolved by step {number} of policy {incident.policy}; nobody had answered."
            machine_draft.close_incident(draft, by="policy", text=text, step=number)


def _run_wait(draft: Draft, step: Wait, number: int) -> None:
    chains = draft.incident.chains
    if chains and all(chain.unreachable for chain in chains):
        draft.say("escalated", f"Step {number}: not waiting, because nobody who was paged can be reached.", step=number)
    else:
        machine_draft.set_wait(draft, "time", draft.now + step.seconds, f"wait {format_duration(step.seconds)}")


def _run_wait_until(draft: Draft, step: WaitUntilStep, number: int) -> None:
    if not draft.roster.known((step.interval,)):
        draft.say("step", f"Step {number}: time interval {step.interval} is not in the file any more; not waited for.", step=number)
        return
    opens = draft.roster.opens(step.interval, utc(draft.now))
    if opens is None:
        draft.say("step", f"Step {number}: time interval {step.interval} never holds; not waited for.", step=number)
    elif opens.timestamp() > draft.now:
        machine_draft.set_wait(draft, "interval", opens.timestamp(), f"wait until {step.interval}")


def _run_forward(draft: Draft, step: ForwardStep, number: int) -> None:
    plan = draft.incident.forwards.get(step.policy)
    if plan is None:
        draft.say("failed", f"Step {number}: there is no policy {step.policy} to hand over to.", step=number)
    else:
        draft.say("forwarded", f"Step {number}: policy {step.policy} takes over.", step=number)
        policy.forward_to_policy(draft, plan)
