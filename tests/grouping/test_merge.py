"""Merging of an alert that is posted again, and the order of alerts."""

from __future__ import annotations

import json
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.grouping.dedup import SORTED_AT_ONCE, merge_alerts, sort_alerts
from amproxy.model import Alert
from tests.support.cases import ALERTMANAGER

TABLE = json.loads((ALERTMANAGER / "alert_merge_and_order.json").read_text("utf-8"))
NOW = 1_767_600_000_000_000_000


def alert(
    starts: int, ends: int | None, *, by_timeout: bool = False, summary: str = "", offset: int = 0
) -> Alert:
    """Seconds from now; ends None = no end."""
    return Alert(
        fingerprint="f",
        labels={"alertname": "Disk"},
        annotations={"summary": summary},
        starts_ns=NOW + starts * 10**9,
        ends_ns=0 if ends is None else NOW + ends * 10**9,
        updated_ns=NOW,
        starts_offset=offset,
        ends_offset=offset,
        timeout=by_timeout,
    )


@pytest.mark.parametrize("case", TABLE["merge"]["cases"], ids=lambda case: case["name"])
def test_posts_merge_as_in_alertmanager(case: dict[str, Any]) -> None:
    older, newer, wanted = (
        alert(post["starts"], post["ends"], by_timeout=post["by_timeout"])
        for post in (case["older"], case["newer"], case["merged"])
    )
    assert merge_alerts(older, newer) == wanted


def test_the_newer_annotations_stay_and_offsets_go_with_their_times() -> None:
    merged = merge_alerts(alert(-60, 180, summary="old", offset=120), alert(0, 120, summary="new"))
    assert merged == Alert(
        fingerprint="f",
        labels={"alertname": "Disk"},
        annotations={"summary": "new"},
        starts_ns=NOW - 60 * 10**9,
        starts_offset=120,
        ends_ns=NOW + 180 * 10**9,
        ends_offset=120,
        updated_ns=NOW,
    )


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        (alert(-300, -200), alert(-100, 100)),  # a new period of firing
        (alert(-300, 0), alert(0, 100)),  # the new one starts at the very end
        (alert(-60, 120), alert(-60, 300)),  # a heartbeat with a later end
        (alert(-60, None), alert(-60, None)),
        (alert(-60, 120), alert(-60, None)),
    ],
)
def test_posts_that_do_not_overlap_replace_each_other(older: Alert, newer: Alert) -> None:
    assert merge_alerts(older, newer) == newer


def test_of_two_resolutions_the_later_end_wins() -> None:
    assert merge_alerts(alert(-300, -10), alert(-200, -50)).ends_ns == NOW - 10 * 10**9


def test_a_resolution_ends_an_alert_that_had_no_end() -> None:
    assert merge_alerts(alert(-300, None), alert(-300, -1)).resolved(NOW)


def test_an_end_that_lies_ahead_ends_an_alert_that_had_no_end() -> None:
    """The sender's clock may be ahead of ours."""
    assert merge_alerts(alert(-300, None), alert(-300, 2)).ends_ns == NOW + 2 * 10**9


def labelled(labels: dict[str, str]) -> Alert:
    return Alert(fingerprint="", labels=labels, starts_ns=NOW)


@pytest.mark.parametrize(
    "case", TABLE["order"]["cases"], ids=lambda case: str(case["order_by_index"])
)
def test_alerts_come_in_the_order_of_alertmanager(case: dict[str, Any]) -> None:
    found = [one.labels for one in sort_alerts(map(labelled, case["alerts"]))]
    assert found == [case["alerts"][index] for index in case["order_by_index"]]


@pytest.mark.parametrize(
    "ordered",
    [
        [
            {"job": "a", "instance": "2"},
            {"job": "a", "instance": "3", "x": "1"},
            {"job": "a"},
            {"job": "b", "instance": "1"},
            {"instance": "0"},
            {"a": "1"},
        ],
        [{"z": "9"}, {"a": "1", "b": "1"}, {"a": "1", "b": "2"}, {"a": "2", "b": "0"}],
        [{"b": "1"}, {"ab": "1"}, {"a": "1"}],  # who lacks the smaller name comes first
    ],
)
def test_fewer_labels_come_first_then_names_and_values(ordered: list[dict[str, str]]) -> None:
    for mixed in permutations(ordered):
        assert [one.labels for one in sort_alerts(map(labelled, mixed))] == ordered


def test_thousands_are_sorted_in_parts_and_come_in_one_order() -> None:
    ordered = [{"job": "a", "instance": f"{number:05}"} for number in range(2 * SORTED_AT_ONCE + 1)]
    mixed = ordered[1::2] + ordered[::2]
    assert [one.labels for one in sort_alerts(map(labelled, mixed))] == ordered
    assert sort_alerts([]) == []


def before(one: dict[str, str], other: dict[str, str]) -> bool:
    """Over the sorted union of names, at the first difference: the smaller value first, an absent label before any."""
    name = min(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
    return name not in one or (name in other and one[name] < other[name])


small = st.dictionaries(
    st.text("abc", min_size=1, max_size=3), st.sampled_from(["1", "2"]), min_size=2, max_size=2
)


@given(small, small)
def test_sets_of_the_same_size_compare_over_the_union_of_their_names(
    one: dict[str, str], other: dict[str, str]
) -> None:
    if one != other:
        first = sort_alerts([labelled(one), labelled(other)])[0].labels
        assert first == (one if before(one, other) else other)
