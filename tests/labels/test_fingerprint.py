"""Fingerprints, against those that Alertmanager shows."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.labels.fingerprint import fingerprint
from tests.support.cases import ALERTMANAGER

CASES = json.loads((ALERTMANAGER / "fingerprints.json").read_text("utf-8"))["cases"]


@pytest.mark.parametrize(
    "case", [case for case in CASES if case["status"] == 200], ids=lambda case: case["fingerprint"]
)
def test_a_fingerprint_is_the_one_that_alertmanager_shows(case: dict[str, Any]) -> None:
    assert fingerprint(case["labels_stored"]) == case["fingerprint"]


def test_the_empty_set_has_the_start_value() -> None:
    assert fingerprint({}) == "cbf29ce484222325"


def by_definition(labels: dict[str, str]) -> str:
    """FNV-1a as it is defined, byte by byte."""
    value = 0xCBF29CE484222325
    for pair in sorted(labels.items()):
        for byte in b"".join(text.encode() + b"\xff" for text in pair):
            value = (value ^ byte) * 0x100000001B3 % 2**64
    return f"{value:016x}"


@given(st.dictionaries(st.text(), st.text()))
def test_it_is_the_hash_of_the_definition(labels: dict[str, str]) -> None:
    assert fingerprint(labels) == by_definition(labels)


@given(st.dictionaries(st.text(), st.text()))
def test_the_order_of_labels_does_not_matter(labels: dict[str, str]) -> None:
    assert fingerprint(dict(reversed(labels.items()))) == fingerprint(labels)
