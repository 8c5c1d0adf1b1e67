"""The people that a policy surely reaches, and the policies that it forwards to."""

from __future__ import annotations

from collections.abc import Iterator

from amproxy.config.structs import (
    Condition,
    Config,
    ForwardStep,
    NotifyStep,
    Policy,
    ResolveStep,
    Schedule,
    WaitForAlertsStep,
)


def notify_steps(policy: Policy) -> Iterator[NotifyStep]:
    return (step for step in policy.steps if isinstance(step, NotifyStep))


def reachable_policies(config: Config, policy: Policy) -> dict[str, Policy]:
    """The policies that a policy may forward to, itself first, by name."""
    found, todo = {policy.name: policy}, [policy]
    while todo:
        for name in _forward_targets(todo.pop()):
            if name not in found and name in config.policies:
                found[name] = config.policies[name]
                todo.append(config.policies[name])
    return found


def always_reaches_somebody(
    config: Config, policy: Policy, entered: frozenset[str] = frozenset()
) -> bool:
    """True if a person is notified in any case. entered: policies that forward to this one."""
    for step in policy.steps:
        if isinstance(step, NotifyStep) and _step_always_reaches(config, policy, step):
            return True
        # What follows may never run: the alerts may not come, or the incident is over.
        if isinstance(step, WaitForAlertsStep):
            return False
        if isinstance(step, ResolveStep) and not _is_conditional(step):
            return False
        if isinstance(step, ForwardStep):
            target = config.policies.get(step.policy)
            reaches = (
                target is not None
                and target.name not in entered
                and always_reaches_somebody(config, target, entered | {target.name})
            )
            if not reaches or not _is_conditional(step):
                return reaches
    return False


def _step_always_reaches(config: Config, policy: Policy, step: NotifyStep) -> bool:
    if _is_conditional(step) or step.receiver:
        return False
    if (step.if_nobody or policy.if_nobody).kind != "next_step" or step.users:
        return True
    if step.team:
        return bool(config.teams[step.team].members)
    return _is_always_covered(config.schedules[step.schedule])


def _is_always_covered(schedule: Schedule) -> bool:
    return any(
        not layer.active_time_intervals and not layer.mute_time_intervals
        for layer in schedule.layers
    )


def _is_conditional(step: Condition) -> bool:
    return bool(step.matchers or step.active_time_intervals or step.mute_time_intervals)


def forward_only_policies(config: Config) -> set[str]:
    """The policies that no incident begins with: only others forward to them."""
    targets = {
        name
        for policy in config.policies.values()
        for name in _forward_targets(policy)
        if name != policy.name
    }
    return targets - {
        integration.settings.escalation_policy
        for receiver in config.receivers.values()
        for integration in receiver.integrations
        if integration.kind == "oncall"
    }


def forward_cycles(config: Config) -> Iterator[tuple[str, ...]]:
    """Yield each cycle of policies once, from its first policy in the file on, as names."""
    known: set[frozenset[str]] = set()
    for name in config.policies:
        cycle = _shortest_cycle(config, name)
        if cycle and frozenset(cycle) not in known:
            known.add(frozenset(cycle))
            yield cycle


def _shortest_cycle(config: Config, start: str) -> tuple[str, ...]:
    """The names from a policy to the one that forwards back to it; () = there is none."""
    paths: list[tuple[str, ...]] = [(start,)]
    reached: set[str] = set()
    # Breadth first: the list grows while it is read.
    for path in paths:
        for name in _forward_targets(config.policies[path[-1]]):
            if name == start:
                return path
            if name not in reached and name in config.policies:
                reached.add(name)
                paths.append((*path, name))
    return ()


def _forward_targets(policy: Policy) -> Iterator[str]:
    return (step.policy for step in policy.steps if isinstance(step, ForwardStep))
