"""A notify step: pages people and tells chats. A webhook step: calls a receiver once."""

from __future__ import annotations

from amproxy.clock import utc
from amproxy.config.structs import Integration, NotifyStep
from amproxy.machine import chains, recipients, waits
from amproxy.machine.draft import Draft, new_id
from amproxy.model import Page

RETRY_SHIFT = 86400.0  # seconds: with no shift in sight, the schedule is asked again after this


def notify(draft: Draft, step: NotifyStep, number: int) -> None:
    """Page everyone whom the step names, or do what `if_nobody` says."""
    if step.receiver:
        _receiver(draft, step.receiver, number)
        return
    found = recipients.find(draft, step)
    if not found.users:
        _nobody(draft, step, number, found.reason)
        return
    why = f"{found.reason}; {found.not_asked}" if found.not_asked else found.reason
    names = ", ".join(map(draft.name, found.users))
    draft.say("step", f"Step {number}: paging {names} ({why}).", step=number, users=list(found.users))
    for user in found.users:
        chains.start(draft, user, recipients.urgency(draft, step), step=number, reason=found.reason)


def _nobody(draft: Draft, step: NotifyStep, number: int, reason: str) -> None:
    """Nobody on call is never silence."""
    incident = draft.incident
    rule = step.if_nobody or incident.plan.if_nobody
    what = f"schedule {step.schedule}" if step.schedule else f"team {step.team}" if step.team else "the step"
    draft.nobody.append(step.schedule)
    if rule.kind == "user" and rule.user in draft.roster.config.users:
        text = f"Step {number}: {what} has nobody ({reason}); falling back to {draft.name(rule.user)}."
        draft.say("nobody", text, step=number, users=[rule.user])
        chains.start(draft, rule.user, recipients.urgency(draft, step), step=number, reason=f"fallback: {what} has nobody")
    elif rule.kind == "wait_for_shift" and step.schedule in draft.roster.config.schedules:
        until = draft.roster.on_call(step.schedule, utc(draft.now)).until
        incident.position = number - 1
        waits.wait(draft, "shift", until.timestamp() if until else draft.now + RETRY_SHIFT, f"somebody on call for {step.schedule}")
        draft.say("nobody", f"Step {number}: {what} has nobody ({reason}); waiting for the next shift.", step=number)
    else:
        draft.say("nobody", f"Step {number}: {what} has nobody ({reason}); going on with the next step.", step=number)


def _receiver(draft: Draft, name: str, number: int) -> None:
    targets = _targets(draft, name)
    if not targets:
        draft.say("failed", f"Step {number}: receiver {name} has nothing to send to.", step=number)
        return
    draft.say("step", f"Step {number}: telling receiver {name}.", step=number)
    for integration in targets:
        _tell(draft, name, integration, number, once=False)


def webhooks(draft: Draft, name: str, number: int) -> None:
    """Call each webhook of a receiver once."""
    targets = [integration for integration in _targets(draft, name) if integration.kind == "webhook"]
    if not targets:
        draft.say("failed", f"Step {number}: receiver {name} has no webhook.", step=number)
        return
    draft.say("step", f"Step {number}: calling the webhook of receiver {name}.", step=number)
    for integration in targets:
        _tell(draft, name, integration, number, once=True)


def _targets(draft: Draft, name: str) -> list[Integration]:
    receiver = draft.roster.config.receivers.get(name)
    return [integration for integration in receiver.integrations if integration.kind != "oncall"] if receiver else []


def _tell(draft: Draft, name: str, integration: Integration, number: int, *, once: bool) -> None:
    draft.page(
        Page(
            id=new_id(), receiver=name, integration=f"{integration.kind}/{integration.index}", channel=integration.kind,
            policy=draft.incident.policy, step=number, round=draft.incident.round, reason=f"policy {draft.incident.policy}",
            once=once, due=draft.now,
        )
    )  # fmt: skip
