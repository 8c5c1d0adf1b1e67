"""What pages say: every language has every text, with the same places in it, and every text is used."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest

import amproxy.web
from amproxy.labels import intervals
from amproxy.text import (
    DEFAULT_LANGUAGE,
    LANGUAGES,
    PLURAL_FORMS,
    choose_language,
    load_entries,
    load_texts,
)
from tests.support.web.website import Site

HERE = Path(amproxy.web.__file__).parent
OTHERS = [language for language in LANGUAGES if language != DEFAULT_LANGUAGE]
MADE = re.compile(
    rf"""["']((?:{"|".join({key.partition(".")[0] for key in load_entries(DEFAULT_LANGUAGE)})})\.(?!html\b|yaml\b)[a-z_]*)(?:\{{[^{{}}"']+\}})?["']"""
)


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("language", OTHERS)
def test_a_language_has_the_texts_of_the_first_with_the_same_places(language: str) -> None:
    first, other = load_entries(DEFAULT_LANGUAGE), load_entries(language)
    assert list(first) == list(other)
    for key, entry in first.items():
        translated = other[key]
        assert isinstance(entry, str) == isinstance(translated, str), key
        if isinstance(entry, str) and isinstance(translated, str):
            assert places(entry) == places(translated), key
        elif not isinstance(entry, str) and not isinstance(translated, str):
            assert (
                set(translated) == PLURAL_FORMS[language][1]
                and set(entry) == PLURAL_FORMS[DEFAULT_LANGUAGE][1]
            ), key
            assert set().union(*map(places, translated.values())) == set().union(
                *map(places, entry.values())
            ), key


def test_every_text_that_a_page_names_is_there_and_every_text_is_named() -> None:
    known, sources = (
        set(load_entries(DEFAULT_LANGUAGE)),
        [*HERE.rglob("*.html"), *HERE.rglob("*.py"), *(HERE.parent / "text").glob("*.py")],
    )
    named = {key for path in sources for key in MADE.findall(path.read_text("utf-8"))}
    # Elsewhere keys of phrases stand among other texts with a dot.
    elsewhere = {
        key for path in HERE.parent.rglob("*.py") for key in MADE.findall(path.read_text("utf-8"))
    }
    named |= {key for key in elsewhere if any(one.startswith(key) for one in known)}
    whole, beginnings = (
        {key for key in named if key in known},
        tuple(key for key in named if key not in known),
    )
    # A key that is put together is named by its beginning: t("state." ~ name).
    assert all(any(key.startswith(beginning) for key in known) for beginning in beginnings)
    assert {key for key in known - whole if not key.startswith(beginnings)} == set()


@pytest.mark.parametrize(
    ("n", "text"),
    [
        (1, "Открыт 1 "),
        (2, "Открыто 2 "),
        (5, "Открыто 5 "),
        (11, "11 инцидентов"),
        (21, "Открыт 21"),
    ],
)
def test_russian_counts_in_three_forms(n: int, text: str) -> None:
    assert text in load_texts("ru")("page.open_now", n=n)


def test_what_goes_into_a_text_is_escaped() -> None:
    assert "&lt;script&gt;" in load_texts("en")("state.resolved_by", user="<script>", at="now")


@pytest.mark.parametrize(
    ("asked", "accepted", "language"),
    [
        ("", "ru-RU,ru;q=0.9,en;q=0.8", "ru"),
        ("en", "ru", "en"),
        ("", "", "en"),
        ("xx", "de,fr", "en"),
        ("", "de, en;q=0.5", "en"),
    ],
)
def test_a_reader_gets_the_language_that_was_chosen_or_that_the_browser_accepts(
    asked: str, accepted: str, language: str
) -> None:
    assert choose_language(asked, accepted) == language


async def test_a_browser_that_reads_russian_gets_the_page_in_russian_and_may_choose_english(
    site: Site,
) -> None:
    russian = await site.client.get("/", headers={"Accept-Language": "ru"})
    assert '<html lang="ru">' in russian.text and "Инциденты" in russian.text
    chosen = await site.client.post("/language", data={"language": "en", "back": "/incidents"})
    assert chosen.status_code == 303 and chosen.headers["location"] == "/incidents"
    assert (
        '<html lang="en">' in (await site.client.get("/", headers={"Accept-Language": "ru"})).text
    )


async def test_a_reader_sees_the_clock_of_their_region_and_may_choose_another(site: Site) -> None:
    american = {"Accept-Language": "en-US,en;q=0.9"}

    async def clock_of_alice() -> str:
        page = (await site.client.get("/people", headers=american)).text
        return str(re.findall(r"(\d+:\d\d(?:.[AP]M)?) in ", page)[0])

    assert re.fullmatch(r"\d+:\d\d.[AP]M", await clock_of_alice())
    chosen = await site.client.post("/clock", data={"clock": "24", "back": "/people"})
    assert (chosen.status_code, chosen.headers["location"]) == (303, "/people")
    assert re.fullmatch(r"\d\d:\d\d", await clock_of_alice())
    refused = await site.client.post("/clock", data={"clock": "13", "back": "//evil"})
    assert refused.headers["location"] == "/" and "set-cookie" not in refused.headers


def test_each_fault_of_a_time_interval_has_its_text() -> None:
    """Their keys are put together, so that the scan above sees their beginning only."""
    source = Path(intervals.__file__).read_text("utf-8")
    raised = set(re.findall(r'BadInterval\(\s*"(\w+)"', source))
    raised |= set(re.findall(r'_parse_number\(word, "(\w+)"\)', source))
    known = {key for key in load_entries(DEFAULT_LANGUAGE) if key.startswith("problem.interval_")}
    assert {f"problem.interval_{fault}" for fault in raised} == known
