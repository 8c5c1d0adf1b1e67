"""A policy's steps in words."""

from __future__ import annotations

from amproxy.config.structs import Config, IfNobody, NotifyStep, Policy, Step, Wait
from amproxy.durations import format_duration
from amproxy.foresight.render import people, person


def step(config: Config, found: Step) -> str:
    """What a step does, and under which conditions."""
    if isinstance(found, Wait):
        return f"wait {format_duration(found.seconds)}"
    if not isinstance(found, NotifyStep):
        return f"wait until {found.interval}"
    text = _notify(config, found) + (", as important" if found.urgency == "important" else "")
    if found.matchers:
        text += f", only where {', '.join(found.matchers)}"
    if found.active_time_intervals:
        text += f", only in {' or '.join(found.active_time_intervals)}"
    if found.mute_time_intervals:
        text += f", not in {' or '.join(found.mute_time_intervals)}"
    return text + (f"; if nobody: {_if_nobody(config, found.if_nobody)}" if found.if_nobody else "")


def ending(config: Config, policy: Policy) -> str:
    """What holds for the policy as a whole."""
    parts = [f"if nobody is on call: {_if_nobody(config, policy.if_nobody)}"]
    if policy.repeat:
        parts.insert(0, "then again, once" if policy.repeat == 1 else f"then again, {policy.repeat} times")
    if policy.acknowledge_timeout:
        parts.append(f"an acknowledgement runs out after {format_duration(policy.acknowledge_timeout)}")
    return "; ".join(parts)


def _notify(config: Config, found: NotifyStep) -> str:
    if found.schedule:
        who = "whose turn is next in" if found.position == "next" else "who is on call for"
        return f"page {who} schedule {found.schedule}"
    if found.team:
        return f"page {'one member in turn' if found.pick == 'round_robin' else 'everyone'} of team {found.team}"
    return f"page {people(config, found.users)}" if found.users else f"tell receiver {found.receiver}"


def _if_nobody(config: Config, rule: IfNobody) -> str:
    if rule.kind == "user":
        return f"page {person(config, rule.user)}"
    return "wait for the next shift" if rule.kind == "wait_for_shift" else "go on with the next step"
