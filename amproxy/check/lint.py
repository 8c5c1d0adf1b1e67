"""Warnings about a file that loads: unreachable people, routes that never match, weak policies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from amproxy.check.reaching import (
    forward_cycles,
    forward_only_policies,
    notify_steps,
    people_unless_important,
    policies_that_reach,
    reachable_policies,
    steps_that_repeat,
)
from amproxy.check.texts import failing_texts
from amproxy.config.channels import (
    can_be_reached,
    contact_address,
    contact_channels,
    is_deliverable,
    why_undeliverable,
)
from amproxy.config.loader import LoadedConfig
from amproxy.config.structs import (
    Config,
    FilePlace,
    NotifyStep,
    Policy,
    Route,
    User,
    Wait,
    WaitUntilStep,
    WebhookStep,
)
from amproxy.config.subscriptions import PUSH, devices_of
from amproxy.errors import ConfigProblem
from amproxy.labels.matchers import Matcher
from amproxy.oncall.reachable import find_common_quiet, is_always_quiet
from amproxy.text import Moment, Phrase


def all_warnings(loaded: LoadedConfig) -> list[ConfigProblem]:
    """The warnings of the readers and of `lint`, in the file's order."""
    return sorted(
        [*loaded.warnings, *lint(loaded.config)], key=lambda problem: (problem.line, problem.column)
    )


def lint(config: Config) -> list[ConfigProblem]:
    """The warnings that need the whole configuration, each with its kind."""
    return [
        *_lint_contacts(config),
        *_lint_notices(config),
        *_lint_routes(config.route, (), "route"),
        *_lint_policies(config),
        *_lint_forward_cycles(config),
        *_lint_open_heartbeats(config),
        *failing_texts(config),
    ]


def _problem(kind: str, place: FilePlace, path: str, words: Phrase) -> ConfigProblem:
    return ConfigProblem(
        words, file=place.file, line=place.line, column=place.column, path=path, kind=kind
    )


def _lint_open_heartbeats(config: Config) -> Iterator[ConfigProblem]:
    """Yield heartbeats that anybody in the network could keep alive."""
    host = config.web.listen.rpartition(":")[0].strip("[]")
    if host == "localhost" or host.startswith("127.") or host == "::1":
        return
    for index, heartbeat in enumerate(config.heartbeats.values()):
        if not (heartbeat.token or heartbeat.token_file):
            words = Phrase(
                "problem.open_heartbeat",
                {"listen": config.web.listen, "heartbeat": heartbeat.name},
            )
            yield _problem("no_token", heartbeat.place, f"heartbeats[{index}]", words)


def _lint_contacts(config: Config) -> Iterator[ConfigProblem]:
    paged = _can_be_paged(config)
    for index, user in enumerate(config.users.values()):
        path = f"users[{index}]"
        if user.name in paged and not _has_contact(config, user):
            words = Phrase(
                "problem.undeliverable_person" if user.contacts else "problem.no_contact_at_all",
                {"user": user.name},
            )
            yield _problem("no_contact", user.place, path, words)
        if user.name in paged and _relies_on_push(config, user):
            yield _problem("only_push", user.place, path, _only_push_words(user))
        # Without any contact one warning is enough.
        for channel in contact_channels(user) if user.contacts else ():
            address = contact_address(user, channel)
            if address is None:
                words = Phrase(
                    "problem.rule_without_contact", {"user": user.name, "channel": channel}
                )
                yield _problem("no_contact", user.place, path, words)
            elif reason := why_undeliverable(config, channel, address):
                words = Phrase(
                    "problem.undeliverable_contact",
                    {"user": user.name, "channel": channel, "reason": reason},
                )
                yield _problem("undeliverable", user.place, path, words)


def _has_contact(config: Config, user: User) -> bool:
    # A rule for a missing contact has a warning of its own, which is enough.
    return can_be_reached(config, user) or any(
        user.contacts and contact_address(user, channel) is None
        for channel in contact_channels(user)
    )


def _relies_on_push(config: Config, user: User) -> bool:
    """True where nothing but devices that the file does not show could reach a person."""
    reaching = [name for name in contact_channels(user) if is_deliverable(config, user, name)]
    return reaching == [PUSH] and devices_of(config, user.name) is None


