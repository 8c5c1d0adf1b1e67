"""The answers of the doors that alerts come in by."""

from __future__ import annotations

import time
from typing import Any, Final

import msgspec

from amproxy import metrics
from amproxy.accept.body import Send
from amproxy.text import Phrase, Words, phrase
from amproxy.text.render import arguments_of, code_of

OK: Final = b'{"status":"ok"}\n'
_JSON_HEADERS: Final = [(b"content-type", b"application/json")]
_ERROR_NAMES: Final = {
    400: "malformed",
    401: "unauthorized",
    403: "forbidden",
    404: "not found",
    405: "method not allowed",
    413: "too large",
    415: "unsupported media type",
    422: "not valid",
    503: "try again",
}


async def send_answer(send: Send, status: int, body: bytes, source: str, started: float) -> None:
    """Answer a push and count it. source: the metrics' label; started: by time.perf_counter."""
    metrics.push_counter(source, status).inc()
    metrics.push_duration_of(source).observe(time.perf_counter() - started)
    headers = [(b"content-length", str(len(body)).encode())]
    if body:
        headers += _JSON_HEADERS
    if status == 503:
        headers.append((b"retry-after", b"1"))
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def send_method_not_allowed(send: Send, methods: str) -> None:
    """Answer 405 with the methods that the address takes, such as "POST, PUT"."""
    body = error_body(405, phrase("refusal.takes", methods=methods))
    headers = [
        *_JSON_HEADERS,
        (b"content-length", str(len(body)).encode()),
        (b"allow", methods.encode()),
    ]
    await send({"type": "http.response.start", "status": 405, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def alertmanager_error(code: int, message: str) -> bytes:
    """Return Alertmanager's form of an error of schema or transport."""
    return msgspec.json.encode({"code": code, "message": message})


def error_body(status: int, words: Words) -> bytes:
    """Return amproxy's own form of an error."""
    return msgspec.json.encode(_own_form(status, words))


def _own_form(status: int, words: Words) -> dict[str, Any]:
    own: dict[str, Any] = {"error": _ERROR_NAMES[status], "detail": str(words)}
    if isinstance(words, Phrase):
        own |= {"code": code_of(words, alone=True), "arguments": arguments_of(words)}
    return own


def pagerduty_error(status: int, words: Words) -> bytes:
    """Return an error in the form of PagerDuty's events API, and in amproxy's own beside it."""
    kind, detail = "invalid event" if status == 400 else _ERROR_NAMES[status], str(words)
    own = _own_form(status, words)
    return msgspec.json.encode({"status": kind, "message": detail, "errors": [detail], **own})
