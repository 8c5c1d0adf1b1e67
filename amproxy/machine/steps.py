"""The policy's steps: what runs next, when, and whom it reaches. A running incident keeps the plan it started with."""

from __future__ import annotations

from amproxy.clock import utc
from amproxy.config.structs import NotifyStep, Step, Wait, WaitUntilStep
from amproxy.decide.matchers import parse_matcher
from amproxy.durations import format_duration
from amproxy.machine import reach
from amproxy.machine.change import Draft

SHORTEST_ROUND = 60.0  # seconds: a plan without any wait must not run its rounds all at once


def restart(draft: Draft) -> None:
    """Begin the plan from its first step, now."""
    incident = draft.incident
    incident.position, incident.round, incident.round_started = 0, 1, draft.now
    incident.step_due, incident.waiting_for, incident.chains = draft.now, "", []


def stop(draft: Draft) -> None:
    """Nothing of the plan is due any more."""
    incident = draft.incident
    incident.step_due, incident.waiting_for, incident.chains, incident.acknowledge_due = None, "", [], None


def run_due(draft: Draft) -> bool:
    """Run the next step if it is due; return whether one ran."""
    incident = draft.incident
    if incident.step_due is None or incident.step_due > draft.now:
        return False
    incident.waiting_for = ""
    if incident.position >= len(incident.plan.steps):
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
        incident.position, incident.round_started = 0, draft.now
        draft.say("repeat", f"Nobody has answered: the steps run again (round {incident.round} of {incident.plan.repeat + 1}).")


def _run(draft: Draft, step: Step) -> None:
    incident = draft.incident
    number = incident.position + 1
    incident.position = number
    if isinstance(step, Wait):
        if incident.chains and all(chain.unreachable for chain in incident.chains):
            draft.say("escalated", f"Step {number}: not waiting, because nobody who was paged can be reached.", step=number)
        else:
            _sleep(draft, draft.now + step.seconds, f"wait {format_duration(step.seconds)}")
    elif isinstance(step, NotifyStep):
        skipped = _closed(draft, step)
        if skipped:
            draft.say("step", f"Step {number} skipped: {skipped}.", step=number)
        else:
            reach.notify(draft, step, number)
    elif isinstance(step, WaitUntilStep) and draft.roster.known((step.interval,)):
        opens = draft.roster.opens(step.interval, utc(draft.now))
        if opens is None:
            draft.say("step", f"Step {number}: time interval {step.interval} never holds; not waited for.", step=number)
        elif opens.timestamp() > draft.now:
            _sleep(draft, opens.timestamp(), f"wait until {step.interval}")


def _sleep(draft: Draft, until: float, why: str) -> None:
    draft.incident.step_due, draft.incident.waiting_for = until, why


def _closed(draft: Draft, step: NotifyStep) -> str:
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
