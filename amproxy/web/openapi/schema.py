"""Words for JSON schemas: what the tables of answers are written in. Pure.

What a row of the table of operations says.
"""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple, get_args

import msgspec

Schema = dict[str, Any]

STRING: Final[Schema] = {"type": "string"}
INTEGER: Final[Schema] = {"type": "integer"}
NUMBER: Final[Schema] = {"type": "number"}
BOOLEAN: Final[Schema] = {"type": "boolean"}
DATE_TIME: Final[Schema] = {"type": "string", "format": "date-time"}
ANY_OBJECT: Final[Schema] = {"type": "object"}
SCHEMA_REFS: Final = "#/components/schemas/"


def ref(name: str) -> Schema:
    """A schema that stands among the components."""
    return {"$ref": f"{SCHEMA_REFS}{name}"}


def nullable(shape: Schema) -> Schema:
    """Or null."""
    if "$ref" in shape:
        return {"anyOf": [shape, {"type": "null"}]}
    open_shape = {**shape, "type": [shape["type"], "null"]}
    return {**open_shape, "enum": [*shape["enum"], None]} if "enum" in shape else open_shape


def array_of(shape: Schema = STRING) -> Schema:
    return {"type": "array", "items": shape}


def map_of(shape: Schema = STRING) -> Schema:
    """A map from names, which are not known beforehand."""
    return {"type": "object", "additionalProperties": shape}


def enum_of(literal: Any) -> Schema:
    """One of the values of a Literal."""
    return {"type": "string", "enum": list(get_args(literal))}


def properties_of(shape: Schema, names: str) -> dict[str, Schema]:
    """Some keys of the same shape; names: separated by spaces."""
    return dict.fromkeys(names.split(), shape)


def object_of(keys: dict[str, Schema], *also: Schema) -> Schema:
    """A map whose keys are all there; those of `also`, which are records themselves, too."""
    keys = {name: shape for one in also for name, shape in one["properties"].items()} | keys
    return {"type": "object", "properties": keys, "required": list(keys)}


def with_optional(shape: Schema, keys: dict[str, Schema]) -> Schema:
    """A record with more keys, which may be missing."""
    return {**shape, "properties": {**shape["properties"], **keys}}


JSON_MEDIA: Final = "application/json"
PLAIN_MEDIA: Final = "text/plain"

HttpMethod = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


class QueryParameter(NamedTuple):
    """One of a query."""

    name: str
    what: str
    shape: Schema = STRING
    required: bool = False

    def view(self) -> dict[str, Any]:
        return {"name": self.name, "in": "query", "description": self.what, "required": self.required, "schema": self.shape}


class ApiOperation(NamedTuple):
    """One method of one address. Which role it needs, and which errors it may answer beside `errors`, follows from the rest."""

    method: HttpMethod
    path: str
    id: str
    summary: str
    answer: Schema | None = None  # None = nothing
    status: int = 200
    body: type[msgspec.Struct] | Schema | None = None
    query: tuple[QueryParameter, ...] = ()
    errors: tuple[int, ...] = ()
    media: tuple[str, ...] = (JSON_MEDIA,)  # of the answer; the schema is that of JSON, the others are texts
    created: bool = False  # it may answer 201 too, with the same


def time_parameter(name: str, what: str) -> QueryParameter:
    """A time. It may lack its offset from UTC, so it is no `date-time`."""
    return QueryParameter(name, f"{what} RFC 3339.", {**STRING, "examples": ["2026-01-05T09:00:00Z"]})


def limit_parameter(most: int, default: int) -> QueryParameter:
    shape = {"type": "integer", "minimum": 1, "maximum": most, "default": default}
    return QueryParameter("limit", "At most so many.", shape)


def repeated_parameter(name: str, what: str, shape: Schema = STRING) -> QueryParameter:
    return QueryParameter(name, f"{what} May be repeated.", array_of(shape))


CURSOR_PARAMETER: Final = QueryParameter("cursor", "The next of the answer before.")
ZONE_PARAMETER: Final = QueryParameter("zone", "Time zone of times without offset, such as Europe/Berlin. UTC unless given.")
