"""A notify step: from `schedule`, `users`, `team` or `receiver` to people and chats, at the moment the step runs."""

from __future__ import annotations

from amproxy.clock import utc
from amproxy.config.structs import Integration, NotifyStep, Urgency
from amproxy.decide.roster import OnCall
from amproxy.machine import chains
from amproxy.machine.change import Draft, new_id
from amproxy.model import Page

RETRY_SHIFT = 86400.0  # seconds: with no shift in sight, the schedule is asked again after this


def notify(draft: Draft, step: NotifyStep, number: int) -> None:
    """Page everyone whom the step names, or do what `if_nobody` says."""
    if step.receiver:
        _receiver(draft, step.receiver, number)
        return
    found, reason = people(draft, step)
    known = [user for user in found if user in draft.roster.config.users]
    if not known:
        _nobody(draft, step, number, reason)
        return
    draft.say("step", f"Step {number}: paging {', '.join(map(draft.name, known))} ({reason}).", step=number)
    for user in known:
        chains.start(draft, user, _urgency(draft, step), step=number, reason=reason)


def _urgency(draft: Draft, step: NotifyStep) -> Urgency:
    return "important" if "important" in (step.urgency, draft.incident.urgency) else "default"


def people(draft: Draft, step: NotifyStep) -> tuple[tuple[str, ...], str]:
    """Who is to be paged, and why."""
    roster, at = draft.roster, utc(draft.now)
    if step.schedule:
        if step.schedule not in roster.config.schedules:
            return (), f"schedule {step.schedule} is not in the file any more"
        shift = roster.turn_after(step.schedule, at) if step.position == "next" else roster.on_call(step.schedule, at)
        return shift.users, _shift_reason(shift, step.position)
    if step.team:
        team = roster.config.teams.get(step.team)
        members = tuple(user for user in (team.members if team else ()) if not roster.absent(user, at))
        if step.pick == "round_robin" and members:
            return (_take_turn(draft, step.team, members),), f"next in turn of team {step.team}"
        return members, f"member of team {step.team}"
    if step.pick == "round_robin":
        present = tuple(user for user in step.users if not roster.absent(user, at))
        if not present:
            return (), "all of them are absent"
        return (_take_turn(draft, ",".join(step.users), present),), f"next in turn of {', '.join(map(draft.name, step.users))}"
    return step.users, "named by the policy"


def _shift_reason(shift: OnCall, position: str) -> str:
    role = "next after" if position == "next" else "on call for"
    return f"{role} {shift.schedule}: {shift.reason}"


def _take_turn(draft: Draft, of: str, members: tuple[str, ...]) -> str:
    """Round robin in list order. The pointer is committed with the incident, so that two incidents never take the same turn."""
    key = f"{draft.incident.policy}/{draft.incident.position}/{of}"
    turn = draft.turns.get(key, 0)
    draft.turns[key] = turn + 1
    expected = draft.moved_turns.get(key, (turn, 0))[0]
    draft.moved_turns[key] = (expected, turn + 1)
    return members[turn % len(members)]


def _nobody(draft: Draft, step: NotifyStep, number: int, reason: str) -> None:
    """Nobody on call is never silence."""
    incident = draft.incident
    rule = step.if_nobody or incident.plan.if_nobody
    what = f"schedule {step.schedule}" if step.schedule else f"team {step.team}" if step.team else "the step"
    draft.nobody.append(step.schedule)
    if rule.kind == "user" and rule.user in draft.roster.config.users:
        draft.say("nobody", f"Step {number}: {what} has nobody ({reason}); falling back to {draft.name(rule.user)}.", step=number)
        chains.start(draft, rule.user, _urgency(draft, step), step=number, reason=f"fallback: {what} has nobody")
    elif rule.kind == "wait_for_shift" and step.schedule in draft.roster.config.schedules:
        until = draft.roster.on_call(step.schedule, utc(draft.now)).until
        incident.position -= 1
        incident.step_due = until.timestamp() if until else draft.now + RETRY_SHIFT
        incident.waiting_for = f"somebody on call for {step.schedule}"
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
