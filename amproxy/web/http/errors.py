"""The one place where errors become answers: JSON under /api and HTML on pages, with the same status and words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from amproxy import metrics
from amproxy.errors import AmproxyError, Conflict, NotFound, StoreUnavailable, Uneditable
from amproxy.grouping.silences import BadSilence
from amproxy.respond.links import BadLink, ExpiredLink
from amproxy.respond.targets import BadAction
from amproxy.web.http.permissions import Forbidden, NotSignedIn

_ERROR_CODES = {
    400: "malformed",
    401: "unauthorized",
    403: "forbidden",
    404: "not found",
    409: "conflict",
    413: "too large",
    422: "invalid",
    500: "internal error",
    503: "unavailable",
}
PROGRAM_PREFIXES = ("/api/", "/-/", "/metrics", "/events")  # who asks there does not read pages
_STATUS_OF_ERROR: dict[type[Exception], int] = {
    NotSignedIn: 401, Forbidden: 403, NotFound: 404, Conflict: 409, BadAction: 422, BadSilence: 422, Uneditable: 422,
    StoreUnavailable: 503, ExpiredLink: 410, BadLink: 404,
}  # fmt: skip


class WebErrorResponse(NamedTuple):
    """What the caller is told."""

    status: int
    error: str  # a word or two
    detail: str  # a sentence
    headers: dict[str, str]


def describe_error(error: Exception) -> WebErrorResponse:
    """What an error means to the caller; one that nobody expected says nothing about its cause."""
    headers: dict[str, str] = {}
    if isinstance(error, HTTPException):
        status, detail, headers = error.status_code, str(error.detail), dict(error.headers or {})
        if detail == HTTPStatus(status).phrase:
            detail = _PHRASES.get(status, detail)
    elif type(error) in _STATUS_OF_ERROR:
        status, detail = _STATUS_OF_ERROR[type(error)], str(error)
    else:
        status, detail = 500, "this is a defect of amproxy; its log says more"
    if status == 503:
        detail, headers["Retry-After"] = "Redis is away; nothing was changed, try again in a moment", "1"
    return WebErrorResponse(
        status, _ERROR_CODES.get(status, HTTPStatus(status).phrase.lower()), f"{detail[:1].upper()}{detail[1:].rstrip('.')}.", headers
    )


_PHRASES = {404: "there is nothing at this address", 405: "this address does not take this method"}

ExceptionHandler = Callable[[Request, Exception], Awaitable[Response]]


def exception_handlers(page: Callable[[Request, WebErrorResponse], Awaitable[Response]]) -> dict[Any, ExceptionHandler]:
    """Exception handlers for Starlette; `page` draws an error for a person."""

    async def answer(request: Request, error: Exception) -> Response:
        what = describe_error(error)
        if what.status == 500:
            metrics.unexpected_errors.labels("web").inc()
        if request.url.path.startswith(PROGRAM_PREFIXES):
            body = msgspec.json.encode({"error": what.error, "detail": what.detail})
            return Response(body, what.status, what.headers, "application/json")
        return await page(request, what)

    return {HTTPException: answer, AmproxyError: answer, Exception: answer}
