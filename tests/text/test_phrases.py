"""Reasons and events: stored as values, put into words for each reader."""

from __future__ import annotations

import re
import string
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from markupsafe import Markup

import amproxy
from amproxy.labels import matchers
from amproxy.labels.matchers import BadMatcher
from amproxy.model import END_REASONS, Incident, Page, RecordedShift, TimelineEntry
from amproxy.text import (
    LANGUAGES,
    IncidentNumber,
    Length,
    Moment,
    PeopleNames,
    Phrase,
    PhraseValue,
    ScheduleName,
    load_entries,
    load_texts,
    phrase,
)
from amproxy.text.problems import matcher_fault
from amproxy.text.render import PhraseRenderer, arguments_of, code_of

NOON = 1767693600.0  # 2026-01-06T10:00:00Z
NAMES = ("Анна Ёлкина", 'Bob "the <b>Bold</b>" Birch', "x y {z} %s", "a, b (via web).")
PACKAGE = Path(amproxy.__file__).parent
ENTRIES = {language: load_entries(language) for language in LANGUAGES}


def link(kind: str, name: str, text: Markup) -> Markup:
    return Markup('<a href="{}/{}">{}</a>').format(kind, name, text)


def renderer(language: str, zone: str = "Europe/Berlin") -> PhraseRenderer:
    return PhraseRenderer(load_texts(language), zone=ZoneInfo(zone), link=link)


def value_of(place: str, name: str) -> PhraseValue:
    """A value for a place of a text, with a name from outside wherever one may stand."""
    if place in ("n", "step", "round", "rounds", "firing", "resolved", "fresh", "count", "first"):
        return 2
    if place in ("by", "person", "people", "taker", "user"):
        return PeopleNames((name,))
    if place in ("at", "until", "due", "start", "end", "then"):
        return Moment(NOON)
    if place in ("length", "within", "after", "hold"):
        return Length(90)
    if place == "schedule":
        return ScheduleName(name)
    return IncidentNumber(7) if place in ("incident", "into") else name


# The first argument of a call, where it is a text. Each process of a parallel run looks for all of
# them while it collects the tests: to parse the code would take seconds.
CALL = re.compile(r'\b[pP]hrase\(\s*"([^"]+)"')


def codes() -> set[str]:
    """The keys of all phrases that amproxy makes, from its code."""
    return {
        code for path in PACKAGE.rglob("*.py") for code in CALL.findall(path.read_text("utf-8"))
    }


def places(key: str) -> set[str]:
    entry = ENTRIES["en"][key]
    texts = [entry] if isinstance(entry, str) else entry.values()
    return {name for text in texts for _, name, _, _ in string.Formatter().parse(text) if name}


# Of the sections whose phrases are stored, or are handed on inside.
SECTIONS = (
    *("news", "end", "is", "event", "outcome", "skip", "wait", "hold", "mute", "reason"),
    *("on_call", "why", "card", "simulation", "audit", "press", "failure", "notice"),
    *("calendar", "health", "redis"),
)
CODES = sorted(code for code in codes() if code.partition(".")[0] in SECTIONS)


def test_the_machine_and_all_others_make_phrases() -> None:
    """A scan that finds nothing would prove nothing."""
    assert len(CODES) > 150
    assert {"event.acknowledged", "on_call.layer", "why.entry", "mute.silence"} <= set(CODES)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", NAMES)
def test_every_code_has_words_that_keep_names_as_they_are(language: str, name: str) -> None:
    words = renderer(language)
    for code in CODES:
        entry = str(ENTRIES[language][code])
        made = Phrase(
            code,
            {
                # what is shown in quotes is a text
                place: name if f"{{{place}!r}}" in entry else value_of(place, name)
                for place in places(code)
            },
        )
        text, markup = words.text(made), words.markup(made)
        # A brace of the text itself is written twice: `${{NAME}}`.
        assert text and ("{{" in entry or "{" not in text.replace(name, "")), code
        assert "<b>" not in markup and "Phrase(" not in text, code
        if any(
            isinstance(value, PeopleNames | str | ScheduleName) for value in made.values.values()
        ):
            assert name in text and str(Markup.escape(name)) in markup, code


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("reason", END_REASONS)
def test_every_end_of_an_incident_has_words_on_its_page(language: str, reason: str) -> None:
    text = load_texts(language)(f"state.resolved_{reason}", at="10:00", user="ann")
    assert "10:00" in text


@pytest.mark.parametrize("name", NAMES)
def test_people_schedules_and_incidents_are_links_on_pages(name: str) -> None:
    what = phrase(
        "event.absorbed", incident=IncidentNumber(7), title=name, by=PeopleNames((name,)), via="web"
    )
    shown, escaped = renderer("en").markup(what), Markup.escape(name)
    assert '<a href="incident/7"><bdi>#7</bdi></a>' in shown
    assert f'<a href="person/{escaped}"><bdi>{escaped}</bdi></a>' in shown
    shift = phrase("wait.shift", schedule=ScheduleName(name))
    assert f'<a href="schedule/{escaped}">' in renderer("ru").markup(shift)


