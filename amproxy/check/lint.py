"""What loads and is doubtful all the same: people nobody can reach, routes that never match, policies that end with nobody."""

from __future__ import annotations

from collections.abc import Iterator

from amproxy.check.reaching import always_reaches_somebody, forward_cycles, forward_only_policies, notify_steps, reachable_policies
from amproxy.config.contacts import CHANNELS, contact_address, contact_channels
from amproxy.config.structs import Config, FilePlace, NotifyStep, Policy, Route, Wait, WaitUntilStep, WebhookStep
from amproxy.errors import ConfigProblem
from amproxy.labels.matchers import Matcher
from amproxy.oncall.reachable import is_always_quiet


def lint(config: Config) -> list[ConfigProblem]:
    """The warnings that need the whole configuration, each with its kind."""
    return [
        *_lint_contacts(config),
        *_lint_notices(config),
        *_lint_routes(config.route, (), "route"),
        *(problem for index, policy in enumerate(config.policies.values()) for problem in _lint_policy(config, policy, index)),
        *_lint_forward_cycles(config),
    ]


def _problem(kind: str, place: FilePlace, path: str, message: str) -> ConfigProblem:
    return ConfigProblem(message, file=place.file, line=place.line, column=place.column, path=path, kind=kind)


# ------------------------------------------------------------------------------------------------------------ people


def _lint_contacts(config: Config) -> Iterator[ConfigProblem]:
    paged = _can_be_paged(config)
    for index, user in enumerate(config.users.values()):
        path = f"users[{index}]"
        if not user.contacts:
            if user.name in paged:
                yield _problem("no_contact", user.place, path, f"{user.name} can be paged, but has no contact")
            continue
        if user.name in paged and not any(
            channel in CHANNELS or contact_address(user, channel) is None for channel in contact_channels(user)
        ):
            yield _problem("no_contact", user.place, path, f"{user.name} can be paged, but has no contact that amproxy can deliver to")
        for channel in contact_channels(user):
            if contact_address(user, channel) is None:
                message = f"{user.name} is to be told over {channel}, but has no contact for it: that rule is passed over"
                yield _problem("no_contact", user.place, path, message)
            elif channel not in CHANNELS:
                yield _problem("undeliverable", user.place, path, f"amproxy cannot page {user.name} over {channel} yet")


def _lint_notices(config: Config) -> Iterator[ConfigProblem]:
    """Notices that cannot arrive, and quiet hours without an end."""
    for index, user in enumerate(config.users.values()):
        for kind, wanted in user.notices.items():
            for channel in wanted:
                path = f"users[{index}].notices.{kind}"
                if contact_address(user, channel) is None:
                    message = f"{user.name} is to be told of {kind} over {channel}, but has no contact for it"
                    yield _problem("no_contact", user.place, path, message)
                elif channel not in CHANNELS:
                    yield _problem("undeliverable", user.place, path, f"amproxy cannot tell {user.name} of {kind} over {channel} yet")
        if is_always_quiet(user, config.time_intervals):
            message = f"the quiet hours of {user.name} never end, so they count as none"
            yield _problem("endless_quiet_hours", user.place, f"users[{index}].quiet_hours", message)


def _can_be_paged(config: Config) -> set[str]:
    names = {user for schedule in config.schedules.values() for layer in schedule.layers for turn in layer.users for user in turn}
    names |= {user for schedule in config.schedules.values() for override in schedule.overrides for user in override.users}
    for policy in config.policies.values():
        names.add(policy.if_nobody.user)
        for step in notify_steps(policy):
            names |= {*step.users, step.if_nobody.user if step.if_nobody else ""}
            names |= set(config.teams[step.team].members) if step.team else set()
    return names


# ------------------------------------------------------------------------------------------------------------ routes


def _lint_routes(route: Route, above: tuple[Matcher, ...], path: str) -> Iterator[ConfigProblem]:
    """Children that no alert can reach. `above` are the matchers of the routes on the way."""
    takers = _NonContinuingSiblings()
    for index, child in enumerate(route.routes):
        child_path = f"{path}.routes[{index}]"
        conditions = (*above, *child.matchers)
        clash, taker = _contradiction(conditions), takers.of(conditions)
        if clash:
            yield _problem(
                "never_matches", child.place, child_path, f"this route never matches: {clash[0]} and {clash[1]} exclude each other"
            )
        elif taker is not None:
            message = f"this route never matches: {path}.routes[{taker}] above takes all of its alerts and does not continue"
            yield _problem("never_matches", child.place, child_path, message)
        else:
            yield from _lint_routes(child, conditions, child_path)
        if not child.continue_:
            takers.add(index, child.matchers)


