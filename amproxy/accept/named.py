"""The fields of any body, found by the names that most senders use, in nested objects too."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final, NamedTuple

from amproxy.accept.shapes import as_text, look_up
from amproxy.accept.words import (
    ABOUT,
    EVENTS,
    IDENTITIES,
    KINDS,
    NAME,
    OVER_FLAGS,
    RULE_IDENTITIES,
    SEVERITIES,
    STATES,
    STRANGERS,
    TITLES,
    WEAK_IDENTITIES,
    State,
    event_state,
    is_over,
    known_state,
    plain,
)

MAX_NAME_LENGTH: Final = 200  # characters of a name, id or severity
MAX_OBJECTS: Final = 300  # that are looked through
MAX_KEYS: Final = 1000  # of each
MAX_SEARCHED_LENGTH: Final = 16_000  # characters of a text in which an id is looked for
_PROBLEM_ID = re.compile(r"\bproblem id: *(\d+)", re.IGNORECASE)  # of Zabbix's own messages
_TAG = re.compile(r"([A-Za-z_][\w./-]*)[:=](?!//)(.+)", re.DOTALL)


class NamedObject(NamedTuple):
    """One object of a body."""

    names: dict[str, Any]  # by plain name
    inside: tuple[str, ...]  # plain names of the objects that it is in


def named_objects(payload: dict[str, Any]) -> Iterator[NamedObject]:
    """The object and those in it that are the alert's, from the top down; of lists their first."""
    row: list[tuple[dict[str, Any], tuple[str, ...]]] = [(payload, ())]
    seen = 0
    while row and seen < MAX_OBJECTS:
        below: list[tuple[dict[str, Any], tuple[str, ...]]] = []
        for one, inside in row[: MAX_OBJECTS - seen]:
            seen += 1
            names: dict[str, Any] = {}
            for key, value in islice(one.items(), MAX_KEYS):
                name = plain(key)
                names.setdefault(name, value)
                inner = value[0] if isinstance(value, list) and value else value
                if isinstance(inner, dict) and name not in STRANGERS:
                    below.append((inner, (*inside, name)))
            yield NamedObject(names, inside)
        row = below


def first_text(objects: Iterable[NamedObject], names: tuple[str, ...]) -> str:
    """The first text or number under any of the names, "" where there is none."""
    for one in objects:
        for name in names:
            if text := as_text(one.names.get(name)):
                return text
    return ""


def is_about(one: NamedObject) -> bool:
    """Check for the body itself, or an object that is what the alert is about."""
    return not one.inside or one.inside[-1] in ABOUT


def find_title(objects: list[NamedObject]) -> str:
    """The title, "" where there is none."""
    for one in objects:
        names = (*TITLES, NAME) if is_about(one) else TITLES
        if title := first_text([one], names):
            return title
    return ""


def find_state(objects: list[NamedObject]) -> State | None:
    """The nearest state. A word that is not known fires; None: there is no state.

    What an event is called may say no more than that there is one, so that a state further down
    goes before it.
    """
    begun, unknown = False, False
    for one in objects:
        for name in STATES:
            text = as_text(one.names.get(name))
            if known := known_state(text):
                return known
            unknown = unknown or bool(text)
            if text and not text.isdecimal():  # numbers may be of HTTP
                return "firing"
        events = [event_state(as_text(one.names.get(name))) for name in EVENTS]
        kinds = [is_over(as_text(one.names.get(name))) for name in KINDS]
        flags = [one.names.get(name) is True for name in OVER_FLAGS]
        if "resolved" in events or any(kinds) or any(flags):
            return "resolved"
        begun = begun or "firing" in events
    # A severity of "clear" or "ok" is how network managers say that it is over.
    severity = first_text(objects, SEVERITIES)
    if is_over(severity) and not severity.isdecimal():
        return "resolved"
    return "firing" if begun or unknown else None


def find_identity(objects: list[NamedObject], title: str, text: str) -> tuple[str, bool]:
    """Return an id, "" where there is none, and whether it is that of a rule."""
    if identity := first_text(objects, IDENTITIES):
        return identity, False
    if identity := first_text(objects, RULE_IDENTITIES):
        return identity, True
    beside = [
        one
        for one in objects
        if not one.inside or (title and title in map(as_text, one.names.values()))
    ]
    if identity := first_text(beside, WEAK_IDENTITIES):
        return identity, False
    match = _PROBLEM_ID.search(text[:MAX_SEARCHED_LENGTH])
    return (match[1] if match else ""), False


def find_severity(given: str, objects: list[NamedObject]) -> str:
    """A severity in lower case: the given one, or the first text under its names."""
    if not given:
        given = next(
            (
                one.names[name].strip()
                for one in objects
                for name in SEVERITIES
                if isinstance(one.names.get(name), str) and one.names[name].strip()
            ),
            "",
        )
    return "" if is_over(given) else given[:MAX_NAME_LENGTH].casefold()


def find_link(objects: list[NamedObject], names: tuple[str, ...]) -> str:
    """The first address of the web under any of the names, "" where there is none."""
    for one in objects:
        for name in names:
            if link := web_link(as_text(one.names.get(name))):
                return link
    return ""


def web_link(text: str) -> str:
    """The text where it is an address of the web, "" where it is not."""
    scheme, _, rest = text.partition("://")
    return text if scheme.lower() in ("http", "https") and rest else ""


def read_tags(given: Any) -> Iterator[tuple[str, str]]:
    """Pairs of an object, of a list of "key:value", or of objects with a name and a value."""
    if isinstance(given, str):
        given = given.split(",")
    if isinstance(given, dict):
        for key, value in given.items():
            if key and isinstance(value, str | int | float):
                yield key, str(value)
    elif isinstance(given, list):
        for tag in given:
            if isinstance(tag, str) and (match := _TAG.fullmatch(tag.strip())):
                yield match[1], match[2].strip()
            elif isinstance(tag, dict):
                name = look_up(tag, "tag|key|name")
                if name and (value := look_up(tag, "value")):
                    yield name, value
