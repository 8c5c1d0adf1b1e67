"""`escalation_policies`: the steps until somebody answers, and the settings around them."""

from __future__ import annotations

from typing import Any, Final, Literal

from amproxy.config.read.cursor import Cursor, Reader, Section
from amproxy.config.read.people import user_name
from amproxy.config.read.routing import read_matchers
from amproxy.config.read.values import (
    boolean,
    choice,
    duration,
    integer,
    interval_names,
    list_of,
    name,
    positive_duration,
    reference,
)
from amproxy.config.structs import (
    DEFAULT_STORM,
    Flapping,
    ForwardStep,
    IfNobody,
    NotifyStep,
    Policy,
    ResolveStep,
    Step,
    Storm,
    Wait,
    WaitForAlertsStep,
    WaitUntilStep,
    WebhookStep,
)
from amproxy.config.yaml import MappingNode, ScalarNode, SequenceNode
from amproxy.text import Phrase
from amproxy.text.problems import alternatives

# Seconds. The default of acknowledge_reminder is a quarter of the timeout, at most this.
_MAX_REMINDER: Final = 1800.0
_TARGETS: Final = ("schedule", "users", "team", "receiver")
_NOTIFY_KEYS: Final[dict[str, Reader]] = {
    "schedule": reference("schedules", "problem.no_schedule"),
    "position": choice("current", "next"),
    "users": list_of(user_name),
    "team": reference("teams", "problem.no_team"),
    "pick": choice("all", "round_robin"),
    "receiver": reference("receivers", "problem.no_receiver"),
    "urgency": choice("default", "important"),
}
_ONLY_WITH_TARGETS: Final = {
    "position": ("schedule",),
    "pick": ("users", "team"),
    "urgency": ("schedule", "users", "team"),
}


def _read_notify(at: Cursor) -> Section:
    """The target of a notify step: exactly one, with the keys that belong to it."""
    section = at.section(_NOTIFY_KEYS)
    section.require(*_TARGETS, why=Phrase("problem.why_target"))
    section.exclusive(*_TARGETS)
    if section.get("users") == []:
        section.error("users", "problem.names_nobody")
    for key, targets in _ONLY_WITH_TARGETS.items():
        if section.given(key) and not section.given(*targets):
            section.error(key, "problem.belongs_to", key=key, targets=alternatives(targets))
    return section


def read_if_nobody(at: Cursor) -> IfNobody | None:
    """The fallback of a step that reaches nobody."""
    if isinstance(at.node, MappingNode):
        section = at.section({"user": user_name})
        section.require("user")
        return IfNobody(kind="user", user=section["user"]) if "user" in section else None
    found: Literal["next_step", "wait_for_shift"] | None = choice("next_step", "wait_for_shift")(at)
    return None if found is None else IfNobody(kind=found)


def _read_wait_for_alerts(at: Cursor) -> Section:
    section = at.section({"more_than": integer(0), "within": positive_duration})
    _require_rate(section, why=Phrase("problem.why_enough_alerts"))
    return section


def _require_rate(section: Section, *, why: Phrase) -> bool:
    """Return True where a map has both keys of a rate: more_than so many within a time."""
    section.require("more_than", why=why)
    section.require("within", why=Phrase("problem.why_within"))
    return "more_than" in section and "within" in section


def _read_resolve(at: Cursor) -> bool | None:
    found = boolean(at)
    if found is False:
        at.error("problem.resolve_false")
    return found or None


_CONDITION_KEYS: Final[dict[str, Reader]] = {
    "matchers": read_matchers,
    "active_time_intervals": interval_names,
    "mute_time_intervals": interval_names,
}
_WAIT_KEYS: Final[dict[str, Reader]] = {
    "wait": positive_duration,
    "wait_until": reference("time_intervals", "problem.no_time_interval"),
    "wait_for_alerts": _read_wait_for_alerts,
}
_ACTION_KEYS: Final[dict[str, Reader]] = {
    "notify": _read_notify,
    "webhook": reference("receivers", "problem.no_receiver"),
    "forward": reference("escalation_policies", "problem.no_policy"),
    "resolve": _read_resolve,
}


def read_step(at: Cursor) -> Step | None:
    """One step: exactly one thing to do or to wait for."""
    section = at.section(
        {**_ACTION_KEYS, **_WAIT_KEYS, "if_nobody": read_if_nobody, **_CONDITION_KEYS}
    )
    section.require(*_ACTION_KEYS, *_WAIT_KEYS)
    section.exclusive(*_ACTION_KEYS, *_WAIT_KEYS)
    if section.given("if_nobody") and not section.given("notify"):
        section.error("if_nobody", "problem.if_nobody_alone")
    for key in _CONDITION_KEYS:
        if section.given(key) and section.given(*_WAIT_KEYS):
            section.error(key, "problem.condition_of_wait", key=key)
    return _build_wait_step(section) or _build_action_step(section)


