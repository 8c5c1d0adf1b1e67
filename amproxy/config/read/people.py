"""`users` and `teams`: people, their contacts and notification rules, their absences."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from amproxy.config.holidays import known_countries, public_holidays
from amproxy.config.read.cursor import Cursor, Reader, Section
from amproxy.config.read.sign_in import read_password_hash
from amproxy.config.read.values import (
    choice,
    date_time,
    file,
    interval_names,
    list_of,
    map_of,
    name,
    positive_duration,
    reference,
    section_of,
    text,
    timezone,
    to_wall_clock,
    written_value,
)
from amproxy.config.structs import Absence, Notify, Team, User, Wait
from amproxy.config.subscriptions import PUSH
from amproxy.config.yaml import SequenceNode

user_name: Final = reference("users", "problem.no_user")


def _read_channels(at: Cursor) -> list[str] | None:
    """One channel, or a list of channels to use at once."""
    if not isinstance(at.node, SequenceNode):
        found = name(at)
        return None if found is None else [found]
    channels: list[str] | None = list_of(name)(at)
    if not at.node.items:
        at.error("problem.names_no_channel")
    return channels


def _read_notification_rule(at: Cursor) -> Notify | Wait | None:
    section = at.section({"notify": _read_channels, "wait": positive_duration})
    if len(section.cursors) != 1:  # not `section`: a broken value is no missing one
        at.error("problem.rule_form")
        return None
    if "wait" in section:
        return Wait(seconds=float(section["wait"]), place=at.place)
    return Notify(channels=tuple(section["notify"])) if "notify" in section else None


def _read_country(at: Cursor) -> str | None:
    """A country, or a part of one, whose holidays are known."""
    found = name(at)
    if found is None:
        return None
    try:
        public_holidays(found, 2026)  # any year: what is asked is which countries are known
    except ValueError:
        at.error("problem.no_country", name=written_value(at), hint=at.hint(found, known_countries))
        return None
    return found


_RULES: Final[dict[str, Reader]] = dict.fromkeys(
    ("default", "important"), list_of(_read_notification_rule)
)
_ABSENCE: Final[dict[str, Reader]] = {"start": date_time, "end": date_time, "reason": text}
_NOTICES: Final = (
    *("going_on_call", "leaving", "gap_ahead", "empty_shift", "swap_asked"),
    *("shift_moved", "calendar_trouble"),
)
_USER: Final[dict[str, Reader]] = {
    "name": name,
    "full_name": text,
    "timezone": timezone,
    "role": choice("admin", "responder", "viewer"),
    "contacts": map_of(name),
    "notification_rules": section_of(_RULES),
    "absences": list_of(section_of(_ABSENCE)),
    "holidays": _read_country,
    "quiet_hours": interval_names,
    "notices": section_of(dict.fromkeys(_NOTICES, _read_channels)),
    "password_hash": read_password_hash,
    "password_hash_file": file,
}


def read_period(section: Section, zone: str) -> tuple[datetime, datetime] | None:
    """The start and end of an absence or override; None where they are broken.

    Both are naive, on the clock of `zone`.
    """
    for key in ("start", "end"):
        section.require(key)
    if "start" not in section or "end" not in section:
        return None
    start, end = to_wall_clock(section["start"], zone), to_wall_clock(section["end"], zone)
    if end <= start:
        section.error("end", "problem.end_before_start")
        return None
    return start, end


def _build_absences(sections: list[Section], zone: str) -> tuple[Absence, ...]:
    periods = [(section, read_period(section, zone)) for section in sections]
    return tuple(
        Absence(start=period[0], end=period[1], reason=section.get("reason", ""))
        for section, period in periods
        if period
    )


def _build_contacts(section: Section) -> dict[str, str]:
    """The contacts, among them `push` where anything names it: its address is the person."""
    contacts: dict[str, str] = dict(section.get("contacts", {}))
    rules = [rule for some in section.get("notification_rules", {}).values() for rule in some or ()]
    named = {name for rule in rules if isinstance(rule, Notify) for name in rule.channels}
    named.update(name for some in section.get("notices", {}).values() for name in some or ())
    if contacts.get(PUSH, "true") != "true":
        section.error("contacts", "problem.push_contact")
    if PUSH in contacts or PUSH in named:
        contacts[PUSH] = section.get("name", "")
    return contacts


def read_user(at: Cursor) -> User:
    """One person."""
    section = at.section(_USER)
    section.require("name")
    section.exclusive("password_hash", "password_hash_file")
    plain = ("full_name", "timezone", "role", "holidays")
    secrets = ("password_hash", "password_hash_file")
    rest: dict[str, Any] = {key: section[key] for key in (*plain, *secrets) if key in section}
    return User(
        name=section.get("name", ""),
        **rest,
        contacts=_build_contacts(section),
        notification_rules={
            urgency: tuple(rules)
            for urgency, rules in section.get("notification_rules", {}).items()
            if rules
        },
        absences=_build_absences(section.get("absences", []), section.get("timezone", "UTC")),
        quiet_hours=tuple(section.get("quiet_hours", ())),
        # A channel named twice must not send twice.
        notices={
            kind: tuple(dict.fromkeys(channels))
            for kind, channels in section.get("notices", {}).items()
            if channels
        },
        place=at.place,
    )


def read_team(at: Cursor) -> Team:
    """One team; a person named twice counts once."""
    section = at.section({"name": name, "members": list_of(user_name)})
    section.require("name")
    return Team(
        name=section.get("name", ""),
        members=tuple(dict.fromkeys(section.get("members", ()))),
        place=at.place,
    )
