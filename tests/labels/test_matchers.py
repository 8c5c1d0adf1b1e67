"""Matchers: both grammars over Alertmanager's own table, what they match, how they print."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.labels.matchers import (
    BadMatcher,
    Matcher,
    all_match,
    matcher_sort_key,
    parse_matcher,
    parse_matchers,
)
from tests.support.cases import ALERTMANAGER

CASES = json.loads((ALERTMANAGER / "matchers.json").read_text("utf-8"))["cases"]


def case_id(case: dict[str, Any]) -> str:
    return f"{case['mode']}-{case['kind']}-{case['input']!r}"


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if "expect" in case and "refused_as_api_filter" not in case],
    ids=case_id,
)
def test_a_matcher_reads_as_in_alertmanager(case: dict[str, Any]) -> None:
    text, mode = case["input"], case["mode"]
    matchers = parse_matchers(text, mode) if case["kind"] == "list" else [parse_matcher(text, mode)]
    assert matchers == [Matcher(**wanted) for wanted in case["expect"]]
    if "rendered" in case:
        assert [str(matcher) for matcher in sorted(matchers, key=matcher_sort_key)] == case[
            "rendered"
        ]


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.get("error") or "refused_as_api_filter" in case],
    ids=case_id,
)
def test_what_alertmanager_refuses_is_refused(case: dict[str, Any]) -> None:
    parse = parse_matchers if case["kind"] == "list" else parse_matcher
    with pytest.raises(BadMatcher):
        parse(case["input"], case["mode"])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("foo", "expected one of .* at column 4"),
        ("=1", "expected a label name at column 1"),
        ('""=1', "the label name is empty"),
        ('a=~"["', "bad regular expression"),
        ('"a b"="\\q"', "unknown escape"),
        ("{a=", "expected a value"),
        ("a=\ud800", "not valid UTF-8"),
    ],
)
def test_a_refusal_says_what_is_wrong(text: str, reason: str) -> None:
    with pytest.raises(BadMatcher, match=reason):
        parse_matchers(text, "utf8")


def test_one_matcher_is_written_without_braces() -> None:
    with pytest.raises(BadMatcher, match="without braces"):
        parse_matcher('{a="1"}')


@pytest.mark.parametrize(
    ("text", "value", "holds"),
    [
        ('h=~"web"', "web", True),
        ('h=~"web"', "web1", False),
        ('h=~"a|b"', "ab", False),
        ('h=~"(?i)DB-[0-9]+"', "db-7", True),
        ('h=~".{2}"', "东京", True),
        ('h=~"."', "\n", False),
        ('h=~"\\\\d"', "٣", False),
        ('h=~"\\\\p{L}+"', "Größe", True),
        ('h!~"web.*"', "web1", False),
        ('h!~"web.*"', "db", True),
        ('h="Zürich"', "Zu\u0308rich", False),
        ('h!=""', "x", True),
        ('h=~"x{300}"', "x" * 300, True),
        ('h=~"x{300}"', "x" * 299, False),
    ],
)
def test_a_matcher_matches_as_re2_does(text: str, value: str, holds: bool) -> None:
    assert parse_matcher(text).matches({"h": value}) is holds


@pytest.mark.parametrize(
    ("text", "holds"),
    [('x=""', True), ('x!=""', False), ('x=~".*"', True), ('x=~".+"', False), ('x!~".+"', True)],
)
def test_an_absent_label_counts_as_empty(text: str, holds: bool) -> None:
    assert parse_matcher(text).matches({"other": "1"}) is holds
    assert parse_matcher(text).matches({"x": ""}) is holds


def test_all_matchers_must_hold_and_none_at_all_hold_always() -> None:
    matchers = parse_matchers('a="1", b!="2"')
    assert all_match(matchers, {"a": "1"})
    assert not all_match(matchers, {"a": "1", "b": "2"})
    assert all_match([], {})


def test_a_bad_regular_expression_cannot_become_a_matcher(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(BadMatcher, match="regular expression"):
        Matcher("a", "=~", "(?=x)")
    assert capfd.readouterr() == ("", "")


def test_matchers_sort_by_name_then_value_then_operator() -> None:
    matchers = parse_matchers('b="1", a!~"1", a=~"1", a!="1", a="1", a="0"')
    assert [str(matcher) for matcher in sorted(matchers, key=matcher_sort_key)] == [
        'a="0"',
        'a="1"',
        'a!="1"',
        'a=~"1"',
        'a!~"1"',
        'b="1"',
    ]


def test_a_name_with_reserved_characters_prints_quoted() -> None:
    assert str(Matcher("foo bar", "=", 'x\t"y"\x01')) == '"foo bar"="x\\t\\"y\\"\\x01"'
    assert str(Matcher("foo.bar", "=", "x\ty")) == 'foo.bar="x\ty"'


@given(st.text(min_size=1), st.sampled_from(["=", "!="]), st.text())
def test_a_printed_matcher_reads_back_as_itself(name: str, op: Any, value: str) -> None:
    matcher = Matcher(name, op, value)
    assert parse_matcher(str(matcher)) == parse_matcher(str(matcher), "utf8") == matcher


@given(st.text(alphabet='ab=~!{},"\\n \t\u2003é'))
def test_any_text_is_either_read_or_refused_with_a_reason(text: str) -> None:
    for parse in (parse_matchers, parse_matcher):
        try:
            parse(text)
        except BadMatcher as error:
            assert len(str(error)) > len(repr(text))
