"""The body of a push: size first, then unpacking, never more than is allowed in memory."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class Refused(Exception):
    """A push that is not taken: the HTTP status and a sentence for the sender."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


class Gone(Exception):
    """The sender hung up before its body was whole; nobody waits for an answer."""


def header(scope: Scope, name: bytes) -> str:
    """A request header, "" where it is missing."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value.decode("latin-1"))
    return ""


async def read(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The body as sent. Raises Refused(413) as soon as it is known to be too large, Gone when the sender hangs up."""
    declared = header(scope, b"content-length")
    if declared.isdigit() and int(declared) > limit:
        raise Refused(413, f"the body has {declared} bytes, {limit} are allowed")
    event = await receive()
    if event["type"] == "http.request" and not event.get("more_body"):
        return _within(event.get("body", b""), limit)
    parts, size = [], 0
    while True:
        if event["type"] == "http.disconnect":
            raise Gone
        part = event.get("body", b"")
        size += len(part)
        if size > limit:
            raise Refused(413, f"the body has more than the {limit} bytes that are allowed")
        parts.append(part)
        if not event.get("more_body"):
            return b"".join(parts)
        event = await receive()


def _within(body: bytes, limit: int) -> bytes:
    if len(body) > limit:
        raise Refused(413, f"the body has {len(body)} bytes, {limit} are allowed")
    return body


def unpack(scope: Scope, body: bytes, limit: int) -> bytes:
    """Undo Content-Encoding. Raises Refused: 415 for another encoding than gzip, 413 over the limit, 400 when it is broken."""
    encoding = header(scope, b"content-encoding").strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip"):
        raise Refused(415, f"content encoding {encoding!r} is not supported; gzip and none are")
    unpacker = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacker.decompress(body, limit + 1)
    except zlib.error as error:
        raise Refused(400, f"the body is not gzip: {error}") from None
    if len(unpacked) > limit:
        raise Refused(413, f"the unpacked body has more than the {limit} bytes that are allowed")
    if not unpacker.eof:
        raise Refused(400, "the gzip body ends too early")
    return unpacked
