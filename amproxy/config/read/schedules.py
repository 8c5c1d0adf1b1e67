"""`schedules`: layers with their rotations, overrides from the file, calendars."""

from __future__ import annotations

import re
from typing import Any, Final

from amproxy.config.read.cursor import Cursor, Reader, Section
from amproxy.config.read.people import read_period, user_name
from amproxy.config.read.values import (
    choice,
    date_time,
    file,
    interval_names,
    list_of,
    name,
    positive_duration,
    reference,
    secret_url,
    text,
    timezone,
    to_wall_clock,
    written_value,
)
from amproxy.config.structs import Ical, Layer, Override, Rotation, Schedule
from amproxy.config.yaml import SequenceNode
from amproxy.text import Phrase
from amproxy.times import parse_duration

_MONTHS = re.compile(r"0*([1-9][0-9]{0,3})mo")
_DAY: Final = 86400


def _read_turn(at: Cursor) -> tuple[str, ...] | None:
    """One person, or a list of people who are on call together."""
    if not isinstance(at.node, SequenceNode):
        found = user_name(at)
        return None if found is None else (found,)
    if not at.node.items:
        at.error("problem.empty_turn")
    return tuple(list_of(user_name)(at))


def _read_every(at: Cursor) -> tuple[str, int, int] | None:
    """The length of a turn: (as written, seconds, months).

    Months are counted on the calendar, because they have no length in seconds.
    """
    found = text(at)
    if found is None:
        return None
    months = _MONTHS.fullmatch(found)
    if months:
        return found, 0, int(months[1])
    try:
        seconds = parse_duration(found)
    except ValueError:
        at.error("problem.expected_turn_length", value=written_value(at))
        return None
    if seconds < 1 or seconds % 1:
        at.error("problem.turn_seconds")
        return None
    return found, int(seconds), 0


def _read_rotation(at: Cursor) -> Section:
    section = at.section(
        {"every": _read_every, "start": date_time, "advance": choice("always", "active_days")}
    )
    section.require("every", why=Phrase("problem.why_every"))
    section.require("start", why=Phrase("problem.why_start"))
    if section.get("advance") == "active_days" and "every" in section:
        _, seconds, months = section["every"]
        if months or seconds % _DAY:
            section.error("every", "problem.turn_days")
    return section


_LAYER: Final[dict[str, Reader]] = {
    "name": name,
    "users": list_of(_read_turn),
    "rotation": _read_rotation,
    "active_time_intervals": interval_names,
    "mute_time_intervals": interval_names,
}
_ICAL: Final[dict[str, Reader]] = {
    "url": secret_url,
    "file": file,
    "overrides_url": secret_url,
    "overrides_file": file,
    "refresh": positive_duration,
}
_OVERRIDE: Final[dict[str, Reader]] = {
    "user": user_name,
    "start": date_time,
    "end": date_time,
    "reason": text,
}


def _read_layers(at: Cursor) -> list[Section]:
    found: list[Section] = []
    names: set[str] = set()
    for item in at.items():
        section = item.section(_LAYER)
        if not section.get("users"):
            section.error("users", "problem.layer_without_users")
        if section.get("name") in names:
            section.error("name", "problem.repeated_layer", layer=section["name"])
        names |= {section["name"]} if "name" in section else set()
        found.append(section)
    return found


def _read_overrides(at: Cursor) -> list[Section]:
    found = []
    for item in at.items():
        found.append(item.section(_OVERRIDE))
    return found


def _read_ical(at: Cursor) -> Ical:
    section = at.section(_ICAL)
    section.require("url", "file")
    section.exclusive("url", "file")
    section.exclusive("overrides_url", "overrides_file")
    if "refresh" in section:
        section["refresh"] = float(section["refresh"])
    return Ical(**section)


_SCHEDULE: Final[dict[str, Reader]] = {
    "name": name,
    "team": reference("teams", "problem.no_team"),
    "timezone": timezone,
    "layers": _read_layers,
    "overrides": _read_overrides,
    "ical": _read_ical,
}


def read_schedule(at: Cursor) -> Schedule:
    """One schedule."""
    section = at.section(_SCHEDULE)
    section.require("name")
    if section.get("layers") and "ical" in section:
        section.error("ical", "problem.layers_and_ical")
    zone = section.get("timezone", "UTC")
    return Schedule(
        name=section.get("name", ""),
        team=section.get("team", ""),
        timezone=zone,
        layers=tuple(
            _build_layer(layer, number, zone)
            for number, layer in enumerate(section.get("layers", ()), 1)
        ),
        overrides=tuple(
            override
            for entry in section.get("overrides", ())
            if (override := _build_override(entry, zone))
        ),
        ical=section.get("ical"),
        place=at.place,
    )


def _build_layer(section: Section, number: int, zone: str) -> Layer:
    rotation: Any = section.get("rotation")
    if rotation is not None and "every" in rotation and "start" in rotation:
        every, seconds, months = rotation["every"]
        rotation = Rotation(
            every=every,
            seconds=seconds,
            months=months,
            start=to_wall_clock(rotation["start"], zone),
            active_days=rotation.get("advance") == "active_days",
        )
    return Layer(
        # A layer without a name is known by its number.
        name=section.get("name", str(number)),
        users=tuple(section.get("users", ())),
        rotation=rotation,
        active_time_intervals=tuple(section.get("active_time_intervals", ())),
        mute_time_intervals=tuple(section.get("mute_time_intervals", ())),
        place=section.cursor.place,
    )


def _build_override(section: Section, zone: str) -> Override | None:
    period = read_period(section, zone)
    if period is None:
        return None
    start, end = period
    user = section.get("user")  # None: nobody, on purpose
    return Override(
        users=(user,) if user else (), start=start, end=end, reason=section.get("reason", "")
    )