class _NonContinuingSiblings:
    """Siblings that keep what they match, found by one of their matchers: a file may have thousands."""

    def __init__(self) -> None:
        self._by_matcher: dict[tuple[str, str | None], list[tuple[int, tuple[Matcher, ...]]]] = {}

    def add(self, index: int, matchers: tuple[Matcher, ...]) -> None:
        equal = next(((matcher.name, matcher.value) for matcher in matchers if matcher.op == "="), None)
        key = equal or (matchers[0].name if matchers else "", None)
        self._by_matcher.setdefault(key, []).append((index, matchers))

    def of(self, conditions: tuple[Matcher, ...]) -> int | None:
        """The first sibling that takes whatever fulfils the conditions."""
        keys: set[tuple[str, str | None]] = {("", None)}
        for condition in conditions:
            keys |= {(condition.name, None), (condition.name, condition.value)}
        found = [index for key in keys for index, matchers in self._by_matcher.get(key, ()) if _implies(matchers, conditions)]
        return min(found, default=None)


def _contradiction(conditions: tuple[Matcher, ...]) -> tuple[Matcher, Matcher] | None:
    for fixed in conditions:
        if fixed.op == "=":
            for other in conditions:
                if other.name == fixed.name and not other.matches({fixed.name: fixed.value}):
                    return fixed, other
    return None


def _implies(matchers: tuple[Matcher, ...], conditions: tuple[Matcher, ...]) -> bool:
    """Whether whatever fulfils the conditions fulfils the matchers too."""
    fixed = {condition.name: condition.value for condition in conditions if condition.op == "="}
    return all(matcher in conditions or (matcher.name in fixed and matcher.matches(fixed)) for matcher in matchers)


# ---------------------------------------------------------------------------------------------------------- policies


def _lint_policy(config: Config, policy: Policy, index: int) -> Iterator[ConfigProblem]:
    path = f"escalation_policies[{index}]"
    if policy.name in forward_only_policies(config):
        pass  # the policies that lead to it are looked at through it
    elif not any(True for led in reachable_policies(config, policy).values() for _ in notify_steps(led)):
        yield _problem("ends_with_nobody", policy.place, path, f"the policy {policy.name!r} notifies nobody: it has no notify step")
    elif not always_reaches_somebody(config, policy):
        message = f"the policy {policy.name!r} can end with nobody told: no step surely reaches a person (see if_nobody)"
        yield _problem("ends_with_nobody", policy.place, path, message)
    if policy.repeat and not any(isinstance(step, Wait | WaitUntilStep) for step in policy.steps):
        message = f"the policy {policy.name!r} repeats its steps without any wait: its rounds follow each other a minute apart"
        yield _problem("no_wait_in_repeat", policy.place, path, message)
    for step in policy.steps:
        if isinstance(step, NotifyStep) and step.receiver and not _can_deliver(config, step.receiver):
            message = f"the receiver {step.receiver!r} has nothing that amproxy can deliver, so this step tells nobody"
            yield _problem("undeliverable", step.place, path, message)
        elif isinstance(step, WebhookStep) and not _can_deliver(config, step.receiver, "webhook"):
            message = f"the receiver {step.receiver!r} has no webhook that amproxy can call, so this step does nothing"
            yield _problem("undeliverable", step.place, path, message)


def _lint_forward_cycles(config: Config) -> Iterator[ConfigProblem]:
    names = list(config.policies)
    for circle in forward_cycles(config):
        policy, way = config.policies[circle[0]], " → ".join(map(repr, (*circle, circle[0])))
        message = f"the policy {circle[0]!r} comes back to itself ({way}): it goes round until somebody answers"
        yield _problem("forwards_in_circle", policy.place, f"escalation_policies[{names.index(circle[0])}]", message)


def _can_deliver(config: Config, receiver: str, kind: str = "") -> bool:
    """Whether a receiver has an integration (of a kind) that can be told of incidents."""
    known = config.receivers[receiver].integrations
    return any(part.kind == (kind or part.kind) and part.kind != "oncall" and not part.undeliverable for part in known)
