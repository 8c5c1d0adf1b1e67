"""A policy's steps in words."""

from __future__ import annotations

from amproxy.config.structs import (
    Condition,
    Config,
    ForwardStep,
    IfNobody,
    NotifyStep,
    Policy,
    Step,
    Wait,
    WaitForAlertsStep,
    WaitUntilStep,
    WebhookStep,
)
from amproxy.simulation.terminal import people, person
from amproxy.times import format_duration


def step(config: Config, found: Step) -> str:
    """What a step does, and under which conditions."""
    match found:
        case Wait():
            return f"wait {format_duration(found.seconds)}"
        case WaitUntilStep():
            return f"wait until {found.interval}"
        case WaitForAlertsStep():
            return f"wait for more than {found.more_than} alerts within {format_duration(found.within)}"
        case NotifyStep():
            text = _notify(config, found) + (", as important" if found.urgency == "important" else "")
        case WebhookStep():
            text = f"call the webhooks of receiver {found.receiver}"
        case ForwardStep():
            text = f"hand over to policy {found.policy}"
        case _:
            text = "resolve the incident"
    text += _condition(found)
    if isinstance(found, NotifyStep) and found.if_nobody:
        text += f"; if nobody: {_if_nobody(config, found.if_nobody)}"
    return text


def _condition(found: Condition) -> str:
    text = f", only where {', '.join(found.matchers)}" if found.matchers else ""
    if found.active_time_intervals:
        text += f", only in {' or '.join(found.active_time_intervals)}"
    if found.mute_time_intervals:
        text += f", not in {' or '.join(found.mute_time_intervals)}"
    return text


def ending(config: Config, policy: Policy) -> str:
    """What holds for the policy as a whole."""
    parts = [f"if nobody is on call: {_if_nobody(config, policy.if_nobody)}"]
    if policy.repeat:
        again = "then again, once" if policy.repeat == 1 else f"then again, {policy.repeat} times"
        parts.insert(0, again + (f", from step {policy.repeat_from}" if policy.repeat_from > 1 else ""))
    if policy.acknowledge_timeout:
        text = f"an acknowledgement runs out after {format_duration(policy.acknowledge_timeout)}"
        if policy.acknowledge_reminder:
            text += f", with a reminder {format_duration(policy.acknowledge_reminder)} before"
        parts.append(text)
    if policy.after_snooze == "resume":
        parts.append("after a snooze the steps go on where they were")
    if policy.auto_resolve:
        parts.append(f"without news for {format_duration(policy.auto_resolve)} it is resolved")
    if policy.reopen_within:
        parts.append(f"alerts that return within {format_duration(policy.reopen_within)} open the same incident again")
    if policy.flapping:
        flapping = policy.flapping
        parts.append(
            f"after more than {flapping.more_than} returns in {format_duration(flapping.within)} it must fire for "
            f"{format_duration(flapping.hold)} before the steps run"
        )
    if policy.storm:
        parts.append(f"more than {policy.storm.more_than} pages in {format_duration(policy.storm.within)} become one message")
    return "; ".join(parts)


def _notify(config: Config, found: NotifyStep) -> str:
    if found.schedule:
        who = "whose turn is next in" if found.position == "next" else "who is on call for"
        return f"page {who} schedule {found.schedule}"
    one = found.pick == "round_robin"
    if found.team:
        return f"page {'one member in turn' if one else 'everyone'} of team {found.team}"
    if found.users:
        return f"page {'one in turn of ' if one else ''}{people(config, found.users)}"
    return f"tell receiver {found.receiver}"


def _if_nobody(config: Config, rule: IfNobody) -> str:
    if rule.kind == "user":
        return f"page {person(config, rule.user)}"
    return "wait for the next shift" if rule.kind == "wait_for_shift" else "go on with the next step"
