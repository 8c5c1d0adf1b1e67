"""`escalation_policies`: what happens until somebody answers. The steps stand in steps.py."""

from __future__ import annotations

from typing import Final

from amproxy.config.read.cursor import Cursor, Reader, Section
from amproxy.config.read.quantities import duration, integer, span
from amproxy.config.read.steps import if_nobody, step
from amproxy.config.read.values import choice, list_of, name, reference
from amproxy.config.structs import Flapping, IfNobody, Policy, Storm
from amproxy.config.yaml import Mapping

_LONGEST_REMINDER: Final = 1800.0  # seconds; where nothing is said, the reminder comes a quarter of the timeout before it, at most this


def _repeat(at: Cursor) -> Section:
    """How often the steps run again: a number, or a map that also says from which step."""
    if isinstance(at.node, Mapping):
        section = at.section({"times": integer(0), "from": integer(1)})
        section.require("times", why="how often do the steps run again?")
        return section
    times, section = integer(0)(at), Section(at)
    if times is not None:
        section["times"] = times
    return section


def _flapping(at: Cursor) -> Flapping | None:
    section = at.section({"more_than": integer(1), "within": span, "hold": span})
    section.require("more_than", why="how many returns are too many?")
    section.require("within", why="in which time are they counted?")
    if "more_than" not in section or "within" not in section:
        return None
    hold = {"hold": float(section["hold"])} if "hold" in section else {}
    return Flapping(more_than=section["more_than"], within=float(section["within"]), **hold)


def _storm(at: Cursor) -> Storm | None:
    section = at.section({"more_than": integer(1), "within": span})
    section.require("more_than", why="how many pages are too many?")
    section.require("within", why="in which time are they counted?")
    if "more_than" not in section or "within" not in section:
        return None
    return Storm(more_than=section["more_than"], within=float(section["within"]))


_POLICY: Final[dict[str, Reader]] = {
    "name": name,
    "team": reference("teams", "team"),
    "steps": list_of(step),
    "repeat": _repeat,
    "acknowledge_timeout": duration,
    "acknowledge_reminder": duration,
    "after_snooze": choice("restart", "resume"),
    "auto_resolve": duration,
    "reopen_within": duration,
    "flapping": _flapping,
    "storm": _storm,
    "if_nobody": if_nobody,
}


def policy(at: Cursor) -> Policy:
    """One escalation policy."""
    section = at.section(_POLICY)
    section.require("name")
    steps, repeat = tuple(section.get("steps", ())), section.get("repeat", {})
    if repeat.get("from", 1) > max(1, len(steps)):
        repeat.error("from", f"there is no step {repeat['from']}: the policy has {len(steps)}")
    if "flapping" in section and not section.get("reopen_within"):
        section.error("flapping", "flapping needs reopen_within: only an incident that is opened again can flap")
    return Policy(
        name=section.get("name", ""),
        team=section.get("team", ""),
        steps=steps,
        repeat=repeat.get("times", 0),
        repeat_from=repeat.get("from", 1),
        acknowledge_timeout=float(section.get("acknowledge_timeout", 0)),
        acknowledge_reminder=_reminder(section),
        after_snooze=section.get("after_snooze", "restart"),
        auto_resolve=float(section.get("auto_resolve", 0)),
        reopen_within=float(section.get("reopen_within", 0)),
        flapping=section.get("flapping"),
        storm=section.get("storm"),
        if_nobody=section.get("if_nobody", IfNobody()),
        place=at.place,
    )


def _reminder(section: Section) -> float:
    """Seconds before the timeout; 0 = nobody is reminded."""
    timeout = float(section.get("acknowledge_timeout", 0))
    if "acknowledge_reminder" not in section:
        return min(timeout / 4, _LONGEST_REMINDER)
    reminder = float(section["acknowledge_reminder"])
    if reminder and not timeout:
        section.error("acknowledge_reminder", "acknowledge_reminder needs acknowledge_timeout: without it no acknowledgement runs out")
    elif reminder and reminder >= timeout:
        section.error("acknowledge_reminder", "the reminder must come before the acknowledgement runs out (acknowledge_timeout)")
    return reminder