def _only_push_words(user: User) -> Phrase:
    return Phrase("problem.only_push", {"user": user.name})


def _can_be_paged(config: Config) -> set[str]:
    names = set()
    for schedule in config.schedules.values():
        names |= {user for layer in schedule.layers for turn in layer.users for user in turn}
        names |= {user for override in schedule.overrides for user in override.users}
    for policy in config.policies.values():
        names.add(policy.if_nobody.user)
        for step in notify_steps(policy):
            names |= {*step.users, step.if_nobody.user if step.if_nobody else ""}
            names |= set(config.teams[step.team].members) if step.team else set()
    return names


def _lint_notices(config: Config) -> Iterator[ConfigProblem]:
    """Yield notices that cannot arrive, and quiet hours without an end."""
    for index, user in enumerate(config.users.values()):
        wanted = ((kind, channel) for kind, names in user.notices.items() for channel in names)
        for kind, channel in wanted:
            path = f"users[{index}].notices.{kind}"
            address = contact_address(user, channel)
            if address is None:
                words = Phrase(
                    "problem.notice_without_contact",
                    {"user": user.name, "notice": kind, "channel": channel},
                )
                yield _problem("no_contact", user.place, path, words)
            elif reason := why_undeliverable(config, channel, address):
                words = Phrase(
                    "problem.undeliverable_notice",
                    {"user": user.name, "notice": kind, "channel": channel, "reason": reason},
                )
                yield _problem("undeliverable", user.place, path, words)
        if is_always_quiet(user, config.time_intervals):
            path = f"users[{index}].quiet_hours"
            words = Phrase("problem.endless_quiet_hours", {"user": user.name})
            yield _problem("endless_quiet_hours", user.place, path, words)


def _lint_routes(route: Route, above: tuple[Matcher, ...], path: str) -> Iterator[ConfigProblem]:
    """Yield children that no alert can reach. above: the matchers of the routes above them."""
    siblings = _NonContinuingSiblings()
    for index, child in enumerate(route.routes):
        child_path = f"{path}.routes[{index}]"
        conditions = (*above, *child.matchers)
        clash, earlier = _contradiction(conditions), siblings.first_for(conditions)
        if clash:
            words = Phrase(
                "problem.excluding_matchers", {"one": str(clash[0]), "other": str(clash[1])}
            )
            yield _problem("never_matches", child.place, child_path, words)
        elif earlier is not None:
            words = Phrase("problem.covered_route", {"route": f"{path}.routes[{earlier}]"})
            yield _problem("never_matches", child.place, child_path, words)
        else:
            yield from _lint_routes(child, conditions, child_path)
        if not child.continue_:
            siblings.add(index, child.matchers)


class _NonContinuingSiblings:
    """Routes without `continue`, indexed by one of their matchers: a file may have thousands."""

    def __init__(self) -> None:
        # Of a route one matcher is a key, in full; one that is no `=` also by its name alone,
        # because an equal label may fulfil it whatever its text.
        self._by_key: dict[tuple[str, ...], list[tuple[int, tuple[Matcher, ...]]]] = {}

    def add(self, index: int, matchers: tuple[Matcher, ...]) -> None:
        # the rarest: all routes may share another
        key = min(map(_matcher_key, matchers), key=self._count, default=())
        keys = [key] if not key or key[1] == "=" else [key, key[:1]]
        for one in keys:
            self._by_key.setdefault(one, []).append((index, matchers))

    def _count(self, key: tuple[str, ...]) -> int:
        return len(self._by_key.get(key, ()))

    def first_for(self, conditions: tuple[Matcher, ...]) -> int | None:
        """The index of the first route that gets all alerts that fulfil the conditions."""
        keys = {(), *map(_matcher_key, conditions)}
        fixed = {condition.name: condition.value for condition in conditions if condition.op == "="}
        keys |= {(name,) for name in fixed}
        known = frozenset(conditions)
        found = (
            next(
                (index for index, own in self._by_key.get(key, ()) if _implies(known, fixed, own)),
                None,
            )
            for key in keys
        )
        return min((index for index in found if index is not None), default=None)


def _matcher_key(matcher: Matcher) -> tuple[str, ...]:
    return matcher.name, matcher.op, matcher.value


