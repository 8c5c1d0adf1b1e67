"""`escalation_policies`: what happens, step by step, until somebody answers."""

from __future__ import annotations

from typing import Any, Final, Literal

from amproxy.config.conditions import matchers
from amproxy.config.cursor import Cursor, Reader, Section
from amproxy.config.fields import choice, list_of, name, reference
from amproxy.config.people import user_name
from amproxy.config.quantities import duration, integer, span
from amproxy.config.schedules import intervals
from amproxy.config.structs import IfNobody, NotifyStep, Policy, Step, Wait, WaitUntilStep
from amproxy.config.tree import Mapping

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
_ONLY_WITH: Final = {"position": ("schedule",), "pick": ("team",), "urgency": ("schedule", "users", "team")}


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


def _if_nobody(at: Cursor) -> IfNobody | None:
    if isinstance(at.node, Mapping):
        section = at.section({"user": user_name})
        section.require("user")
        return IfNobody(kind="user", user=section["user"]) if "user" in section else None
    found: Literal["next_step", "wait_for_shift"] | None = choice("next_step", "wait_for_shift")(at)
    return None if found is None else IfNobody(kind=found)


_WINDOW: Final[dict[str, Reader]] = {
    "if_nobody": _if_nobody,
    "matchers": matchers,
    "active_time_intervals": intervals,
    "mute_time_intervals": intervals,
}
_STEP: Final[dict[str, Reader]] = {
    "notify": _notify,
    "wait": span,
    "wait_until": reference("time_intervals", "time interval"),
    **_WINDOW,
}


def _step(at: Cursor) -> Step | None:
    section = at.section(_STEP)
    section.require("notify", "wait", "wait_until")
    section.exclusive("notify", "wait", "wait_until")
    if not section.given("notify"):
        for key in _WINDOW:
            if section.given(key):
                section.error(key, f"{key} belongs to a notify step")
    if "wait" in section:
        return Wait(seconds=float(section["wait"]), place=at.place)
    if "wait_until" in section:
        return WaitUntilStep(interval=section["wait_until"], place=at.place)
    return _notify_step(section) if "notify" in section else None


def _notify_step(section: Section) -> NotifyStep:
    target: dict[str, Any] = dict(section["notify"])
    target["users"] = tuple(dict.fromkeys(target.get("users", ())))
    return NotifyStep(
        **target,
        if_nobody=section.get("if_nobody"),
        matchers=tuple(map(str, section.get("matchers", ()))),
        active_time_intervals=tuple(section.get("active_time_intervals", ())),
        mute_time_intervals=tuple(section.get("mute_time_intervals", ())),
        place=section.cursor.place,
    )


_POLICY: Final[dict[str, Reader]] = {
    "name": name,
    "steps": list_of(_step),
    "repeat": integer(0),
    "acknowledge_timeout": duration,
    "if_nobody": _if_nobody,
}


def policy(at: Cursor) -> Policy:
    """One escalation policy."""
    section = at.section(_POLICY)
    section.require("name")
    return Policy(
        name=section.get("name", ""),
        steps=tuple(section.get("steps", ())),
        repeat=section.get("repeat", 0),
        acknowledge_timeout=float(section.get("acknowledge_timeout", 0)),
        if_nobody=section.get("if_nobody", IfNobody()),
        place=at.place,
    )
