"""The people that a policy surely reaches, and the policies that it forwards to."""

from __future__ import annotations

from collections.abc import Iterator, Set

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


def people_unless_important(config: Config, policy: Policy) -> set[str]:
    """All whom a policy, and those that it forwards to, may page; none if any page is important.

    Also none where a receiver is told, or a calendar names people: that is no silence.
    """
    people: set[str] = set()
    for one in reachable_policies(config, policy).values():
        people.add(one.if_nobody.user)
        for step in notify_steps(one):
            schedule = config.schedules.get(step.schedule)
            if step.urgency == "important" or step.receiver or (schedule and schedule.ical):
                return set()
            people |= {*step.users, step.if_nobody.user if step.if_nobody else ""}
            people |= (
                {user for turn in schedule_turns(schedule) for user in turn} if schedule else set()
            )
            people |= set(config.teams[step.team].members) if step.team else set()
    return people - {""}


def policies_that_reach(config: Config, people: Set[str]) -> set[str]:
    """The policies by which one of these people is notified in any case.

    In a circle of policies nobody is.
    """
    found: set[str] = set()
    forwarding: dict[str, list[str]] = {}  # policy → those that forward to it
    for policy in config.policies.values():
        for name in _forward_targets(policy):
            forwarding.setdefault(name, []).append(policy.name)
    todo = list(config.policies)
    # One that reaches somebody may make those reach somebody that forward to it.
    while todo:
        name = todo.pop()
        if name not in found and _always_reaches(config, config.policies[name], found, people):
            found.add(name)
            todo += forwarding.get(name, ())
    return found


def _always_reaches(config: Config, policy: Policy, reaching: set[str], people: Set[str]) -> bool:
    """True if one is notified in any case. reaching: the policies of which that is known."""
    for step in policy.steps:
        if isinstance(step, NotifyStep) and _step_always_reaches(config, policy, step, people):
            return True
        # What follows may never run: the alerts may not come, or the incident is over.
        if isinstance(step, WaitForAlertsStep):
            return False
        if isinstance(step, ResolveStep) and not _is_conditional(step):
            return False
        if isinstance(step, ForwardStep):
            reaches = step.policy in reaching
            if not reaches or not _is_conditional(step):
                return reaches
    return False


def _step_always_reaches(
    config: Config, policy: Policy, step: NotifyStep, people: Set[str]
) -> bool:
    if _is_conditional(step) or step.receiver:
        return False
    if step.schedule:
        schedule = config.schedules[step.schedule]
        turns = [turn for layer in schedule.layers for turn in layer.users]
        turns += [override.users for override in schedule.overrides]
        # Whoever a calendar names is not known here.
        reaches = all(people & set(turn) for turn in turns)
        covered = _is_always_covered(schedule)
    else:
        named = step.users or config.teams[step.team].members
        covered = bool(named)
        # Of a round robin it may be any one of them.
        one_by_one = step.pick == "round_robin" or not named
        reaches = set(named) <= people if one_by_one else bool(people & set(named))
    rule = step.if_nobody or policy.if_nobody
    falls_back = rule.kind == "wait_for_shift" or (rule.kind == "user" and rule.user in people)
    return reaches and (covered or falls_back)


def steps_that_repeat(config: Config, policy: Policy) -> Iterator[NotifyStep]:
    """Yield the `position: next` steps for which nobody is left whom earlier steps did not page.

    Whoever a calendar names is not known here, nor who is put on call by hand.
    """
    told: dict[str, int] = {}  # schedule → steps that have surely told another turn of it
    for step in notify_steps(policy):
        schedule = config.schedules.get(step.schedule)
        if schedule is None or schedule.ical or _is_conditional(step):
            continue
        turns = {frozenset(turn) for turn in schedule_turns(schedule)}
        most = min(len(turns), len(frozenset().union(*turns)))
        before = told.get(step.schedule, 0)
        if step.position == "next":
            if 0 < most <= before:
                yield step
            told[step.schedule] = before + 1
        else:
            told[step.schedule] = max(before, 1)


def schedule_turns(schedule: Schedule) -> list[tuple[str, ...]]:
    """Whoever is on call together by the layers and overrides of the file."""
    turns = [turn for layer in schedule.layers if layer.rotation for turn in layer.users]
    # without a rotation all of them are on call
    turns += [
        tuple(user for turn in layer.users for user in turn)
        for layer in schedule.layers
        if not layer.rotation
    ]
    turns += [override.users for override in schedule.overrides]
    return [turn for turn in turns if turn]


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
    """Yield cycles until each policy in one has been in one, each from its first policy on."""
    circling = _circling_policies(config)
    for name in config.policies:
        if name in circling:
            cycle = _shortest_cycle(config, name)
            if cycle:
                circling -= {*cycle}
                yield cycle


def _circling_policies(config: Config) -> set[str]:
    """The policies that can come back to themselves, or lie between two that can."""
    targets = {
        name: {target for target in _forward_targets(policy) if target in config.policies}
        for name, policy in config.policies.items()
    }
    sources: dict[str, set[str]] = {name: set() for name in targets}
    for name, names in targets.items():
        for target in names:
            sources[target].add(name)
    found = set(targets)
    for forward, back in ((targets, sources), (sources, targets)):
        # Take out what leads nowhere (then: what nothing leads to) until nothing is left to go.
        left = {name: len(forward[name] & found) for name in found}
        todo = [name for name, number in left.items() if not number]
        while todo:
            name = todo.pop()
            found.discard(name)
            for other in back[name] & found:
                left[other] -= 1
                if not left[other]:
                    todo.append(other)
    return found


def _shortest_cycle(config: Config, start: str) -> tuple[str, ...]:
    """The names from a policy to the one that forwards back to it; () = there is none."""
    came_from: dict[str, str] = {}
    todo = [start]
    # Breadth first: the list grows while it is read.
    for name in todo:
        for target in _forward_targets(config.policies[name]):
            if target == start:
                path = [name]
                while path[-1] != start:
                    path.append(came_from[path[-1]])
                return tuple(reversed(path))
            if target not in came_from and target in config.policies:
                came_from[target] = name
                todo.append(target)
    return ()


def _forward_targets(policy: Policy) -> Iterator[str]:
    return (step.policy for step in policy.steps if isinstance(step, ForwardStep))
