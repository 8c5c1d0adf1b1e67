"""`wait_for_alerts`: a policy stands still until enough alerts have come within a time. Each new alert asks again."""

from __future__ import annotations

from amproxy.config.structs import Policy, WaitForAlertsStep
from amproxy.machine import waits
from amproxy.machine.draft import Draft
from amproxy.times import format_duration


def arrived(draft: Draft, alerts: int) -> None:
    """So many alerts are new. They are remembered as far back as a step may look, and a plan that waits for them looks again."""
    incident = draft.incident
    plans: list[Policy] = [incident.plan, *incident.forwards.values()]
    longest = max((step.within for plan in plans for step in plan.steps if isinstance(step, WaitForAlertsStep)), default=0.0)
    if longest and alerts:
        incident.arrivals = [(at, count) for at, count in incident.arrivals if at > draft.now - longest] + [(draft.now, alerts)]
    if incident.state == "triggered" and incident.waiting == "alerts":
        incident.step_due = draft.now


def passes(draft: Draft, step: WaitForAlertsStep, number: int) -> bool:
    """Whether enough alerts came; where not, the plan stands still before the step."""
    incident = draft.incident
    came = sum(count for at, count in incident.arrivals if at > draft.now - step.within)
    within = format_duration(step.within)
    if came > step.more_than:
        draft.say("step", f"Step {number}: {came} alerts came within {within}, more than {step.more_than}: going on.", step=number)
        return True
    why = f"more than {step.more_than} alerts within {within}"
    if incident.waiting != "alerts":
        draft.say("step", f"Step {number}: waiting for {why}; there were {came}.", step=number)
    incident.position = number - 1
    waits.wait(draft, "alerts", None, why)
    return False
