"""The target of a form: the people that it offers and finds, or what else it names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from amproxy.clock import utc
from amproxy.config.structs import Config
from amproxy.context import Context
from amproxy.respond.targets import BadAction, PageTarget
from amproxy.text import PeopleNames, Phrase, PhraseValue
from amproxy.web.http.request import invalid

FEW_PEOPLE: Final = 8  # so many can be ticked; the others are looked up by name
MAX_TYPED_NAMES = 20  # of one field

FormLists = Mapping[str, list[str]]  # field → its values, in order


def parse_target(config: Config, fields: FormLists) -> PageTarget:
    """The people that are ticked or typed, or "team:NAME", "schedule:NAME", "policy:NAME".

    Raises HTTPException 422, BadAction.
    """
    kind, _, name = last_value(fields, "to").partition(":")
    if kind not in ("", "team", "schedule", "policy"):
        raise invalid(Phrase("refusal.form_target"))
    ticked = [name for name in fields.get("users", ()) if name]
    typed = find_users(config, last_value(fields, "who"))
    return PageTarget(
        users=tuple(dict.fromkeys([*ticked, *typed])), **({kind: name} if kind else {})
    )


def find_users(config: Config, text: str) -> list[str]:
    """The users that a text names, by name, full name, or a part that only one of them has.

    Several stand with commas between them. Raises BadAction.
    """
    if not text.strip():
        return []
    whole = match_users(config, text)
    if len(whole) == 1:  # a full name may have a comma in it
        return whole
    found: list[str] = []
    for part in filter(str.strip, text.split(",")[:MAX_TYPED_NAMES]):
        match match_users(config, part):
            case [name]:
                found.append(name)
            case []:
                raise BadAction(Phrase("refusal.unknown_user", {"user": part.strip()[:60]}))
            case several:
                people = PeopleNames(tuple(several[:FEW_PEOPLE]))
                values: dict[str, PhraseValue] = {"user": part.strip()[:60], "people": people}
                raise BadAction(Phrase("refusal.several_users", values))
    return found


def match_users(config: Config, text: str) -> list[str]:
    """The user of this name or full name, else all whose names have it in them."""
    wanted = text.strip().casefold()
    names = {
        user.name: (user.name.casefold(), user.full_name.casefold())
        for user in config.users.values()
    }
    exact = [name for name, known in names.items() if wanted in known]
    return exact or [name for name, known in names.items() if any(wanted in one for one in known)]


class OfferedPerson(NamedTuple):
    """Somebody who can be ticked."""

    number: int  # place in the file, from 1
    name: str
    schedule: str  # that they are on call for; "" = none


class OfferedPeople(NamedTuple):
    """The people of a form: some to tick, and whether there are more to look up."""

    listed: list[OfferedPerson]
    more: bool


def offer_people(context: Context, *, team: str = "", ticked: Iterable[str] = ()) -> OfferedPeople:
    """People to choose from: those on call first, and of these a team's own before others.

    Where the file has few, the others follow; where it has many, only those who are ticked do.
    """
    config, now = context.config, utc(context.now())
    schedules = sorted(config.schedules.values(), key=lambda one: not team or one.team != team)
    on_call: dict[str, str] = {}
    for schedule in schedules:
        for name in context.roster.on_call(schedule.name, now).users:
            on_call.setdefault(name, schedule.name)
    names = list(on_call)[:FEW_PEOPLE]
    others = config.users if len(config.users) <= FEW_PEOPLE else ticked
    names += [name for name in others if name in config.users and name not in names]
    places = {name: place for place, name in enumerate(config.users, 1)}
    listed = [OfferedPerson(places[name], name, on_call.get(name, "")) for name in names]
    return OfferedPeople(listed, len(listed) < len(places))


def last_value(fields: FormLists, name: str) -> str:
    """The last value of a field; "" where there is none."""
    return fields[name][-1] if fields.get(name) else ""
