"""Policies, their steps, and notification rules as phrases in any language. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from amproxy.config.structs import (
    DEFAULT_STORM,
    Condition,
    ForwardStep,
    IfNobody,
    Notify,
    NotifyStep,
    Policy,
    Step,
    Wait,
    WaitForAlertsStep,
    WaitUntilStep,
    WebhookStep,
)
from amproxy.text import Length, PeopleNames, Phrase, PhraseValue


def step_phrase(step: Step) -> Phrase:
    """A step's action or wait, and its conditions."""
    match step:
        case Wait():
            return Phrase("step.wait", {"length": Length(step.seconds)})
        case WaitUntilStep():
            return Phrase("step.wait_until", {"interval": step.interval})
        case WaitForAlertsStep():
            return Phrase(
                "step.wait_for_alerts",
                {"count": str(step.more_than), "length": Length(step.within)},
            )
        case NotifyStep():
            action = _notify_phrase(step)
        case WebhookStep():
            action = Phrase("step.webhook", {"receiver": step.receiver})
        case ForwardStep():
            action = Phrase("step.forward", {"policy": step.policy})
        case _:
            action = Phrase("step.resolve")
    conditions = tuple(_condition_phrases(step))
    if not conditions:
        return action
    return Phrase("step.conditional", {"what": action, "conditions": conditions})


def _condition_phrases(step: Condition) -> Iterator[Phrase]:
    if isinstance(step, NotifyStep) and step.urgency == "important":
        yield Phrase("step.important")
    if step.matchers:
        yield Phrase("step.only_where", {"matchers": ", ".join(step.matchers)})
    if step.active_time_intervals:
        yield Phrase("step.only_in", {"intervals": ", ".join(step.active_time_intervals)})
    if step.mute_time_intervals:
        yield Phrase("step.not_in", {"intervals": ", ".join(step.mute_time_intervals)})
    if isinstance(step, NotifyStep) and step.if_nobody:
        yield if_nobody_phrase(step.if_nobody)


def _notify_phrase(step: NotifyStep) -> Phrase:
    if step.schedule:
        return Phrase(
            "step.notify_next" if step.position == "next" else "step.notify_schedule",
            {"schedule": step.schedule},
        )
    one = step.pick == "round_robin"
    if step.team:
        return Phrase("step.notify_team_turn" if one else "step.notify_team", {"team": step.team})
    if step.users:
        return Phrase(
            "step.notify_users_turn" if one else "step.notify_users",
            {"people": PeopleNames(step.users)},
        )
    return Phrase("step.notify_receiver", {"receiver": step.receiver})


def if_nobody_phrase(rule: IfNobody) -> Phrase:
    if rule.kind == "user":
        return Phrase("step.nobody_user", {"people": PeopleNames((rule.user,))})
    return Phrase("step.nobody_shift" if rule.kind == "wait_for_shift" else "step.nobody_next")


def ending_phrases(policy: Policy) -> Iterator[Phrase]:
    """The settings of a policy as a whole: what follows its last step, timeouts, limits."""
    if policy.repeat:
        start = "step.repeat_from" if policy.repeat_from > 1 else "step.repeat"
        yield Phrase(start, {"n": policy.repeat, "step": str(policy.repeat_from)})
    yield if_nobody_phrase(policy.if_nobody)
    if policy.acknowledge_timeout:
        values: dict[str, PhraseValue] = {
            "timeout": Length(policy.acknowledge_timeout),
            "reminder": Length(policy.acknowledge_reminder),
        }
        key = "step.timeout_reminder" if policy.acknowledge_reminder else "step.timeout"
        yield Phrase(key, values)
    if policy.after_snooze == "resume":
        yield Phrase("step.resume")
    if policy.auto_resolve:
        yield Phrase("step.auto_resolve", {"length": Length(policy.auto_resolve)})
    if policy.reopen_within:
        yield Phrase("step.reopen", {"length": Length(policy.reopen_within)})
    if policy.reopen_on == "matchers":
        yield Phrase("step.reopen_on_matchers", {"matchers": ", ".join(policy.reopen_matchers)})
    elif policy.reopen_on != "severity":
        yield Phrase(f"step.reopen_on_{policy.reopen_on}")
    if flapping := policy.flapping:
        limits: dict[str, PhraseValue] = {
            "count": str(flapping.more_than),
            "within": Length(flapping.within),
            "hold": Length(flapping.hold),
        }
        yield Phrase("step.flapping", limits)
    storm = policy.storm
    if storm is None:
        yield Phrase("step.no_storm")
    elif storm != DEFAULT_STORM:
        within = Length(storm.within)
        yield Phrase("step.storm", {"count": str(storm.more_than), "within": within})


def rule_phrase(rule: Notify | Wait) -> Phrase:
    """One of a person's notification rules."""
    if isinstance(rule, Wait):
        return Phrase("step.wait", {"length": Length(rule.seconds)})
    return Phrase("step.over", {"channels": ", ".join(rule.channels)})
