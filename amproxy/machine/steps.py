"""The policy that an incident follows, and its steps: which runs next, when, and what it does.

The policy is the one that the incident was opened with, one that a step forwards to, or a person's
choice; a running incident keeps it as it was when it started.
"""

from __future__ import annotations

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
from amproxy.machine.chains import start_chain
from amproxy.machine.draft import Draft, clear_wait, close_incident, end_wait, new_id, set_wait
from amproxy.machine.holds import has_enough_alerts
from amproxy.machine.recipients import find_recipients, page_urgency
from amproxy.model import Incident, Page
from amproxy.oncall.roster import Roster
from amproxy.times import format_duration

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


def skip_reason(step: Condition, incident: Incident, roster: Roster, now: float) -> str:
    """The reason why a step is skipped, by its matchers and time intervals; "" = it runs.

    A time interval that is not in the file any more restricts nothing: too many pages are better
    than none.
    """
    for text in step.matchers:
        if not parse_matcher(text).matches(incident.common_labels):
            return f"{text} does not match"
    if not step.mute_time_intervals and not step.active_time_intervals:
        return ""
    at = utc(now)
    for name in roster.known_intervals(step.mute_time_intervals):
        if roster.holds(name, at):
            return f"muted by time interval {name}"
    active = roster.known_intervals(step.active_time_intervals)
    if active and not any(roster.holds(name, at) for name in active):
        return f"outside time interval {', '.join(active)}"
    return ""


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
        draft.record("ended", "The policy has no further step. Nobody has answered yet.")
        return
    incident.round += 1
    first = min(incident.plan.repeat_from, len(incident.plan.steps))
    incident.position = first - 1
    end_wait(draft)
    again = "the steps run again" if first == 1 else f"the steps from {first} on run again"
    rounds = f"round {incident.round} of {incident.plan.repeat + 1}"
    draft.record("repeat", f"Nobody has answered: {again} ({rounds}).")


def _run_step(draft: Draft, step: Step, number: int) -> None:
    incident = draft.incident
    if (incident.policy, number) in draft.ran:
        set_wait(draft, "round", draft.now + ROUND_PAUSE, "next round")
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
            text = f"Step {number} skipped: {skipped}."
            draft.record("step", text, step=number, skipped=skipped)
            return
    match step:
        case Wait():
            _run_wait(draft, step, number)
        case WaitUntilStep():
            _run_wait_until(draft, step, number)
        case NotifyStep():
            _run_notify(draft, step, number)
        case WebhookStep():
            _call_webhooks(draft, step.receiver, number)
        case ForwardStep():
            _run_forward(draft, step, number)
        case ResolveStep():
            text = f"Resolved by step {number} of policy {incident.policy}; nobody had answered."
            close_incident(draft, by="policy", text=text, step=number)


def _run_wait(draft: Draft, step: Wait, number: int) -> None:
    chains = draft.incident.chains
    if chains and all(chain.unreachable for chain in chains):
        text = "not waiting, because nobody who was paged can be reached"
        draft.record("escalated", f"Step {number}: {text}.", step=number)
        return
    set_wait(draft, "time", draft.now + step.seconds, f"wait {format_duration(step.seconds)}")


def _run_wait_until(draft: Draft, step: WaitUntilStep, number: int) -> None:
    interval = f"Step {number}: time interval {step.interval}"
    if not draft.roster.known_intervals((step.interval,)):
        text = f"{interval} is not in the file any more; not waited for."
        draft.record("step", text, step=number)
        return
    opens = draft.roster.opens(step.interval, utc(draft.now))
    if opens is None:
        draft.record("step", f"{interval} never holds; not waited for.", step=number)
    elif opens.timestamp() > draft.now:
        set_wait(draft, "interval", opens.timestamp(), f"wait until {step.interval}")


def _run_forward(draft: Draft, step: ForwardStep, number: int) -> None:
    plan = draft.incident.forwards.get(step.policy)
    if plan is None:
        text = f"Step {number}: there is no policy {step.policy} to hand over to."
        draft.record("failed", text, step=number)
        return
    draft.record("forwarded", f"Step {number}: policy {step.policy} takes over.", step=number)
    forward_to_policy(draft, plan)


def _run_notify(draft: Draft, step: NotifyStep, number: int) -> None:
    """Page everyone whom the step names, or do what `if_nobody` says."""
    if step.receiver:
        _notify_receiver(draft, step.receiver, number)
        return
    found = find_recipients(draft, step)
    if not found.users:
        _handle_nobody(draft, step, number, found.reason)
        return
    why = f"{found.reason}; {found.not_paged}" if found.not_paged else found.reason
    names = ", ".join(map(draft.name, found.users))
    text = f"Step {number}: paging {names} ({why})."
    draft.record("step", text, step=number, users=list(found.users))
    for user in found.users:
        start_chain(draft, user, page_urgency(draft, step), step=number, reason=found.reason)


def _handle_nobody(draft: Draft, step: NotifyStep, number: int, reason: str) -> None:
    """Do what `if_nobody` says, and record it: a step without anybody never passes unnoticed."""
    incident, config = draft.incident, draft.roster.config
    rule = step.if_nobody or incident.plan.if_nobody
    source = "the step"
    if step.schedule or step.team:
        source = f"schedule {step.schedule}" if step.schedule else f"team {step.team}"
    text = f"Step {number}: {source} has nobody ({reason})"
    draft.nobody.append(step.schedule)
    # A user or schedule that has left the file since is passed over.
    if rule.kind == "user" and rule.user in config.users:
        text += f"; falling back to {draft.name(rule.user)}."
        draft.record("nobody", text, step=number, users=[rule.user])
        urgency, reason = page_urgency(draft, step), f"fallback: {source} has nobody"
        start_chain(draft, rule.user, urgency, step=number, reason=reason)
    elif rule.kind == "wait_for_shift" and step.schedule in config.schedules:
        _wait_for_shift(draft, step.schedule, number)
        draft.record("nobody", f"{text}; waiting for the next shift.", step=number)
    else:
        draft.record("nobody", f"{text}; going on with the next step.", step=number)


def _wait_for_shift(draft: Draft, schedule: str, number: int) -> None:
    """Run the step again when somebody is on call."""
    shift = draft.roster.on_call(schedule, utc(draft.now)).until
    until = shift.timestamp() if shift else draft.now + SHIFT_RETRY_SECONDS
    draft.incident.position = number - 1
    set_wait(draft, "shift", until, f"somebody on call for {schedule}")


def _notify_receiver(draft: Draft, name: str, number: int) -> None:
    integrations = _receiver_integrations(draft, name)
    if not integrations:
        text = f"Step {number}: receiver {name} has nothing to send to."
        draft.record("failed", text, step=number)
        return
    draft.record("step", f"Step {number}: telling receiver {name}.", step=number)
    for integration in integrations:
        _page_integration(draft, name, integration, number, once=False)


def _call_webhooks(draft: Draft, name: str, number: int) -> None:
    """Call each webhook of a receiver once, without later updates."""
    integrations = _receiver_integrations(draft, name)
    webhooks = [integration for integration in integrations if integration.kind == "webhook"]
    if not webhooks:
        draft.record("failed", f"Step {number}: receiver {name} has no webhook.", step=number)
        return
    text = f"Step {number}: calling the webhook of receiver {name}."
    draft.record("step", text, step=number)
    for integration in webhooks:
        _page_integration(draft, name, integration, number, once=True)


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
        reason=f"policy {draft.incident.policy}",
        once=once,
        due=draft.now,
    )
    draft.page(page)
