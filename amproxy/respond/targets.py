"""Whom somebody means by hand: people, a schedule, a team or a policy, as the step or the policy that reaches them."""

from __future__ import annotations

import msgspec

from amproxy.config.structs import Config, NotifyStep, Policy, Urgency
from amproxy.errors import AmproxyError


class BadAction(AmproxyError):
    """The request for an action makes no sense (HTTP 422)."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Exactly one of them is given."""

    users: tuple[str, ...] = ()
    schedule: str = ""
    team: str = ""
    policy: str = ""


def step(config: Config, target: Target, urgency: Urgency = "default") -> NotifyStep | Policy:
    """A step that reaches them with pages of an urgency, or the policy, whose steps say it themselves.

    Raises BadAction where the target is none, several, or not in the file.
    """
    if sum(map(bool, (target.users, target.schedule, target.team, target.policy))) != 1:
        raise BadAction("exactly one of users, schedule, team and policy is needed")
    for user in target.users:
        if user not in config.users:
            raise BadAction(f"there is no user {user[:60]!r}")
    for kind, name, known in (
        ("schedule", target.schedule, config.schedules),
        ("team", target.team, config.teams),
        ("policy", target.policy, config.policies),
    ):
        if name and name not in known:
            raise BadAction(f"there is no {kind} {name[:60]!r}")
    if target.policy:
        if urgency == "important":
            raise BadAction("the urgency of a policy's pages is that of its steps")
        return config.policies[target.policy]
    return NotifyStep(users=tuple(dict.fromkeys(target.users)), schedule=target.schedule, team=target.team, urgency=urgency)


def people(config: Config, target: Target, urgency: Urgency = "default") -> NotifyStep:
    """The same where only people will do. Raises BadAction."""
    if target.policy:
        raise BadAction("a policy cannot be asked to join: name users, a schedule or a team")
    found = step(config, target, urgency)
    assert isinstance(found, NotifyStep)
    return found
