"""Operations of the API: each is declared at its handler, whose types are the schemas.

A handler takes the request and, by these names, what its operation reads: `query`, a struct of the
query's parameters, and `body`, a JsonBody of a struct. It returns a struct or a list of structs
(200), Created or Accepted of one (201, 202), None (204), or a Response whose class names its media.
The document of the API is made from the same declarations (web/openapi).
"""

from __future__ import annotations

import types
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import (
    Annotated,
    Any,
    ClassVar,
    Final,
    Generic,
    Literal,
    NamedTuple,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from amproxy.web.http.query import parse_query
from amproxy.web.http.request import parse_json_body

JSON_MEDIA: Final = "application/json"

Body = TypeVar("Body", bound=msgspec.Struct)
Content = TypeVar("Content")
Handler = TypeVar("Handler", bound=Callable[..., Awaitable[Any]])
OperationTag = Literal[
    "incidents",
    "hindsight",
    "schedules",
    "people",
    "calendars",
    "muted",
    "deliveries",
    "file",
    "sign_in",
    "push",
    "service",
]


class ErrorView(msgspec.Struct):
    error: Annotated[str, msgspec.Meta(description="A word or two.")]
    detail: Annotated[str, msgspec.Meta(description="A sentence.")]
    # What Redis refuses at a door for alerts has none.
    code: Annotated[str, msgspec.Meta(description="Which refusal it is; its words may change.")] = (
        ""
    )
    arguments: Annotated[
        dict[str, Any], msgspec.Meta(description="The values of the sentence, by name.")
    ] = {}


class JsonBody(Generic[Body]):
    """The JSON body of a request, read when the handler asks for it: after its permissions."""

    def __init__(self, request: Request, kind: type[Body]) -> None:
        self._request, self._kind = request, kind

    async def read(self) -> Body:
        """Raises HTTPException 400, 413, 415, 422."""
        return await parse_json_body(self._request, self._kind)


class _WithStatus(Generic[Content]):
    """A content with a status of its own."""

    status: ClassVar[int]

    def __init__(self, content: Content) -> None:
        self.content = content


class Created(_WithStatus[Content]):
    status = 201


class Accepted(_WithStatus[Content]):
    status = 202


class JsonResponse(Response, Generic[Content]):
    """A content that is encoded already, for one that is better encoded beside the event loop."""

    media_type = JSON_MEDIA

    def __init__(
        self, content: Content, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(msgspec.json.encode(content), status, headers)


class JsonLinesResponse(StreamingResponse, Generic[Content]):
    """One JSON value a line."""

    media_type = "application/x-ndjson"


class CsvResponse(Response):
    media_type = "text/csv"


class ApiOperation(NamedTuple):
    """One method of one path; all else follows from the types of its handler, and from the path."""

    tag: OperationTag
    method: str
    path: str  # as Starlette has it: {name}, {name:path}
    id: str
    summary: str
    errors: tuple[int, ...]  # besides those that follow from the path, the body and the role


class ApiAnswer(NamedTuple):
    """One answer that is no error."""

    status: int
    media: str  # "" = no content
    content: Any  # the type of a JSON value, None = text


class ApiSignature(NamedTuple):
    """The types of a handler."""

    query: type[msgspec.Struct] | None
    body: type[msgspec.Struct] | None
    answers: tuple[ApiAnswer, ...]


def operation(
    tag: OperationTag, address: str, id: str, summary: str, *, errors: tuple[int, ...] = ()
) -> Callable[[Handler], Handler]:
    """Declare a method of a class to be the handler of an operation.

    address: "METHOD path"; id: unique, for programs that generate code from the document.
    """
    method, _, path = address.partition(" ")

    def declare(handler: Handler) -> Handler:
        vars(handler)["operation"] = ApiOperation(tag, method, path, id, summary, errors)
        return handler

    return declare


def operations_of(api: type) -> Iterator[tuple[ApiOperation, Callable[..., Awaitable[Any]]]]:
    """The operations of a class and their handlers, in the order in which they are written."""
    for member in vars(api).values():
        found = getattr(member, "operation", None)
        if isinstance(found, ApiOperation):
            yield found, member


def api_routes(api: object) -> Iterator[Route]:
    """The routes of the operations that an object handles."""
    for declared, handler in operations_of(type(api)):
        endpoint = _Endpoint(handler.__get__(api), signature_of(handler))
        yield Route(declared.path, endpoint.respond, methods=[declared.method])


def signature_of(handler: Callable[..., Any]) -> ApiSignature:
    """Raises TypeError for a handler whose answer has no schema."""
    hints = get_type_hints(handler)
    body = hints.get("body")
    return ApiSignature(
        hints.get("query"),
        get_args(body)[0] if body else None,
        tuple(_answer(handler, kind) for kind in _alternatives(hints.get("return"))),
    )


def _alternatives(annotation: Any) -> Iterable[Any]:
    is_union = get_origin(annotation) in (Union, types.UnionType)
    return get_args(annotation) if is_union else (annotation,)


def _answer(handler: Callable[..., Any], kind: Any) -> ApiAnswer:
    if kind is type(None):
        return ApiAnswer(204, "", None)
    origin, inner = get_origin(kind) or kind, next(iter(get_args(kind)), None)
    if isinstance(origin, type) and issubclass(origin, (Response, _WithStatus)):
        media = getattr(origin, "media_type", JSON_MEDIA)
        answer = ApiAnswer(getattr(origin, "status", 200), media, inner)
    else:
        answer = ApiAnswer(200, JSON_MEDIA, kind)
    item = get_args(answer.content)[0] if get_origin(answer.content) is list else answer.content
    is_struct = isinstance(item, type) and issubclass(item, msgspec.Struct)
    if not answer.media or (JSON_MEDIA in answer.media and not is_struct):
        raise TypeError(f"{handler.__qualname__}: an answer is a struct, or a list of structs")
    return answer


class _Endpoint:
    """The endpoint of a route: reads for the handler, and encodes what it returns."""

    def __init__(self, handler: Callable[..., Awaitable[Any]], signature: ApiSignature) -> None:
        self._handler, self._query, self._body = handler, signature.query, signature.body

    async def respond(self, request: Request) -> Response:
        given: dict[str, object] = {}
        if self._query is not None:
            given["query"] = parse_query(request, self._query)
        if self._body is not None:
            given["body"] = JsonBody(request, self._body)
        answer = await self._handler(request, **given)
        if isinstance(answer, Response):
            return answer
        if answer is None:
            return Response(status_code=204)
        if isinstance(answer, _WithStatus):
            return JsonResponse(answer.content, answer.status)
        return JsonResponse(answer)
