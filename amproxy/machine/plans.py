"""Which policy an incident follows: the one it was opened with, one that a step hands over to, or one that people choose."""

from __future__ import annotations

from amproxy.config.structs import Config, ForwardStep, Policy
from amproxy.machine.change import Draft


def begin(draft: Draft, plan: Policy) -> None:
    """Follow a policy from now on, as the file has it now; the policies that it leads to are kept with it."""
    incident = draft.incident
    incident.plan, incident.policy, incident.team = plan, plan.name, plan.team or incident.team
    incident.forwards = _reachable(draft.roster.config, plan)


def forward(draft: Draft, name: str) -> bool:
    """Hand over to a policy that the plan leads to; False where there is none of this name any more."""
    incident = draft.incident
    plan = incident.forwards.get(name)
    if plan is None:
        return False
    incident.plan, incident.policy, incident.team = plan, plan.name, plan.team or incident.team
    return True


def _reachable(config: Config, plan: Policy) -> dict[str, Policy]:
    found: dict[str, Policy] = {}
    todo = [plan]
    while todo:
        for step in todo.pop().steps:
            if isinstance(step, ForwardStep) and step.policy not in found and step.policy in config.policies:
                found[step.policy] = config.policies[step.policy]
                todo.append(found[step.policy])
    return found
