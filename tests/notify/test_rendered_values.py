"""What Alertmanager makes of the rendered texts of `details`, `fields` and `payload`."""

from __future__ import annotations

from typing import Any

import pytest

from amproxy.notify.rendered_values import typed_text, typed_tree


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("-0x1F", -31),
        ("0o17", 15),
        ("017", 15),
        ("1_000", 1000),
        ("1.50", 1.5),
        ("2.0", 2),
        ("1e3", 1000),
        ("18446744073709551615", 2**64 - 1),
        ("true", True),
        ("no", False),
        ("null", None),
        ("", None),
        (" ", None),
        ("[1, two]", [1, "two"]),
        ('{"a": {"b": [1.0, "x: y"]}}', {"a": {"b": [1, "x: y"]}}),
        ("a: b", {"a": "b"}),
        ("{1: x, y: z, b: c}", {"b": "c"}),
        ("- 1\n- two\n", [1, "two"]),
        ("a: 1\nb: {c: 1, c: 2}\na: 3", {"a": 3, "b": {"c": 2}}),
        ('"quoted"', "quoted"),
        # texts stay as they are, with what YAML would take out of them
        ("DiskFull on db-1  # really", "DiskFull on db-1  # really"),
        ("'single'", "'single'"),
        ("2026-01-05", "2026-01-05"),
        ("17:00", "17:00"),
        ("two\nlines", "two\nlines"),
        ("a: b: c", "a: b: c"),
        ("{broken", "{broken"),
        (".nan", ".nan"),
        ("\x00", "\x00"),
    ],
)
def test_a_rendered_text_is_the_value_that_it_is_in_yaml(text: str, value: Any) -> None:
    found = typed_text(text)
    assert (found, type(found)) == (value, type(value))


def test_the_texts_of_a_tree_are_each_read() -> None:
    tree = {"n": "2", "list": ["1", {"deep": "[true]"}], "none": None}
    assert typed_tree(tree) == {"n": 2, "list": [1, {"deep": [True]}], "none": None}
