"""Words that are put together before it is known who reads them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Union

from amproxy.text import Texts

Value = Union[str, int, "People", "Phrase", tuple["Phrase", ...]]


class People(NamedTuple):
    """Users by their names in the file, "" for one of whom it is not known; none = nobody."""

    names: tuple[str, ...]


class Phrase(NamedTuple):
    """A text by its key, and what goes into its places: words as they are, people, or more phrases; several are listed."""

    key: str
    values: Mapping[str, Value] = {}


def plain(phrase: Phrase, t: Texts, called: Callable[[str], str] = str) -> str:
    """What it says in a language, as text without markup. called: how a user is called; by default as in the file."""
    return t.plain(phrase.key, **{name: _said(value, t, called) for name, value in phrase.values.items()})


def _said(value: Value, t: Texts, called: Callable[[str], str]) -> str | int:
    match value:
        case int():
            return value  # the texts may have plural forms
        case People():
            return ", ".join(called(name) if name else t.plain("page.somebody") for name in value.names) or t.plain("ahead.nobody")
        case Phrase():
            return plain(value, t, called)
        case tuple():
            return ", ".join(plain(one, t, called) for one in value)
        case _:
            return str(value)
