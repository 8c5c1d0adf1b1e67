"""Queries as structs: each parameter is stated once, with its type, limits and description.

A handler of the API and the page beside it read the same struct, and the document of the API is
made from it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Any, TypeVar

import msgspec
from starlette.datastructures import QueryParams
from starlette.requests import Request

from amproxy.text import Phrase
from amproxy.web.http.request import field_name, invalid

DEFAULT_PAGE_LIMIT = 100  # entries of a list, unless its query gives a limit
MAX_PAGE_LIMIT = 500

Query = TypeVar("Query", bound=msgspec.Struct)


def time_meta(description: str) -> msgspec.Meta:
    """The description of a parameter that is a time.

    It may lack its offset from UTC, so it is no `date-time` of JSON Schema.
    """
    return msgspec.Meta(description=f"{description} RFC 3339.", examples=["2026-01-05T09:00:00Z"])


# The page of a list.
PageLimit = Annotated[int, msgspec.Meta(ge=1, le=MAX_PAGE_LIMIT, description="At most so many.")]
PageCursor = Annotated[str, msgspec.Meta(description="The next of the answer before.")]


class PeriodParameters(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    from_: Annotated[str, time_meta("The beginning.")] = ""
    to: Annotated[str, time_meta("The end, excluded; now unless given.")] = ""


class IncidentFilterParameters(PeriodParameters, frozen=True, kw_only=True):
    zone: Annotated[
        str,
        msgspec.Meta(
            description="Time zone of times without offset, such as Europe/Berlin."
            " UTC unless given."
        ),
    ] = ""
    team: Annotated[
        str,
        msgspec.Meta(
            description='Only incidents of this team; "none" is that of incidents without one.'
        ),
    ] = ""
    policy: Annotated[
        str, msgspec.Meta(description="Only incidents of this escalation policy.")
    ] = ""
    user: Annotated[
        str,
        msgspec.Meta(
            description="Only incidents for which this person was paged or asked, or which they"
            " answered."
        ),
    ] = ""


def parse_query(request: Request, kind: type[Query]) -> Query:
    """The parameters of a query as a struct. An empty one counts as not given.

    Texts are taken as they are, numbers and choices are checked. Raises HTTPException 422.
    """
    return parse_parameters(request.query_params, kind)


def parse_parameters(params: QueryParams, kind: type[Query]) -> Query:
    """As `parse_query`, of parameters alone."""
    values: dict[str, Any] = {}
    for field in _parameters(kind):
        name, given = field.encode_name, params.getlist(field.encode_name)
        if texts := [text for text in given if text]:
            values[field.name] = _parse_parameter(name, field.type, texts)
        elif field.required:
            raise invalid(
                Phrase(
                    "refusal.missing",
                    {"field": field_name(name), "description": _description(field.type)},
                )
            )
    return kind(**values)


@lru_cache
def _parameters(kind: type[msgspec.Struct]) -> tuple[msgspec.inspect.Field, ...]:
    struct = msgspec.inspect.type_info(kind)
    assert isinstance(struct, msgspec.inspect.StructType)
    return struct.fields


def _description(kind: msgspec.inspect.Type) -> str:
    """The description of a parameter as a part of a sentence."""
    assert isinstance(kind, msgspec.inspect.Metadata)
    text = str((kind.extra_json_schema or {})["description"])
    return f"{text[:1].lower()}{text[1:].rstrip('.')}"


def _parse_parameter(name: str, kind: msgspec.inspect.Type, texts: Sequence[str]) -> Any:
    """The value of a parameter; of one that is no list the last text counts."""
    match kind:
        case msgspec.inspect.Metadata():
            return _parse_parameter(name, kind.type, texts)
        case msgspec.inspect.VarTupleType():
            return tuple(_parse_parameter(name, kind.item_type, [text]) for text in texts)
        case msgspec.inspect.LiteralType():
            if texts[-1] not in kind.values:
                names = ", ".join(map(str, kind.values))
                raise invalid(
                    Phrase(
                        "refusal.choice",
                        {"field": field_name(name), "known": names, "text": texts[-1][:60]},
                    )
                )
        case msgspec.inspect.IntType(ge=least, le=most):
            in_range = re.fullmatch("[0-9]{1,9}", texts[-1], re.ASCII)
            if not in_range or not (least or 0) <= int(texts[-1]) <= (most or 0):
                raise invalid(
                    Phrase(
                        "refusal.range",
                        {"field": field_name(name), "least": least or 0, "most": most or 0},
                    )
                )
            return int(texts[-1])
    return texts[-1]


def check_cursor(cursor: str, pattern: re.Pattern[str]) -> str:
    """A cursor ("" = first page), unchanged. Raises HTTPException 422."""
    if cursor and not pattern.fullmatch(cursor):
        raise invalid(Phrase("refusal.cursor"))
    return cursor
