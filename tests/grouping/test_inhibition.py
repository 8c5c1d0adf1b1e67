"""Inhibition over Alertmanager's table, with the look-up by keys in between."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.config.structs import InhibitRule
from amproxy.grouping.inhibition import (
    InhibitionIndex,
    InhibitionSource,
    find_inhibiting_alert,
    firing_sources,
)
from amproxy.labels.fingerprint import fingerprint
from amproxy.labels.matchers import Matcher, all_match, parse_matchers
from tests.support.cases import ALERTMANAGER

CASES = json.loads((ALERTMANAGER / "inhibit.json").read_text("utf-8"))["cases"]
NOW = 1_767_600_000_000_000_000


def side(rule: dict[str, Any], name: str) -> tuple[Matcher, ...]:
    old = [Matcher(label, "=", value) for label, value in rule.get(f"{name}_match", {}).items()]
    old += [
        Matcher(label, "=~", value) for label, value in rule.get(f"{name}_match_re", {}).items()
    ]
    return (
        *old,
        *(matcher for text in rule.get(f"{name}_matchers", []) for matcher in parse_matchers(text)),
    )


def rules(texts: list[dict[str, Any]]) -> list[InhibitRule]:
    return [
        InhibitRule(
            source_matchers=side(rule, "source"),
            target_matchers=side(rule, "target"),
            equal=tuple(rule.get("equal", ())),
        )
        for rule in texts
    ]


def ask(
    rules: Sequence[InhibitRule],
    alerts: Sequence[tuple[dict[str, str], int]],
    target: dict[str, str],
) -> str | None:
    """What mutes a target while these alerts are stored, each with its end in nanoseconds; the target is stored too."""
    stored: dict[str, list[InhibitionSource]] = defaultdict(list)
    index = InhibitionIndex(rules)
    for labels, ends_ns in [*alerts, (target, 0)]:
        for key, two_sided in index.source_keys(labels):
            stored[key].append(InhibitionSource(fingerprint(labels), two_sided, ends_ns))
    firing = {key: firing_sources(found, NOW) for key, found in stored.items()}
    return find_inhibiting_alert(index.target_keys(target), firing)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_an_alert_is_muted_as_in_alertmanager(case: dict[str, Any]) -> None:
    alerts = [
        (alert["labels"], NOW if alert["state"] == "resolved" else NOW + 1)
        for alert in case["alerts"]
    ]
    muting = ask(rules(case["inhibit_rules"]), alerts, case["target"])
    assert (muting is not None) is case["muted"]
    if len(case["alerts"]) == 1 and muting:
        assert muting == fingerprint(case["alerts"][0]["labels"])


def test_an_alert_without_end_mutes() -> None:
    [rule] = rules([{"source_matchers": ["s=1"], "target_matchers": ["t=1"]}])
    assert ask([rule], [({"s": "1"}, 0)], {"t": "1"}) == fingerprint({"s": "1"})


def test_two_alerts_that_match_both_sides_do_not_mute_each_other() -> None:
    both = rules(
        [
            {
                "source_matchers": ["severity=~warning|critical"],
                "target_matchers": ["severity=~warning|critical"],
                "equal": ["cluster"],
            }
        ]
    )
    assert (
        ask(
            both,
            [({"severity": "critical", "cluster": "a"}, 0)],
            {"severity": "warning", "cluster": "a"},
        )
        is None
    )


def test_a_one_sided_source_does_not_hide_behind_a_two_sided_one() -> None:
    rule = rules(
        [
            {
                "source_matchers": ["severity=~warning|critical"],
                "target_matchers": ["severity=warning"],
            }
        ]
    )
    alerts = [({"severity": "warning", "n": str(number)}, 0) for number in range(5)]
    critical = {"severity": "critical"}
    assert ask(rule, [*alerts, (critical, 0)], {"severity": "warning", "n": "x"}) == fingerprint(
        critical
    )


def test_values_cannot_be_shifted_between_equal_labels() -> None:
    rule = rules([{"source_matchers": ["s=1"], "target_matchers": ["t=1"], "equal": ["a", "b"]}])
    assert (
        ask(rule, [({"s": "1", "a": 'x","', "b": "y"}, 0)], {"t": "1", "a": "x", "b": '","y'})
        is None
    )


def test_rules_with_the_same_equal_labels_are_kept_apart() -> None:
    two = rules(
        [
            {"source_matchers": ["s=1"], "target_matchers": ["t=1"], "equal": ["c"]},
            {"source_matchers": ["s=2"], "target_matchers": ["t=2"], "equal": ["c"]},
        ]
    )
    assert ask(two, [({"s": "1", "c": "x"}, 0)], {"t": "2", "c": "x"}) is None


def test_keys_do_not_depend_on_the_order_in_the_file() -> None:
    first, second = rules(
        [
            {"source_matchers": ["s=1", "u=1"], "target_matchers": ["t=1"], "equal": ["c", "d"]},
            {
                "source_matchers": ["u=1", "s=1"],
                "target_matchers": ["t=1"],
                "equal": ["d", "c", "c"],
            },
        ]
    )
    labels = {"s": "1", "u": "1", "c": "x"}
    keys = [InhibitionIndex([rule]).source_keys(labels) for rule in (first, second)]
    assert keys[0] == keys[1] != []


alerts = st.dictionaries(st.sampled_from(["s", "t", "e"]), st.sampled_from(["1", "2"]))


@given(st.lists(alerts, max_size=5), alerts, st.sampled_from([[], ["e"], ["s", "e"]]))
def test_the_look_up_finds_what_comparing_every_pair_finds(
    sources: list[dict[str, str]], target: dict[str, str], equal: list[str]
) -> None:
    rule = rules([{"source_matchers": ["s=1"], "target_matchers": ["t=1"], "equal": equal}])

    def mutes(source: dict[str, str]) -> bool:
        both = source.get("t") == "1" and target.get("s") == "1"
        return (
            source.get("s") == "1"
            and target.get("t") == "1"
            and not both
            and all(source.get(name) == target.get(name) for name in equal)
        )

    found = ask(rule, [(source, 0) for source in sources], target)
    assert (found is not None) == any(map(mutes, sources))


class Asked(dict[str, str]):
    """Labels that count how often somebody looks at one."""

    number = 0

    def get(self, *words: Any) -> Any:
        self.number += 1
        return super().get(*words)


def test_an_alert_is_held_against_few_of_many_rules() -> None:
    index = InhibitionIndex(
        rules(
            [
                {
                    "source_matchers": [f"alertname=Down{number}"],
                    "target_matchers": ["severity=warning", f"area=a{number}"],
                    "equal": ["cluster"],
                }
                for number in range(500)
            ]
        )
    )
    labels = Asked({"severity": "warning", "area": "a7", "alertname": "Disk", "cluster": "x"})
    assert len(index.target_keys(labels)) == 1
    assert index.source_keys(labels) == []
    assert labels.number < 20
    unlike = Asked({"severity": "critical", "area": "a7"})
    assert not index.may_mute(unlike) and index.may_mute({"severity": "warning"})
    assert unlike.number < 20


_sides = st.lists(st.sampled_from(["s=1", "s=2", "t=1", "t!=1", "e=~1|2", 't=""']), max_size=3)


@given(st.lists(st.tuples(_sides, _sides), max_size=6), alerts)
def test_the_rules_of_an_alert_are_those_that_match_in_the_order_of_the_file(
    sides: list[tuple[list[str], list[str]]], labels: dict[str, str]
) -> None:
    found = rules(
        [{"source_matchers": source, "target_matchers": target} for source, target in sides]
    )
    each = [InhibitionIndex([rule]) for rule in found]
    index = InhibitionIndex(found)
    assert index.target_keys(labels) == [key for one in each for key in one.target_keys(labels)]
    assert index.source_keys(labels) == [key for one in each for key in one.source_keys(labels)]
    matching = [rule for rule in found if all_match(rule.target_matchers, labels)]
    assert len(index.target_keys(labels)) == len(matching)
    assert index.may_mute(labels) or not matching
