"""The vocabulary of the tables: JSON schemas, query parameters and operations. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple, get_args

import msgspec

Schema = dict[str, Any]

STRING: Final[Schema] = {"type": "string"}
INTEGER: Final[Schema] = {"type": "integer"}
NUMBER: Final[Schema] = {"type": "number"}
BOOLEAN: Final[Schema] = {"type": "boolean"}
DATE_TIME: Final[Schema] = {"type": "string", "format": "date-time"}
ANY_OBJECT: Final[Schema] = {"type": "object"}
SCHEMA_REFS: Final = "#/components/schemas/"
JSON_MEDIA: Final = "application/json"
PLAIN_MEDIA: Final = "text/plain"


def ref(name: str) -> Schema:
    """A schema among the components, by its name."""
    return {"$ref": f"{SCHEMA_REFS}{name}"}


def nullable(schema: Schema) -> Schema:
    """The schema, or null."""
    if "$ref" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    found = {**schema, "type": [schema["type"], "null"]}
    # an enum restricts whatever the type allows, so null must be one of its values
    return {**found, "enum": [*schema["enum"], None]} if "enum" in schema else found


def array_of(schema: Schema = STRING) -> Schema:
    return {"type": "array", "items": schema}


def map_of(schema: Schema = STRING) -> Schema:
    """A map from names, which are not known beforehand."""
    return {"type": "object", "additionalProperties": schema}


def enum_of(literal: Any) -> Schema:
    """One of the values of a Literal."""
    return choice_of(get_args(literal))


def choice_of(values: Iterable[str]) -> Schema:
    return {"type": "string", "enum": list(values)}


def properties_of(schema: Schema, names: str) -> dict[str, Schema]:
    """Keys of the same schema; names: separated by spaces."""
    return dict.fromkeys(names.split(), schema)


def object_of(keys: dict[str, Schema], *also: Schema) -> Schema:
    """A record of these keys, all required, after those of the records in `also`."""
    keys = {name: schema for one in also for name, schema in one["properties"].items()} | keys
    return {"type": "object", "properties": keys, "required": list(keys)}


def with_optional(schema: Schema, keys: dict[str, Schema]) -> Schema:
    """A record with more keys, which may be missing."""
    return {**schema, "properties": {**schema["properties"], **keys}}


class QueryParameter(NamedTuple):
    """One parameter of a query."""

    name: str
    description: str
    schema: Schema = STRING
    required: bool = False

    def view(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "in": "query",
            "description": self.description,
            "required": self.required,
            "schema": self.schema,
        }


class ApiOperation(NamedTuple):
    """One method of one path; its role and further errors follow from these values."""

    id: str
    summary: str
    response: Schema | str | None = None  # a str names a component; None = no content
    body: type[msgspec.Struct] | Schema | None = None
    status: int = 200
    query: tuple[QueryParameter, ...] = ()
    media: tuple[str, ...] = (JSON_MEDIA,)  # the first has the schema, the others are texts
    errors: tuple[int, ...] = ()
    created: bool = False  # it may respond with 201 too, and the same content


OperationTable = dict[str, ApiOperation]  # "METHOD path" → the operation


def time_parameter(name: str, description: str) -> QueryParameter:
    """A time. It may lack its offset from UTC, so it is no `date-time`."""
    schema = {**STRING, "examples": ["2026-01-05T09:00:00Z"]}
    return QueryParameter(name, f"{description} RFC 3339.", schema)


def limit_parameter(most: int, default: int) -> QueryParameter:
    schema = {**INTEGER, "minimum": 1, "maximum": most, "default": default}
    return QueryParameter("limit", "At most so many.", schema)


def repeated_parameter(name: str, description: str, schema: Schema = STRING) -> QueryParameter:
    return QueryParameter(name, f"{description} May be repeated.", array_of(schema))


CURSOR_PARAMETER: Final = QueryParameter("cursor", "The next of the answer before.")
ZONE_PARAMETER: Final = QueryParameter(
    "zone", "Time zone of times without offset, such as Europe/Berlin. UTC unless given."
)