def _contradiction(conditions: tuple[Matcher, ...]) -> tuple[Matcher, Matcher] | None:
    for fixed in conditions:
        if fixed.op == "=":
            for other in conditions:
                if other.name == fixed.name and not other.matches({fixed.name: fixed.value}):
                    return fixed, other
    return None


def _implies(
    conditions: frozenset[Matcher], fixed: Mapping[str, str], matchers: tuple[Matcher, ...]
) -> bool:
    """True if whatever fulfils the conditions surely fulfils the matchers.

    fixed: the labels that the conditions set.
    """
    return all(
        matcher in conditions or (matcher.name in fixed and matcher.matches(fixed))
        for matcher in matchers
    )


def _lint_policies(config: Config) -> Iterator[ConfigProblem]:
    # Policies that others forward to are checked as parts of those.
    begun = config.policies.keys() - forward_only_policies(config)
    reaching = policies_that_reach(config, config.users.keys())
    delivering = policies_that_reach(
        config, {user.name for user in config.users.values() if can_be_reached(config, user)}
    )
    for index, policy in enumerate(config.policies.values()):
        path = f"escalation_policies[{index}]"
        if policy.name in begun:
            yield from _lint_begun_policy(config, policy, path, reaches=policy.name in reaching)
            if policy.name in reaching - delivering:
                words = Phrase("problem.policy_reaches_undeliverable", {"policy": policy.name})
                yield _problem("ends_with_nobody", policy.place, path, words)
        if policy.repeat and not any(isinstance(one, Wait | WaitUntilStep) for one in policy.steps):
            words = Phrase("problem.no_wait_in_repeat", {"policy": policy.name})
            yield _problem("no_wait_in_repeat", policy.place, path, words)
        people = people_unless_important(config, policy) if policy.name in begun else set()
        if quiet := find_common_quiet(
            [config.users[name] for name in people], config.time_intervals
        ):
            at = Moment(quiet.timestamp())
            words = Phrase("problem.quiet_together", {"policy": policy.name, "at": at})
            yield _problem("quiet_together", policy.place, path, words)
        for step in steps_that_repeat(config, policy):
            words = Phrase("problem.repeats_person", {"schedule": step.schedule})
            yield _problem("repeats_person", step.place, path, words)
        yield from _lint_receivers(config, policy, path)


def _lint_begun_policy(
    config: Config, policy: Policy, path: str, *, reaches: bool
) -> Iterator[ConfigProblem]:
    """Yield the warning that a policy which incidents begin with may end with nobody."""
    if not reaches:
        policies = reachable_policies(config, policy).values()
        notifies = any(True for one in policies for _ in notify_steps(one))
        words = Phrase(
            "problem.policy_reaches_nobody" if notifies else "problem.policy_without_notify",
            {"policy": policy.name},
        )
        yield _problem("ends_with_nobody", policy.place, path, words)


def _lint_receivers(config: Config, policy: Policy, path: str) -> Iterator[ConfigProblem]:
    """Yield steps whose receiver has no integration that they could use."""
    for step in policy.steps:
        if isinstance(step, NotifyStep) and step.receiver:
            kind, key = "", "problem.step_tells_nobody"
        elif isinstance(step, WebhookStep):
            kind, key = "webhook", "problem.step_calls_nothing"
        else:
            continue
        if not _can_deliver(config, step.receiver, kind):
            words = Phrase(key, {"receiver": step.receiver})
            yield _problem("undeliverable", step.place, path, words)


def _can_deliver(config: Config, receiver: str, kind: str) -> bool:
    """True if a receiver can be notified of incidents over any integration ("") or one kind."""
    return any(
        one.kind == (kind or one.kind) and one.kind != "oncall" and not one.undeliverable
        for one in config.receivers[receiver].integrations
    )


def _lint_forward_cycles(config: Config) -> Iterator[ConfigProblem]:
    positions = {name: index for index, name in enumerate(config.policies)}
    for cycle in forward_cycles(config):
        first = config.policies[cycle[0]]
        shown = " → ".join(map(repr, (*cycle, first.name)))
        words = Phrase("problem.forwards_in_circle", {"policy": first.name, "circle": shown})
        path = f"escalation_policies[{positions[first.name]}]"
        yield _problem("forwards_in_circle", first.place, path, words)
