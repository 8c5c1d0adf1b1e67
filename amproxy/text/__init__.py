"""All that pages say, in one file a language: `en.toml` is the first language, the others have the same keys.

A value is a text with {places}, or a table of plural forms chosen by `n`. Texts may hold markup; what goes into their places is
escaped.

Words that are put together before it is known who reads them. Pure.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple, Union

from markupsafe import Markup

TEXT_FOLDER: Final = Path(__file__).parent
DEFAULT_LANGUAGE: Final = "en"
LANGUAGES: Final = {"en": "English", "ru": "Русский"}  # each by its own name

TextEntry = str | dict[str, str]


def _english_plural(n: int) -> str:
    return "one" if n == 1 else "other"


def _russian_plural(n: int) -> str:
    if n % 10 == 1 and n % 100 != 11:
        return "one"
    return "few" if n % 10 in (2, 3, 4) and n % 100 not in (12, 13, 14) else "many"


PLURAL_FORMS: Final[dict[str, tuple[Callable[[int], str], frozenset[str]]]] = {
    "en": (_english_plural, frozenset({"one", "other"})),
    "ru": (_russian_plural, frozenset({"one", "few", "many"})),
}


class Texts:
    """What pages say in one language: `t("now.open", n=3)`."""

    def __init__(self, language: str, entries: Mapping[str, TextEntry]) -> None:
        self.language = language
        self._entries, self._form = entries, PLURAL_FORMS[language][0]

    def __call__(self, key: str, /, **values: object) -> Markup:
        """The text of a key, with values in its places. Raises KeyError for an unknown key: a defect."""
        return Markup(self._entry(key, values)).format(**values)  # noqa: S704  # our own text; `format` escapes what goes in

    def plain(self, key: str, /, **values: object) -> str:
        """The same for where no markup goes, such as a title or JSON; the text must hold none."""
        return self._entry(key, values).format(**values)

    def _entry(self, key: str, values: Mapping[str, object]) -> str:
        entry = self._entries[key]
        if isinstance(entry, str):
            return entry
        n = values["n"]
        assert isinstance(n, int)
        return entry[self._form(n)]


@lru_cache
def load_texts(language: str) -> Texts:
    """The texts of one of LANGUAGES."""
    return Texts(language, load_entries(language))


def load_entries(language: str) -> dict[str, TextEntry]:
    """Every key ("section.name") of a language's file."""
    tables = tomllib.loads((TEXT_FOLDER / f"{language}.toml").read_text("utf-8"))
    return {f"{section}.{name}": entry for section, names in tables.items() for name, entry in names.items()}


def choose_language(asked: str, accepted: str) -> str:
    """The language of a reader: the one they asked for, else the first that their browser accepts and there is, else English.

    accepted: the header Accept-Language; its order is taken as its order of preference.
    """
    wanted = [asked, *(part.partition(";")[0].strip().partition("-")[0].lower() for part in accepted.split(","))]
    return next((language for language in wanted if language in LANGUAGES), DEFAULT_LANGUAGE)


PhraseValue = Union[str, int, "PeopleNames", "Phrase", tuple["Phrase", ...]]


class PeopleNames(NamedTuple):
    """Users by their names in the file, "" for one of whom it is not known; none = nobody."""

    names: tuple[str, ...]


class Phrase(NamedTuple):
    """A text by its key, and what goes into its places: words as they are, people, or more phrases; several are listed."""

    key: str
    values: Mapping[str, PhraseValue] = {}


def render_phrase(phrase: Phrase, t: Texts, called: Callable[[str], str] = str) -> str:
    """What it says in a language, as text without markup. called: how a user is called; by default as in the file."""
    return t.plain(phrase.key, **{name: _render_value(value, t, called) for name, value in phrase.values.items()})


def _render_value(value: PhraseValue, t: Texts, called: Callable[[str], str]) -> str | int:
    match value:
        case int():
            return value  # the texts may have plural forms
        case PeopleNames():
            return ", ".join(called(name) if name else t.plain("page.somebody") for name in value.names) or t.plain("ahead.nobody")
        case Phrase():
            return render_phrase(value, t, called)
        case tuple():
            return ", ".join(render_phrase(one, t, called) for one in value)
        case _:
            return str(value)
