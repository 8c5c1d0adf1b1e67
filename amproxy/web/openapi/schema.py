"""Words for JSON schemas: what the tables of answers are written in. Pure."""

from __future__ import annotations

from typing import Any, Final, get_args

Shape = dict[str, Any]

TEXT: Final[Shape] = {"type": "string"}
WHOLE: Final[Shape] = {"type": "integer"}
NUMBER: Final[Shape] = {"type": "number"}
FLAG: Final[Shape] = {"type": "boolean"}
MOMENT: Final[Shape] = {"type": "string", "format": "date-time"}
ANYTHING: Final[Shape] = {"type": "object"}
REFS: Final = "#/components/schemas/"


def ref(name: str) -> Shape:
    """A schema that stands among the components."""
    return {"$ref": f"{REFS}{name}"}


def maybe(shape: Shape) -> Shape:
    """Or null."""
    if "$ref" in shape:
        return {"anyOf": [shape, {"type": "null"}]}
    open_shape = {**shape, "type": [shape["type"], "null"]}
    return {**open_shape, "enum": [*shape["enum"], None]} if "enum" in shape else open_shape


def listed(shape: Shape = TEXT) -> Shape:
    return {"type": "array", "items": shape}


def keyed(shape: Shape = TEXT) -> Shape:
    """A map from names, which are not known beforehand."""
    return {"type": "object", "additionalProperties": shape}


def one_of(literal: Any) -> Shape:
    """One of the values of a Literal."""
    return {"type": "string", "enum": list(get_args(literal))}


def each(shape: Shape, names: str) -> dict[str, Shape]:
    """Some keys of the same shape; names: separated by spaces."""
    return dict.fromkeys(names.split(), shape)


def record(keys: dict[str, Shape], *also: Shape) -> Shape:
    """A map whose keys are all there; those of `also`, which are records themselves, too."""
    keys = {name: shape for one in also for name, shape in one["properties"].items()} | keys
    return {"type": "object", "properties": keys, "required": list(keys)}


def with_optional(shape: Shape, keys: dict[str, Shape]) -> Shape:
    """A record with more keys, which may be missing."""
    return {**shape, "properties": {**shape["properties"], **keys}}
