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
from amproxy.machine import conditions, gate, policy, reach, states, waits
from amproxy.machine.draft import Draft
from amproxy.times import format_duration

PAUSE = 60.0  # seconds before a step runs again: rounds without any wait, or policies in a circle, must not run all at once


def run_due(draft: Draft) -> bool:
    """Run the next step if it is due; return whether one ran."""
    incident = draft.incident
    if incident.step_due is None or incident.step_due > draft.now:
        return False
    if incident.position >= len(incident.plan.steps):
        _end_round(draft)
    else:
        _run(draft, incident.plan.steps[incident.position], incident.position + 1)
    return True


def _end_round(draft: Draft) -> None:
    incident = draft.incident
    if incident.round > incident.plan.repeat or not incident.plan.steps:
        waits.end(draft)
        draft.say("ended", "The policy has no further step. Nobody has answered yet.")
    else:
        incident.round += 1
        first = min(incident.plan.repeat_from, len(incident.plan.steps))
        incident.position = first - 1
        waits.go_on(draft)
        again = "the steps run again" if first == 1 else f"the steps from {first} on run again"
        draft.say("repeat", f"Nobody has answered: {again} (round {incident.round} of {incident.plan.repeat + 1}).")


def _run(draft: Draft, step: Step, number: int) -> None:
    incident = draft.incident
    if (incident.policy, number) in draft.ran:
        waits.wait(draft, "round", draft.now + PAUSE, "next round")
        return
    draft.ran.add((incident.policy, number))
    incident.position = number
    if isinstance(step, WaitForAlertsStep):
        if gate.passes(draft, step, number):
            waits.go_on(draft)
        return
    waits.go_on(draft)
    if isinstance(step, Condition) and (skipped := conditions.closed(step, incident, draft.roster, draft.now)):
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
        waits.wait(draft, "time", draft.now + step.seconds, f"wait {format_duration(step.seconds)}")


def _wait_until(draft: Draft, step: WaitUntilStep, number: int) -> None:
    if not draft.roster.known((step.interval,)):
        draft.say("step", f"Step {number}: time interval {step.interval} is not in the file any more; not waited for.", step=number)
        return
    opens = draft.roster.opens(step.interval, utc(draft.now))
    if opens is None:
        draft.say("step", f"Step {number}: time interval {step.interval} never holds; not waited for.", step=number)
    elif opens.timestamp() > draft.now:
        waits.wait(draft, "interval", opens.timestamp(), f"wait until {step.interval}")


def _forward(draft: Draft, step: ForwardStep, number: int) -> None:
    plan = draft.incident.forwards.get(step.policy)
    if plan is None:
        draft.say("failed", f"Step {number}: there is no policy {step.policy} to hand over to.", step=number)
    else:
        draft.say("forwarded", f"Step {number}: policy {step.policy} takes over.", step=number)
        policy.hand_over(draft, plan)
