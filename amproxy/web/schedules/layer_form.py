"""The form for the layers of a schedule: from the file's words, from what a browser sends, and back to words. Pure.

Nothing is judged here: whatever somebody writes becomes words, and the reader of the file says what is wrong with them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

Words = dict[str, Any]

MOST_LAYERS: Final = 30
MOST_TURNS: Final = 100

_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_COMMAND: Final = re.compile(r"(up|down|remove)-(?:layer:(\d{1,3})|turn:(\d{1,3}):(\d{1,3}))|add-turn:(\d{1,3})", re.ASCII)


class LayerForm(msgspec.Struct, kw_only=True):
    """One layer as the form has it."""

    name: str = ""
    turns: list[list[str]] = []  # people of each turn; "" = not chosen yet
    every: str = ""  # "" = no rotation
    start: str = ""
    by_active_days: bool = False
    active: list[str] = []
    mute: list[str] = []
    origin: int = -1  # place in the file; -1 = new


def from_words(layers: Sequence[Any]) -> list[LayerForm]:
    """The layers of the file; what is no layer is left out."""
    return [_read(layer, place) for place, layer in enumerate(layers) if isinstance(layer, dict)]


def from_fields(fields: Mapping[str, Sequence[str]]) -> list[LayerForm]:
    """What a browser has sent: fields "0.name", "0.turn.1" … as the template names them."""

    def one(name: str) -> str:
        return (fields.get(name) or [""])[-1].strip()

    found = []
    for place in range(MOST_LAYERS):
        if f"{place}.name" not in fields:
            break
        turns = [list(fields[name]) for turn in range(MOST_TURNS) if (name := f"{place}.turn.{turn}") in fields]
        origin = one(f"{place}.origin")
        layer = LayerForm(
            name=one(f"{place}.name"),
            turns=[[name for name in turn if name] or [""] for turn in turns],
            every=one(f"{place}.every"),
            start=one(f"{place}.start"),
            by_active_days=bool(one(f"{place}.by_active_days")),
            active=list(fields.get(f"{place}.active", ())),
            mute=list(fields.get(f"{place}.mute", ())),
            origin=int(origin) if re.fullmatch(r"\d{1,3}", origin, re.ASCII) else -1,
        )
        found.append(layer)
    return found


def acted(layers: list[LayerForm], command: str) -> list[LayerForm]:
    """The form once a button is pressed: "add-layer", "up-layer:1", "remove-turn:0:2" …; one that makes no sense changes nothing."""
    layers = [msgspec.structs.replace(layer, turns=[list(turn) for turn in layer.turns]) for layer in layers]
    if command == "add-layer" and len(layers) < MOST_LAYERS:
        layers.append(LayerForm(turns=[[""]]))
    found = _COMMAND.fullmatch(command)
    if not found:
        return layers
    verb, layer, turn_layer, turn, adding = found.groups()
    if adding is not None:
        if int(adding) < len(layers) and len(layers[int(adding)].turns) < MOST_TURNS:
            layers[int(adding)].turns.append([""])
    elif layer is not None:
        _moved(layers, verb, int(layer))
    elif int(turn_layer) < len(layers):
        _moved(layers[int(turn_layer)].turns, verb, int(turn))
    return layers


def to_words(layers: Sequence[LayerForm], originals: Sequence[Any]) -> list[Words]:
    """What the file would say. What the form has not changed keeps its words, and keys that the form does not know stay."""
    return [_written(layer, originals[layer.origin] if 0 <= layer.origin < len(originals) else None) for layer in layers]


def _moved(things: list[Any], verb: str, place: int) -> None:
    if place >= len(things):
        return
    thing = things.pop(place)
    if verb != "remove":
        things.insert(max(0, place + (1 if verb == "down" else -1)), thing)


def _read(layer: Words, place: int) -> LayerForm:
    rotation = layer.get("rotation")
    rotation = rotation if isinstance(rotation, dict) else {}
    return LayerForm(
        name=str(layer.get("name", "")), turns=[_names(turn) for turn in _list(layer.get("users"))] or [[""]],
        every=str(rotation.get("every", "")), start=_start(str(rotation.get("start", ""))),
        by_active_days=rotation.get("advance") == "active_days", active=_names(layer.get("active_time_intervals")),
        mute=_names(layer.get("mute_time_intervals")), origin=place,
    )  # fmt: skip


def _written(form: LayerForm, original: object) -> Words:
    words: Words = dict(original) if isinstance(original, dict) else {}
    before = _read(words, form.origin) if words else LayerForm()
    turns = [people for turn in form.turns if (people := [name for name in turn if name])]
    _put(words, "name", form.name, before.name)
    if "users" not in words or before.turns != turns:
        words["users"] = [turn[0] if len(turn) == 1 else turn for turn in turns]
    rotation: Words = dict(words["rotation"]) if isinstance(words.get("rotation"), dict) else {}
    if form.every or form.start:
        _put(rotation, "every", form.every, before.every)
        _put(rotation, "start", form.start, before.start)
        _put(rotation, "advance", "active_days" if form.by_active_days else None, "active_days" if before.by_active_days else None)
        words["rotation"] = rotation
    else:
        words.pop("rotation", None)
    _put(words, "active_time_intervals", form.active or None, before.active or None)
    _put(words, "mute_time_intervals", form.mute or None, before.mute or None)
    return words


def _put(words: Words, key: str, value: object, before: object) -> None:
    """Write a value where it is another one than before; None takes the key away."""
    if value == before:
        return
    if value is None:
        words.pop(key, None)
    else:
        words[key] = value


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _names(value: object) -> list[str]:
    return [str(name) for name in value] if isinstance(value, list) else [str(value)] if value else []


def _start(text: str) -> str:
    """A day alone begins at midnight; that is what a field for a moment can show."""
    return f"{text}T00:00" if _DAY.fullmatch(text) else text
