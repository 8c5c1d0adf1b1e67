"""What a row of the table of operations says."""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple

import msgspec

from amproxy.web.openapi.schema import TEXT, Shape, listed

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
