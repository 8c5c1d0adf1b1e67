"""Which policy an incident follows: the one it was opened with, one that a step hands over to, or one that people choose."""

from __future__ import annotations

from amproxy.config.structs import Config, ForwardStep, Policy
from amproxy.machine.draft import Draft


def begin(draft: Draft, plan: Policy) -> None:
    """Follow a policy from now on; the policies that it leads to are kept with it, as the file has them now."""
    incident = draft.incident
    incident.plan, incident.policy, incident.team = plan, plan.name, plan.team or incident.team
    incident.begins_with, incident.forwards = plan.name, _reachable(draft.roster.config, plan)


def begin_anew(draft: Draft) -> None:
    """Follow the policy that it began with, as the file has it now; the one that it has, where the file has it no more."""
    incident = draft.incident
    begin(draft, draft.roster.config.policies.get(incident.begins_with, incident.plan))


def hand_over(draft: Draft, plan: Policy) -> None:
    """Follow a policy that the plan leads to, from its first step. Nobody's rules are disturbed by that."""
    incident = draft.incident
    incident.plan, incident.policy, incident.team = plan, plan.name, plan.team or incident.team
    incident.position, incident.round = 0, 1
    incident.heard_at = draft.now  # it gets the whole of its own auto_resolve


def _reachable(config: Config, plan: Policy) -> dict[str, Policy]:
    found: dict[str, Policy] = {}
    todo = [plan]
    while todo:
        for step in todo.pop().steps:
            if isinstance(step, ForwardStep) and step.policy not in found and step.policy in config.policies:
                found[step.policy] = config.policies[step.policy]
                todo.append(found[step.policy])
    return found
