"""Errors as responses: their HTTP status is decided here and nowhere else.

An error is JSON under /api, in English and as a code with its arguments, and HTML on pages, in the
reader's language, with the same status.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from amproxy import metrics
from amproxy.config.structs import Config
from amproxy.context import Context
from amproxy.errors import AmproxyError, Conflict, NotFound, StoreUnavailable, Uneditable
from amproxy.grouping.silences import BadSilence
from amproxy.respond.links import BadLink, ExpiredLink
from amproxy.respond.targets import BadAction
from amproxy.store.wire import RedisRefused
from amproxy.text import Phrase, as_sentence
from amproxy.text.render import arguments_of, code_of
from amproxy.web.http.api import ErrorView, JsonResponse
from amproxy.web.http.permissions import Forbidden, NotSignedIn
from amproxy.web.http.refusals import RefusedRequest, english_text, error_phrase, words_phrase

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
_DEFAULT_PHRASES: Final = {
    404: Phrase("refusal.nothing_here"),
    405: Phrase("refusal.method"),
    500: Phrase("refusal.defect"),
    503: Phrase("refusal.redis_away"),
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
    phrase: Phrase
    headers: dict[str, str]


def exception_handlers(
    page: Callable[[Request, WebErrorResponse], Awaitable[Response]],
    context: Context,
    form_page: Callable[[str], str],
) -> dict[Any, ExceptionHandler]:
    """Return the exception handlers for Starlette; `page` renders an error for a person.

    form_page: the address of the page for one at which forms are sent.
    """

    async def respond(request: Request, error: Exception) -> Response:
        described = describe_error(error)
        if described.status == 500:
            metrics.unexpected_errors.labels("web").inc()
        if request.url.path.startswith(PROGRAM_PREFIXES):
            view = error_view(described.error, described.phrase, context.config)
            return JsonResponse(view, described.status, described.headers)
        if described.status == 405 and request.method == "GET":
            # what a refused form has left in the browser's address, loaded again or sent on
            return RedirectResponse(form_page(request.url.path), 303)
        return await page(request, described)

    return {HTTPException: respond, AmproxyError: respond, Exception: respond}


def error_view(error: str, phrase: Phrase, config: Config) -> ErrorView:
    """An error as the API shows it. error: a word or two."""
    return ErrorView(
        error=error,
        detail=as_sentence(english_text(phrase, config)),
        code=code_of(phrase, alone=True),
        arguments=arguments_of(phrase),
    )


def describe_error(error: Exception) -> WebErrorResponse:
    """Return the client's view of an error; that of an unexpected one hides its cause."""
    headers: dict[str, str] = {}
    if isinstance(error, HTTPException):
        status, headers = error.status_code, dict(error.headers or {})
        phrase = error.phrase if isinstance(error, RefusedRequest) else _default_phrase(error)
    elif type(error) in _STATUS_OF_ERROR:
        status, phrase = _STATUS_OF_ERROR[type(error)], error_phrase(error)
    else:
        status, phrase = 500, _DEFAULT_PHRASES[500]
    if status == 503:
        phrase = _DEFAULT_PHRASES[503]
        headers["Retry-After"] = "1"
    error_name = _ERROR_CODES.get(status, HTTPStatus(status).phrase.lower())
    return WebErrorResponse(status, error_name, phrase, headers)


def _default_phrase(error: HTTPException) -> Phrase:
    if error.detail != HTTPStatus(error.status_code).phrase:
        return words_phrase(str(error.detail))
    return _DEFAULT_PHRASES.get(error.status_code, words_phrase(str(error.detail)))
