"""The texts of amproxy, one TOML file a language, and phrases without a language yet. Pure.

A phrase is a code with its arguments: a reason, a refusal, a step of a policy. It is put into words
where its reader's language and clock are known; `str()` of it is English on the clock of UTC.

`en.toml` is the reference; other languages have the same keys. A value is a text with
{placeholders}, or a table of plural forms chosen by `n`. Texts may contain markup; values are
escaped.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final, Union

import msgspec
from markupsafe import Markup

from amproxy.text.formats import DEFAULT_FORMAT, TimeFormat

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
    """The texts of one language: `t("now.open", n=3)`."""

    def __init__(
        self, language: str, entries: Mapping[str, TextEntry], times: TimeFormat = DEFAULT_FORMAT
    ) -> None:
        self.language, self.times = language, times
        self._entries, self._form = entries, PLURAL_FORMS[language][0]

    def __call__(self, key: str, /, **values: object) -> Markup:
        """The text of a key with its values. Raises KeyError for an unknown key: a defect."""
        text = self._entry(key, values)
        return Markup(text).format(**values)  # noqa: S704  # our text; `format` escapes the values

    def plain(self, key: str, /, **values: object) -> str:
        """The same without escaping, for a title or JSON; the text must contain no markup."""
        return self._entry(key, values).format(**values)

    def _entry(self, key: str, values: Mapping[str, object]) -> str:
        entry = self._entries[key]
        if isinstance(entry, str):
            return entry
        n = values["n"]
        assert isinstance(n, int)
        return entry[self._form(n)]


@lru_cache
def load_texts(language: str, times: TimeFormat = DEFAULT_FORMAT) -> Texts:
    """The texts of one of LANGUAGES, for readers who write times in this way."""
    return Texts(language, load_entries(language), times)


@lru_cache
def load_entries(language: str) -> dict[str, TextEntry]:
    """All entries of a language's file: "section.name" → entry."""
    tables = tomllib.loads((TEXT_FOLDER / f"{language}.toml").read_text("utf-8"))
    return {
        f"{section}.{name}": entry
        for section, names in tables.items()
        for name, entry in names.items()
    }


def choose_language(chosen: str, accepted: str) -> str:
    """The language of a reader: their choice, else the first one that their browser accepts.

    accepted: the header Accept-Language; its order counts, its q values do not.
    """
    tags = [tag.partition(";")[0].strip() for tag in accepted.split(",")]
    candidates = [chosen, *(tag.partition("-")[0].lower() for tag in tags)]
    return next((language for language in candidates if language in LANGUAGES), DEFAULT_LANGUAGE)


class PeopleNames(msgspec.Struct, frozen=True, tag="people", omit_defaults=True):
    """Users by their names in the file, "" for an unknown one; () = nobody."""

    names: tuple[str, ...]
    # As the file had them when it was stored, for those who have left it since; () = not stored.
    full_names: tuple[str, ...] = ()


class Moment(msgspec.Struct, frozen=True, tag="time"):
    """A time, which every reader sees on a clock of their own."""

    at: float  # Unix seconds


class Length(msgspec.Struct, frozen=True, tag="length"):
    """A duration."""

    seconds: float


class ScheduleName(msgspec.Struct, frozen=True, tag="schedule"):
    """A schedule of the file."""

    name: str


class IncidentNumber(msgspec.Struct, frozen=True, tag="incident"):
    """An incident by its number."""

    number: int


PhraseValue = Union[
    str,
    int,
    PeopleNames,
    Moment,
    Length,
    ScheduleName,
    IncidentNumber,
    "Phrase",
    tuple[Union["Phrase", str], ...],
]


class Phrase(msgspec.Struct, frozen=True, tag="phrase", omit_defaults=True):
    """A text's key and its values; a tuple becomes a list.

    What is decided or stored before its reader is known is put together so: amproxy.text.render
    puts it into words. The keys are the codes of the API, so they stay.
    """

    key: str
    values: Mapping[str, PhraseValue] = {}

    def __str__(self) -> str:
        # Only here: the renderer is made of what this module defines.
        from amproxy.text.render import in_english

        return in_english(self)

    def __hash__(self) -> int:
        return hash((self.key, frozenset(self.values.items())))


# A phrase; or a text from outside, or the sentence of a record of an earlier version.
Words = Phrase | str


def phrase(key: str, /, **values: PhraseValue) -> Phrase:
    """A phrase with its values by name."""
    return Phrase(key, values)


def as_sentence(text: str) -> str:
    """Return words as a sentence: a capital letter at its beginning, one full stop at its end."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""