def test_a_time_is_on_the_clock_of_who_reads_it() -> None:
    what = phrase("event.snoozed", by=PeopleNames(("ann",)), until=Moment(NOON), via="web")
    assert renderer("en").text(what) == "Snoozed by ann until 2026-01-06 11:00 CET (via web)."
    assert "15:30 IST" in renderer("en", "Asia/Kolkata").text(what)
    page = PhraseRenderer(load_texts("ru"), zone=ZoneInfo("UTC"), now=NOON - 60, names_zone=False)
    assert page.text(what) == "Отложен до 10:00, кто: ann (web)."


def test_who_leaves_the_file_keeps_the_name_that_was_stored() -> None:
    what = phrase("event.acknowledged", by=PeopleNames(("ann",), ("Ann Ash",)), via="web")
    assert "by Ann Ash (" in renderer("en").text(what)
    known = PhraseRenderer(load_texts("en"), full_name=lambda name: "Ann Elm")
    assert "by Ann Elm (" in known.text(what)


def test_it_is_stored_and_loaded_as_it_was() -> None:
    what = phrase(
        "event.paging_without",
        step=1,
        people=PeopleNames(NAMES, ("A", "B", "C", "D")),
        why=phrase("reason.on_call", schedule=ScheduleName("x"), why=phrase("on_call.no_layer")),
        not_paged=(phrase("reason.absent", person=PeopleNames(("eve",))),),
    )
    entry = TimelineEntry(at=NOON, kind="step", what=what)
    loaded = msgspec.msgpack.decode(msgspec.msgpack.encode(entry), type=TimelineEntry)
    assert loaded == entry and hash(loaded.what) == hash(what)


def test_programs_get_the_code_and_plain_arguments() -> None:
    what = phrase(
        "event.held",
        reason=phrase("mute.until", at=Moment(NOON)),
        people=PeopleNames(("ann", "bob")),
        length=Length(90),
        incident=IncidentNumber(7),
        names=("a", phrase("on_call.no_layer")),
    )
    assert code_of(what) == "event.held"
    assert arguments_of(what) == {
        "reason": {"code": "mute.until", "arguments": {"at": "2026-01-06T10:00:00.000Z"}},
        "people": ["ann", "bob"],
        "length": 90,
        "incident": 7,
        "names": ["a", {"code": "on_call.no_layer", "arguments": {}}],
    }
    assert (code_of("a sentence"), arguments_of("a sentence")) == (None, None)


@pytest.mark.parametrize("language", LANGUAGES)
def test_sentences_of_an_earlier_version_load_and_show_as_they_are(language: str) -> None:
    """Records as version 0.1 wrote them: fields were sentences."""
    old = "Acknowledged by Ann <i>Ash</i> (via web)."
    encode, decode, words = msgspec.msgpack.encode, msgspec.msgpack.decode, renderer(language)
    entry = decode(encode({"at": 1.0, "kind": "acknowledged", "text": old}), type=TimelineEntry)
    assert words.text(entry.words) == old
    assert words.markup(entry.words) == Markup("<bdi>{}</bdi>").format(old)
    page = decode(
        encode({"id": "p", "channel": "slack", "due": 1.0, "reason": old, "error": "gone"}),
        type=Page,
    )
    assert (words.text(page.reason), words.text(page.error)) == (old, "gone")
    stored = {
        "id": "i",
        "plan": {"name": "main"},
        "started_at": 1.0,
        "held_by": "silenced by ann",
        "waiting_for": "wait 5m",
        "news": old,
        "resolved_by": "policy",
        "chains": [{"user": "ann", "reason": old}],
    }
    incident = decode(encode(stored), type=Incident)
    assert [words.text(one) for one in (incident.held_by, incident.waiting_for, incident.news)] == [
        "silenced by ann",
        "wait 5m",
        old,
    ]
    assert incident.end_reason == "policy"
    shift = decode(encode({"start": 1.0, "end": 2.0, "reason": "layer a b"}), type=RecordedShift)
    assert words.text(shift.reason) == "layer a b"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{a=1}", "braces"),
        ("a=1,b=2", "count"),
        ("a=\ud800", "encoding"),
        ("a=~(", "regex"),
        ('a="\\q"', "escape"),
        ('a="\\777"', "byte"),
        ('a="\\U00110000"', "character"),
        ('a="\\xff"', "quoted_encoding"),
        ('a="\n"', "line_end"),
    ],
)
def test_what_is_wrong_with_a_matcher_is_a_phrase_in_the_words_of_the_error(
    text: str, fault: str
) -> None:
    with pytest.raises(BadMatcher) as raised:
        matchers.parse_matcher(text, "utf8")
    assert raised.value.fault == fault
    words = matcher_fault(raised.value)
    assert str(words.values.get("what", words)) in str(raised.value)


@pytest.mark.parametrize(("text", "fault"), [("a", "form"), ('a="b"c"', "quote")])
def test_what_is_wrong_with_a_matcher_of_old_is_a_phrase_too(text: str, fault: str) -> None:
    with pytest.raises(BadMatcher) as raised:
        matchers.parse_matcher(text, "classic")
    assert raised.value.fault == fault
    assert str(matcher_fault(raised.value)) == str(raised.value)
