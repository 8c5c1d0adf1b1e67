"""The texts of all pages, one TOML file a language, and phrases without a language yet. Pure.

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
from typing import Final, NamedTuple, Union

from markupsafe import Markup

from amproxy.clock import rfc3339, utc

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

    def __init__(self, language: str, entries: Mapping[str, TextEntry]) -> None:
        self.language = language
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
def load_texts(language: str) -> Texts:
    """The texts of one of LANGUAGES."""
    return Texts(language, load_entries(language))


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


PhraseValue = Union[str, int, "PeopleNames", "Moment", "Phrase", tuple["Phrase", ...]]


class PeopleNames(NamedTuple):
    """Users by their names in the file, "" for an unknown one; () = nobody."""

    names: tuple[str, ...]


class Moment(NamedTuple):
    """A time, shown on its reader's clock."""

    at: float  # Unix seconds


class Phrase(NamedTuple):
    """A text's key and its values: plain words, people, or phrases; a tuple becomes a list.

    The steps of a policy and the like are put together before the reader's language is known.
    """

    key: str
    values: Mapping[str, PhraseValue] = {}

    def __str__(self) -> str:
        return in_english(self)


def in_english(phrase: Phrase) -> str:
    """A phrase as it stands in logs, in terminals, and in answers of the API."""
    return render_phrase(phrase, load_texts(DEFAULT_LANGUAGE))


def utc_text(at: float) -> str:
    """A time with its zone, for a reader whose clock is unknown: "2026-01-05 09:00 UTC"."""
    return f"{utc(at):%Y-%m-%d %H:%M} UTC"


def render_phrase(
    phrase: Phrase,
    t: Texts,
    full_name: Callable[[str], str] = str,
    moment: Callable[[float], str] = utc_text,
) -> str:
    """Render a phrase as text without markup.

    full_name: of a user; by default as in the file. moment: a time's text on the reader's clock.
    """

    def rendered(value: PhraseValue) -> str | int:
        match value:
            case int():
                return value  # not as text: it may choose a plural form
            # before tuple(): people, moments and phrases are tuples as well
            case PeopleNames():
                names = [full_name(name) if name else t.plain("page.somebody") for name in value[0]]
                return ", ".join(names) or t.plain("forecast.nobody")
            case Moment():
                return moment(value.at)
            case Phrase():
                return render_phrase(value, t, full_name, moment)
            case tuple():
                return ", ".join(render_phrase(one, t, full_name, moment) for one in value)
            case _:
                return str(value)

    return t.plain(phrase.key, **{name: rendered(value) for name, value in phrase.values.items()})


def phrase_code(phrase: Phrase) -> str:
    """The key of a phrase without its section: what a program distinguishes refusals by."""
    return phrase.key.partition(".")[2]


def phrase_arguments(phrase: Phrase) -> dict[str, object]:
    """The values of a phrase for a program: names in lists, times as RFC 3339, phrases as codes."""

    def plain(value: PhraseValue) -> object:
        match value:
            case PeopleNames():
                return list(value.names)
            case Moment():
                return rfc3339(value.at)
            case Phrase():
                return {"code": phrase_code(value), "arguments": phrase_arguments(value)}
            case tuple():
                return [plain(one) for one in value]
            case _:
                return value

    return {name: plain(value) for name, value in phrase.values.items()}


def as_sentence(text: str) -> str:
    """Return words as a sentence: a capital letter at its beginning, one full stop at its end."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""
