"""Which policy an incident follows: the one it was opened with, one that a step hands over to, or one that people choose.

Whether a step counts at a moment: its matchers and its time intervals.
"""

from __future__ import annotations

from amproxy.clock import utc
from amproxy.config.structs import Condition, Config, ForwardStep, Policy
from amproxy.labels.matchers import parse_matcher
from amproxy.machine.draft import Draft
from amproxy.model import Incident
from amproxy.oncall.roster import Roster


def begin_policy(draft: Draft, plan: Policy) -> None:
    """Follow a policy from now on; the policies that it leads to are kept with it, as the file has them now."""
    incident = draft.incident
    incident.plan, incident.policy, incident.team = plan, plan.name, plan.team or incident.team
    incident.begins_with, incident.forwards = plan.name, _reachable_policies(draft.roster.config, plan)


def begin_policy_anew(draft: Draft) -> None:
    """Follow the policy that it began with, as the file has it now; the one that it has, where the file has it no more."""
    incident = draft.incident
    begin_policy(draft, draft.roster.config.policies.get(incident.begins_with, incident.plan))


def forward_to_policy(draft: Draft, plan: Policy) -> None:
    """Follow a policy that the plan leads to, from its first step. Nobody's rules are disturbed by that."""
    incident = draft.incident
    incident.plan, incident.policy, incident.team = plan, plan.name, plan.team or incident.team
    incident.position, incident.round = 0, 1
    incident.heard_at = draft.now  # it gets the whole of its own auto_resolve


def _reachable_policies(config: Config, plan: Policy) -> dict[str, Policy]:
    found: dict[str, Policy] = {}
    todo = [plan]
    while todo:
        for step in todo.pop().steps:
            if isinstance(step, ForwardStep) and step.policy not in found and step.policy in config.policies:
                found[step.policy] = config.policies[step.policy]
                todo.append(found[step.policy])
    return found


def skip_reason(step: Condition, incident: Incident, roster: Roster, now: float) -> str:
    """Why a step is skipped; "" = it runs. An interval that is not in the file any more restricts nothing."""
    for text in step.matchers:
        if not parse_matcher(text).matches(incident.common_labels):
            return f"{text} does not match"
    if not step.mute_time_intervals and not step.active_time_intervals:
        return ""
    at = utc(now)
    for name in roster.known(step.mute_time_intervals):
        if roster.holds(name, at):
            return f"muted by time interval {name}"
    active = roster.known(step.active_time_intervals)
    if active and not any(roster.holds(name, at) for name in active):
        return f"outside time interval {', '.join(active)}"
    return ""
