"""Whether a policy surely reaches somebody, through the policies that it hands over to, and which of these go round in a circle."""

from __future__ import annotations

from collections.abc import Iterator

from amproxy.config.structs import Condition, Config, ForwardStep, NotifyStep, Policy, ResolveStep, Schedule, WaitForAlertsStep


def notify_steps(policy: Policy) -> Iterator[NotifyStep]:
    return (step for step in policy.steps if isinstance(step, NotifyStep))


def reachable_policies(config: Config, policy: Policy) -> dict[str, Policy]:
    """The policies that a policy may hand over to, itself first, by name."""
    found, todo = {policy.name: policy}, [policy]
    while todo:
        for name in _forward_targets(todo.pop()):
            if name not in found and name in config.policies:
                found[name] = config.policies[name]
                todo.append(config.policies[name])
    return found


def always_reaches_somebody(config: Config, policy: Policy, entered: frozenset[str] = frozenset()) -> bool:
    """Whether a person is told whatever happens. What stands after a wait_for_alerts may never come."""
    for step in policy.steps:
        if isinstance(step, NotifyStep) and _step_always_reaches(config, policy, step):
            return True
        if isinstance(step, WaitForAlertsStep) or (isinstance(step, ResolveStep) and not _is_conditional(step)):
            return False
        if isinstance(step, ForwardStep):
            target = config.policies.get(step.policy)
            reaches = target is not None and target.name not in entered and always_reaches_somebody(config, target, entered | {target.name})
            if not reaches or not _is_conditional(step):
                return reaches
    return False


def forward_only_policies(config: Config) -> set[str]:
    """Policies that no incident begins with: others hand over to them."""
    integrations = [part for receiver in config.receivers.values() for part in receiver.integrations if part.kind == "oncall"]
    return {name for policy in config.policies.values() for name in _forward_targets(policy) if name != policy.name} - {
        part.settings.escalation_policy for part in integrations
    }


def forward_cycles(config: Config) -> Iterator[tuple[str, ...]]:
    """Policies that hand over to each other in a circle, each circle once, beginning with the one that the file has first."""
    seen: set[frozenset[str]] = set()
    for name in config.policies:
        way = _shortest_cycle(config, name)
        if way and frozenset(way) not in seen:
            seen.add(frozenset(way))
            yield way


def _shortest_cycle(config: Config, start: str) -> tuple[str, ...]:
    """The shortest way from a policy to itself; () = there is none."""
    ways: list[tuple[str, ...]] = [(start,)]
    reached: set[str] = set()
    for way in ways:
        for name in _forward_targets(config.policies[way[-1]]):
            if name == start:
                return way
            if name not in reached and name in config.policies:
                reached.add(name)
                ways.append((*way, name))
    return ()


def _forward_targets(policy: Policy) -> Iterator[str]:
    return (step.policy for step in policy.steps if isinstance(step, ForwardStep))


def _is_conditional(step: Condition) -> bool:
    return bool(step.matchers or step.active_time_intervals or step.mute_time_intervals)


def _step_always_reaches(config: Config, policy: Policy, step: NotifyStep) -> bool:
    if _is_conditional(step) or step.receiver:
        return False
    if (step.if_nobody or policy.if_nobody).kind != "next_step" or step.users:
        return True
    return bool(config.teams[step.team].members) if step.team else _is_always_covered(config.schedules[step.schedule])


def _is_always_covered(schedule: Schedule) -> bool:
    return any(not layer.active_time_intervals and not layer.mute_time_intervals for layer in schedule.layers)
