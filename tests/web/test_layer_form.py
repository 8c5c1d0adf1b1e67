"""The form for layers: what it does not touch keeps its words, and every button does one thing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.web.schedules.layers import (
    LayerForm,
    apply_command,
    layers_from_file,
    layers_from_form,
    layers_to_file,
)

LAYERS: list[dict[str, Any]] = [
    {
        "name": "weekly",
        "users": ["alice", ["bob", "carol"]],
        "rotation": {"every": "1w", "start": "2026-01-05"},
        "note": "kept",
    },
    {"name": "office", "users": [["bob"]], "active_time_intervals": ["office"]},
]


def sent(layers: list[LayerForm]) -> dict[str, list[str]]:
    """What a browser sends of the form as the template draws it: after each turn's people an empty choice for one more."""
    fields: dict[str, list[str]] = {}
    for place, layer in enumerate(layers):
        fields |= {
            f"{place}.{key}": [str(getattr(layer, key))]
            for key in ("name", "every", "start", "origin")
        }
        fields |= {
            f"{place}.{key}": list(getattr(layer, key))
            for key in ("active", "mute")
            if getattr(layer, key)
        }
        fields |= {f"{place}.turn.{number}": [*turn, ""] for number, turn in enumerate(layer.turns)}
        if layer.by_active_days:
            fields[f"{place}.by_active_days"] = ["1"]
    return fields


def test_a_form_that_nobody_touched_says_what_the_file_says() -> None:
    assert layers_to_file(layers_from_form(sent(layers_from_file(LAYERS))), LAYERS) == LAYERS


name = st.text("abcde", min_size=1, max_size=3)
layer = st.fixed_dictionaries(
    {
        "name": name,
        "users": st.lists(name | st.lists(name, min_size=1, max_size=3), min_size=1, max_size=5),
    },
    optional={
        "rotation": st.fixed_dictionaries(
            {
                "every": st.sampled_from(["1d", "1w", "12h"]),
                "start": st.sampled_from(["2026-01-05", "2026-01-05T09:00", "2026-01-05T09:00Z"]),
            },
            optional={"advance": st.sampled_from(["always", "active_days"])},
        ),
        "active_time_intervals": st.lists(name, min_size=1, max_size=2),
        "mute_time_intervals": st.lists(name, min_size=1, max_size=2),
    },
)


@given(st.lists(layer, max_size=5))
def test_whatever_the_file_says_survives_the_way_through_the_browser(
    layers: list[dict[str, Any]],
) -> None:
    assert layers_to_file(layers_from_form(sent(layers_from_file(layers))), layers) == layers


@pytest.mark.parametrize(
    ("command", "turns"),
    [
        ("down-turn:0:0", [["bob", "carol"], "alice"]),
        ("up-turn:0:1", [["bob", "carol"], "alice"]),
        ("up-turn:0:0", ["alice", ["bob", "carol"]]),
        ("down-turn:0:1", ["alice", ["bob", "carol"]]),
        ("remove-turn:0:0", [["bob", "carol"]]),
        ("add-turn:0", ["alice", ["bob", "carol"]]),  # nobody is chosen yet
        ("remove-turn:0:7", ["alice", ["bob", "carol"]]),
        ("remove-turn:7:0", ["alice", ["bob", "carol"]]),
        ("explode", ["alice", ["bob", "carol"]]),
    ],
)
def test_a_button_moves_one_turn(command: str, turns: list[Any]) -> None:
    assert (
        layers_to_file(apply_command(layers_from_file(LAYERS), command), LAYERS)[0]["users"]
        == turns
    )


def test_layers_are_moved_added_and_removed_and_keep_what_is_theirs() -> None:
    form = layers_from_file(LAYERS)
    assert [one["name"] for one in layers_to_file(apply_command(form, "down-layer:0"), LAYERS)] == [
        "office",
        "weekly",
    ]
    assert layers_to_file(apply_command(form, "up-layer:1"), LAYERS)[1]["note"] == "kept"
    assert layers_to_file(apply_command(form, "remove-layer:0"), LAYERS) == LAYERS[1:]
    added = apply_command(form, "add-layer")
    added[2].name, added[2].turns, added[2].every, added[2].start = (
        "nights",
        [["carol"]],
        "1d",
        "2026-01-05T22:00",
    )
    assert layers_to_file(added, LAYERS)[2] == {
        "name": "nights",
        "users": ["carol"],
        "rotation": {"every": "1d", "start": "2026-01-05T22:00"},
    }


def test_a_rotation_that_is_emptied_goes_and_intervals_that_are_unticked_go() -> None:
    form = layers_from_file(LAYERS)
    form[0].every = form[0].start = ""
    form[1].active = []
    assert layers_to_file(form, LAYERS) == [
        {"name": "weekly", "users": ["alice", ["bob", "carol"]], "note": "kept"},
        {"name": "office", "users": [["bob"]]},
    ]


def test_a_new_person_joins_a_turn_by_the_empty_choice_beside_it() -> None:
    fields = sent(layers_from_file(LAYERS))
    fields["0.turn.0"] = ["alice", "dave"]
    assert layers_to_file(layers_from_form(fields), LAYERS)[0]["users"] == [
        ["alice", "dave"],
        ["bob", "carol"],
    ]


@given(
    st.dictionaries(
        st.text("0123.nametur", max_size=12),
        st.lists(st.text(max_size=4), min_size=1, max_size=3),
        max_size=8,
    ),
    st.text(),
)
def test_nonsense_from_a_browser_is_a_form_all_the_same(
    fields: dict[str, list[str]], command: str
) -> None:
    layers_to_file(apply_command(layers_from_form({"0.name": ["x"], **fields}), command), LAYERS)
