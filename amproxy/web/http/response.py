"""Errors as responses: their HTTP status is decided here and nowhere else.

An error is JSON under /api and HTML on pages, with the same status and words.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from amproxy import metrics
from amproxy.errors import AmproxyError, Conflict, NotFound, StoreUnavailable, Uneditable
from amproxy.grouping.silences import BadSilence
from amproxy.respond.links import BadLink, ExpiredLink
from amproxy.respond.targets import BadAction
from amproxy.store.wire import RedisRefused
from amproxy.web.http.api import ErrorView, JsonResponse
from amproxy.web.http.permissions import Forbidden, NotSignedIn

# Addresses that programs call: they get JSON errors and no redirect to the sign-in page.
PROGRAM_PREFIXES = ("/api/", "/-/", "/metrics", "/events")
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
_DEFAULT_DETAILS = {
    404: "there is nothing at this address",
    405: "this address does not take this method",
}
# By exact type: a subclass that nobody listed is a defect, and must not inherit a status.
_STATUS_OF_ERROR: dict[type[Exception], int] = {
    NotSignedIn: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    BadAction: 422,
    BadSilence: 422,
    Uneditable: 422,
    StoreUnavailable: 503,
    RedisRefused: 503,
    ExpiredLink: 410,
    BadLink: 404,
}

ExceptionHandler = Callable[[Request, Exception], Awaitable[Response]]


class WebErrorResponse(NamedTuple):
    """An error as the client sees it."""

    status: int
    error: str  # a word or two
    detail: str  # a sentence
    headers: dict[str, str]


def exception_handlers(
    page: Callable[[Request, WebErrorResponse], Awaitable[Response]],
) -> dict[Any, ExceptionHandler]:
    """Return the exception handlers for Starlette; `page` renders an error for a person."""

    async def respond(request: Request, error: Exception) -> Response:
        described = describe_error(error)
        if described.status == 500:
            metrics.unexpected_errors.labels("web").inc()
        if request.url.path.startswith(PROGRAM_PREFIXES):
            view = ErrorView(error=described.error, detail=described.detail)
            return JsonResponse(view, described.status, described.headers)
        return await page(request, described)

    return {HTTPException: respond, AmproxyError: respond, Exception: respond}


def describe_error(error: Exception) -> WebErrorResponse:
    """Return the client's view of an error; that of an unexpected one hides its cause."""
    headers: dict[str, str] = {}
    if isinstance(error, HTTPException):
        status, detail, headers = error.status_code, str(error.detail), dict(error.headers or {})
        if detail == HTTPStatus(status).phrase:
            detail = _DEFAULT_DETAILS.get(status, detail)
    elif type(error) in _STATUS_OF_ERROR:
        status, detail = _STATUS_OF_ERROR[type(error)], str(error)
    else:
        status, detail = 500, "this is a defect of amproxy; its log says more"
    if status == 503:
        detail = "Redis is away; nothing was changed, try again in a moment"
        headers["Retry-After"] = "1"
    return WebErrorResponse(
        status,
        _ERROR_CODES.get(status, HTTPStatus(status).phrase.lower()),
        f"{detail[:1].upper()}{detail[1:].rstrip('.')}.",
        headers,
    )