def _build_wait_step(section: Section) -> Step | None:
    place = section.cursor.place
    if "wait" in section:
        return Wait(seconds=float(section["wait"]), place=place)
    if "wait_until" in section:
        return WaitUntilStep(interval=section["wait_until"], place=place)
    alerts = section.get("wait_for_alerts", {})
    if "more_than" in alerts and "within" in alerts:
        return WaitForAlertsStep(
            more_than=alerts["more_than"], within=float(alerts["within"]), place=place
        )
    return None


def _build_action_step(section: Section) -> Step | None:
    condition: dict[str, Any] = {
        "matchers": tuple(map(str, section.get("matchers", ()))),
        "active_time_intervals": tuple(section.get("active_time_intervals", ())),
        "mute_time_intervals": tuple(section.get("mute_time_intervals", ())),
        "place": section.cursor.place,
    }
    if "notify" in section:
        target: dict[str, Any] = dict(section["notify"])
        target["users"] = tuple(dict.fromkeys(target.get("users", ())))
        return NotifyStep(**target, if_nobody=section.get("if_nobody"), **condition)
    if "webhook" in section:
        return WebhookStep(receiver=section["webhook"], **condition)
    if "forward" in section:
        return ForwardStep(policy=section["forward"], **condition)
    return ResolveStep(**condition) if "resolve" in section else None


def _read_repeat(at: Cursor) -> Section:
    """The repetitions of the steps: a number, or a map with the first step to repeat."""
    if isinstance(at.node, MappingNode):
        section = at.section({"times": integer(0), "from": integer(1)})
        section.require("times", why=Phrase("problem.why_times"))
        return section
    times, section = integer(0)(at), Section(at)
    if times is not None:
        section["times"] = times
    return section


def _read_reopen_on(at: Cursor) -> Section:
    """The new alerts that page anew: a word, or a list of matchers."""
    section = Section(at)
    if isinstance(at.node, SequenceNode):
        section["reopen_matchers"] = tuple(map(str, read_matchers(at)))
        section["reopen_on"] = "matchers"
        if not at.node.items:
            at.error("problem.reopen_on_nothing")
    elif word := choice("severity", "new_alerts", "never")(at):
        section["reopen_on"] = word
    return section


def _read_flapping(at: Cursor) -> Flapping | None:
    section = at.section(
        {"more_than": integer(1), "within": positive_duration, "hold": positive_duration}
    )
    if not _require_rate(section, why=Phrase("problem.why_returns")):
        return None
    hold = {"hold": float(section["hold"])} if "hold" in section else {}
    return Flapping(more_than=section["more_than"], within=float(section["within"]), **hold)


def _read_storm(at: Cursor) -> Storm | Literal["off"] | None:
    if isinstance(at.node, ScalarNode):
        return "off" if choice("off")(at) else None
    section = at.section({"more_than": integer(1), "within": positive_duration})
    if not _require_rate(section, why=Phrase("problem.why_pages")):
        return None
    return Storm(more_than=section["more_than"], within=float(section["within"]))


_POLICY: Final[dict[str, Reader]] = {
    "name": name,
    "team": reference("teams", "problem.no_team"),
    "steps": list_of(read_step),
    "repeat": _read_repeat,
    "acknowledge_timeout": duration,
    "acknowledge_reminder": duration,
    "after_snooze": choice("restart", "resume"),
    "auto_resolve": duration,
    "reopen_within": duration,
    "reopen_on": _read_reopen_on,
    "flapping": _read_flapping,
    "storm": _read_storm,
    "if_nobody": read_if_nobody,
}


def read_policy(at: Cursor) -> Policy:
    """One escalation policy."""
    section = at.section(_POLICY)
    section.require("name")
    steps, repeat = tuple(section.get("steps", ())), section.get("repeat", {})
    if repeat.get("from", 1) > max(1, len(steps)):
        repeat.error("from", "problem.no_step", step=repeat["from"], steps=len(steps))
    if "flapping" in section and not section.get("reopen_within"):
        section.error("flapping", "problem.flapping_alone")
    storm = section.get("storm", DEFAULT_STORM)
    return Policy(
        name=section.get("name", ""),
        team=section.get("team", ""),
        steps=steps,
        repeat=repeat.get("times", 0),
        repeat_from=repeat.get("from", 1),
        acknowledge_timeout=float(section.get("acknowledge_timeout", 0)),
        acknowledge_reminder=_reminder_seconds(section),
        after_snooze=section.get("after_snooze", "restart"),
        auto_resolve=float(section.get("auto_resolve", 0)),
        reopen_within=float(section.get("reopen_within", 0)),
        **section.get("reopen_on", {}),
        flapping=section.get("flapping"),
        storm=None if storm == "off" else storm,
        if_nobody=section.get("if_nobody", IfNobody()),
        place=at.place,
    )


def _reminder_seconds(section: Section) -> float:
    """Seconds before the timeout; 0 = nobody is reminded."""
    timeout = float(section.get("acknowledge_timeout", 0))
    if "acknowledge_reminder" not in section:
        return min(timeout / 4, _MAX_REMINDER)
    reminder = float(section["acknowledge_reminder"])
    if reminder and not timeout:
        section.error("acknowledge_reminder", "problem.reminder_alone")
    elif reminder and reminder >= timeout:
        section.error("acknowledge_reminder", "problem.late_reminder")
    return reminder
