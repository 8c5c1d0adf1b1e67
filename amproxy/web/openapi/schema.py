"""Words for JSON schemas: what the tables of answers are written in. Pure.

What a row of the table of operations says.
"""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple, get_args

import msgspec

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


JSON: Final = "application/json"
PLAIN: Final = "text/plain"

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


class Parameter(NamedTuple):
    """One of a query."""

    name: str
    what: str
    shape: Shape = TEXT
    required: bool = False

    def view(self) -> dict[str, Any]:
        return {"name": self.name, "in": "query", "description": self.what, "required": self.required, "schema": self.shape}


class Operation(NamedTuple):
    """One method of one address. Which role it needs, and which errors it may answer beside `errors`, follows from the rest."""

    method: Method
    path: str
    id: str
    summary: str
    answer: Shape | None = None  # None = nothing
    status: int = 200
    body: type[msgspec.Struct] | Shape | None = None
    query: tuple[Parameter, ...] = ()
    errors: tuple[int, ...] = ()
    media: tuple[str, ...] = (JSON,)  # of the answer; the schema is that of JSON, the others are texts
    created: bool = False  # it may answer 201 too, with the same


def moment(name: str, what: str) -> Parameter:
    """A time. It may lack its offset from UTC, so it is no `date-time`."""
    return Parameter(name, f"{what} RFC 3339.", {**TEXT, "examples": ["2026-01-05T09:00:00Z"]})


def limit(most: int, default: int) -> Parameter:
    shape = {"type": "integer", "minimum": 1, "maximum": most, "default": default}
    return Parameter("limit", "At most so many.", shape)


def repeated(name: str, what: str, shape: Shape = TEXT) -> Parameter:
    return Parameter(name, f"{what} May be repeated.", listed(shape))


CURSOR: Final = Parameter("cursor", "The next of the answer before.")
ZONE: Final = Parameter("zone", "Time zone of times without offset, such as Europe/Berlin. UTC unless given.")
