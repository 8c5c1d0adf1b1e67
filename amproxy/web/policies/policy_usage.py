"""Where a policy is used: by which receivers, by which routes these are reached, and which policies hand over to it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from amproxy.config.structs import Config, ForwardStep, Route
from amproxy.labels.matchers import Matcher


class Use(NamedTuple):
    """One receiver, and the ways to it: the matchers of each route that leads there, those above it first; () = everything else."""

    receiver: str
    ways: list[tuple[Matcher, ...]]


class Usage(NamedTuple):
    uses: list[Use]
    forwards: list[str]  # policies that hand over to this one


def usage(config: Config) -> dict[str, Usage]:
    """Policy → where it is used."""
    ways: dict[str, list[tuple[Matcher, ...]]] = {}
    for name, matchers in _ways(config.route, ()):
        ways.setdefault(name, []).append(matchers)
    found = {name: Usage([], []) for name in config.policies}
    for receiver in config.receivers.values():
        for name in dict.fromkeys(one.settings.escalation_policy for one in receiver.integrations if one.kind == "oncall"):
            found[name].uses.append(Use(receiver.name, ways.get(receiver.name, [])))
    for policy in config.policies.values():
        for name in dict.fromkeys(step.policy for step in policy.steps if isinstance(step, ForwardStep)):
            found[name].forwards.append(policy.name)
    return found


def _ways(route: Route, above: tuple[Matcher, ...]) -> Iterator[tuple[str, tuple[Matcher, ...]]]:
    matchers = (*above, *route.matchers)
    yield route.receiver, matchers
    for child in route.routes:
        yield from _ways(child, matchers)
