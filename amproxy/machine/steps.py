"""The policy's steps: what runs next, and when. A running incident keeps the plan it started with."""

from __future__ import annotations

from amproxy.clock import utc
from amproxy.config.structs import (
    Condition,
    ForwardStep,
    NotifyStep,
    ResolveStep,
    Step,
    Wait,
    WaitForAlertsStep,
    WaitUntilStep,
    WebhookStep,
)
from amproxy.decide.matchers import parse_matcher
from amproxy.durations import format_duration
from amproxy.machine import gate, plans, reach, states
from amproxy.machine.change import Draft

SHORTEST_ROUND = 60.0  # seconds: a plan without any wait must not run its rounds all at once


def run_due(draft: Draft) -> bool:
    """Run the next step if it is due; return whether one ran."""
    incident = draft.incident
    if incident.step_due is None or incident.step_due > draft.now:
        return False
    if incident.position >= len(incident.plan.steps):
        incident.waiting_for = ""
        _end_round(draft)
    else:
        _run(draft, incident.plan.steps[incident.position])
    return True


def _end_round(draft: Draft) -> None:
    incident = draft.incident
    if incident.round > incident.plan.repeat or not incident.plan.steps:
        incident.step_due = None
        draft.say("ended", "The policy has no further step. Nobody has answered yet.")
    elif draft.now <= incident.round_started:
        incident.step_due, incident.waiting_for = draft.now + SHORTEST_ROUND, "next round"
    else:
        incident.round += 1
        first = min(incident.plan.repeat_from, len(incident.plan.steps))
        incident.position, incident.round_started = first - 1, draft.now
        again = "the steps run again" if first == 1 else f"the steps from {first} on run again"
        draft.say("repeat", f"Nobody has answered: {again} (round {incident.round} of {incident.plan.repeat + 1}).")


def _run(draft: Draft, step: Step) -> None:
    incident = draft.incident
    number = incident.position + 1
    incident.position = number
    if isinstance(step, WaitForAlertsStep):
        if gate.passes(draft, step, number):
            incident.waiting_for = ""
        return
    incident.waiting_for = ""
    if isinstance(step, Condition) and (skipped := _closed(draft, step)):
        draft.say("step", f"Step {number} skipped: {skipped}.", step=number)
        return
    match step:
        case Wait():
            _wait(draft, step, number)
        case WaitUntilStep():
            _wait_until(draft, step, number)
        case NotifyStep():
            reach.notify(draft, step, number)
        case WebhookStep():
            reach.webhooks(draft, step.receiver, number)
        case ForwardStep():
            _forward(draft, step, number)
        case ResolveStep():
            text = f"Resolved by step {number} of policy {incident.policy}; nobody had answered."
            states.close(draft, by="policy", text=text, step=number)


def _wait(draft: Draft, step: Wait, number: int) -> None:
    chains = draft.incident.chains
    if chains and all(chain.unreachable for chain in chains):
        draft.say("escalated", f"Step {number}: not waiting, because nobody who was paged can be reached.", step=number)
    else:
        _sleep(draft, draft.now + step.seconds, f"wait {format_duration(step.seconds)}")


def _wait_until(draft: Draft, step: WaitUntilStep, number: int) -> None:
    if not draft.roster.known((step.interval,)):
        draft.say("step", f"Step {number}: time interval {step.interval} is not in the file any more; not waited for.", step=number)
        return
    opens = draft.roster.opens(step.interval, utc(draft.now))
    if opens is None:
        draft.say("step", f"Step {number}: time interval {step.interval} never holds; not waited for.", step=number)
    elif opens.timestamp() > draft.now:
        _sleep(draft, opens.timestamp(), f"wait until {step.interval}")


def _forward(draft: Draft, step: ForwardStep, number: int) -> None:
    incident = draft.incident
    if step.policy in draft.entered:  # policies that hand over to each other without any wait
        incident.position = number - 1
        _sleep(draft, draft.now + SHORTEST_ROUND, "next round")
        return
    if not plans.forward(draft, step.policy):
        draft.say("failed", f"Step {number}: there is no policy {step.policy} to hand over to.", step=number)
        return
    draft.entered.add(step.policy)
    draft.say("forwarded", f"Step {number}: policy {step.policy} takes over.", step=number)
    incident.position, incident.round, incident.round_started = 0, 1, draft.now


def _sleep(draft: Draft, until: float, why: str) -> None:
    draft.incident.step_due, draft.incident.waiting_for = until, why


def _closed(draft: Draft, step: Condition) -> str:
    """Why a step does not run now; "" = it runs."""
    labels = draft.incident.common_labels
    for text in step.matchers:
        if not parse_matcher(text).matches(labels):
            return f"{text} does not match"
    at = utc(draft.now)
    for name in draft.roster.known(step.mute_time_intervals):
        if draft.roster.holds(name, at):
            return f"muted by time interval {name}"
    active = draft.roster.known(step.active_time_intervals)
    if active and not any(draft.roster.holds(name, at) for name in active):
        return f"outside time interval {', '.join(active)}"
    return ""
