"""The steps of an escalation policy: whom to tell, what to wait for, where to go."""

from __future__ import annotations

from typing import Any, Final, Literal

from amproxy.config.read.conditions import matchers
from amproxy.config.read.cursor import Cursor, Reader, Section
from amproxy.config.read.people import intervals, user_name
from amproxy.config.read.quantities import boolean, integer, span
from amproxy.config.read.values import choice, list_of, reference
from amproxy.config.structs import ForwardStep, IfNobody, NotifyStep, ResolveStep, Step, Wait, WaitForAlertsStep, WaitUntilStep, WebhookStep
from amproxy.config.yaml import Mapping

_TARGETS: Final = ("schedule", "users", "team", "receiver")
_NOTIFY: Final[dict[str, Reader]] = {
    "schedule": reference("schedules", "schedule"),
    "position": choice("current", "next"),
    "users": list_of(user_name),
    "team": reference("teams", "team"),
    "pick": choice("all", "round_robin"),
    "receiver": reference("receivers", "receiver"),
    "urgency": choice("default", "important"),
}
_ONLY_WITH: Final = {"position": ("schedule",), "pick": ("users", "team"), "urgency": ("schedule", "users", "team")}


def _notify(at: Cursor) -> Section:
    """Whom a step tells: exactly one target, with the keys that belong to it."""
    section = at.section(_NOTIFY)
    section.require(*_TARGETS, why="whom does this step notify?")
    section.exclusive(*_TARGETS)
    if section.get("users") == []:
        section.error("users", "names nobody")
    for key, targets in _ONLY_WITH.items():
        if section.given(key) and not section.given(*targets):
            section.error(key, f"{key} belongs to {' or '.join(targets)}")
    return section


def if_nobody(at: Cursor) -> IfNobody | None:
    """What a step does that reaches nobody."""
    if isinstance(at.node, Mapping):
        section = at.section({"user": user_name})
        section.require("user")
        return IfNobody(kind="user", user=section["user"]) if "user" in section else None
    found: Literal["next_step", "wait_for_shift"] | None = choice("next_step", "wait_for_shift")(at)
    return None if found is None else IfNobody(kind=found)


def _wait_for_alerts(at: Cursor) -> Section:
    section = at.section({"more_than": integer(0), "within": span})
    section.require("more_than", why="how many alerts are not yet enough?")
    section.require("within", why="in which time are they counted?")
    return section


def _resolve(at: Cursor) -> bool | None:
    found = boolean(at)
    if found is False:
        at.error("write resolve: true, or leave the step out")
    return found or None


_CONDITION: Final[dict[str, Reader]] = {"matchers": matchers, "active_time_intervals": intervals, "mute_time_intervals": intervals}
_WAITS: Final[dict[str, Reader]] = {
    "wait": span,
    "wait_until": reference("time_intervals", "time interval"),
    "wait_for_alerts": _wait_for_alerts,
}
_DEEDS: Final[dict[str, Reader]] = {
    "notify": _notify,
    "webhook": reference("receivers", "receiver"),
    "forward": reference("escalation_policies", "policy"),
    "resolve": _resolve,
}


def step(at: Cursor) -> Step | None:
    """One step: exactly one thing to do or to wait for."""
    section = at.section({**_DEEDS, **_WAITS, "if_nobody": if_nobody, **_CONDITION})
    section.require(*_DEEDS, *_WAITS)
    section.exclusive(*_DEEDS, *_WAITS)
    if section.given("if_nobody") and not section.given("notify"):
        section.error("if_nobody", "if_nobody belongs to a notify step")
    for key in _CONDITION:
        if section.given(key) and section.given(*_WAITS):
            section.error(key, f"{key} belongs to a step that does something, not to one that waits")
    return _wait(section) or _deed(section)


def _wait(section: Section) -> Step | None:
    place = section.cursor.place
    if "wait" in section:
        return Wait(seconds=float(section["wait"]), place=place)
    if "wait_until" in section:
        return WaitUntilStep(interval=section["wait_until"], place=place)
    alerts = section.get("wait_for_alerts", {})
    if "more_than" in alerts and "within" in alerts:
        return WaitForAlertsStep(more_than=alerts["more_than"], within=float(alerts["within"]), place=place)
    return None


def _deed(section: Section) -> Step | None:
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
