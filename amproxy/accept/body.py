"""The body of a push: size first, then unpacking, never more than is allowed in memory.

JSON as senders write it, made into values that can be kept. Pure.

RFC 3339 as Alertmanager reads it, to nanoseconds.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class PushRefused(Exception):
    """A push that is not taken: the HTTP status and a sentence for the sender."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


class ClientDisconnected(Exception):
    """The sender hung up before its body was whole; nobody waits for an answer."""


def header(scope: Scope, name: bytes) -> str:
    """A request header, "" where it is missing."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value.decode("latin-1"))
    return ""


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The body as sent. Raises Refused(413) as soon as it is known to be too large, Gone when the sender hangs up."""
    declared = header(scope, b"content-length")
    if declared.isdigit() and int(declared) > limit:
        raise PushRefused(413, f"the body has {declared} bytes, {limit} are allowed")
    event = await receive()
    if event["type"] == "http.request" and not event.get("more_body"):
        return _check_size(event.get("body", b""), limit)
    parts, size = [], 0
    while True:
        if event["type"] == "http.disconnect":
            raise ClientDisconnected
        part = event.get("body", b"")
        size += len(part)
        if size > limit:
            raise PushRefused(413, f"the body has more than the {limit} bytes that are allowed")
        parts.append(part)
        if not event.get("more_body"):
            return b"".join(parts)
        event = await receive()


def _check_size(body: bytes, limit: int) -> bytes:
    if len(body) > limit:
        raise PushRefused(413, f"the body has {len(body)} bytes, {limit} are allowed")
    return body


def decompress_body(scope: Scope, body: bytes, limit: int) -> bytes:
    """Undo Content-Encoding. Raises Refused: 415 for another encoding than gzip, 413 over the limit, 400 when it is broken."""
    encoding = header(scope, b"content-encoding").strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip"):
        raise PushRefused(415, f"content encoding {encoding!r} is not supported; gzip and none are")
    unpacker = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacker.decompress(body, limit + 1)
    except zlib.error as error:
        raise PushRefused(400, f"the body is not gzip: {error}") from None
    if len(unpacked) > limit:
        raise PushRefused(413, f"the unpacked body has more than the {limit} bytes that are allowed")
    if not unpacker.eof:
        raise PushRefused(400, "the gzip body ends too early")
    return unpacked


_MIN_INTEGER: Final = -(2**63)  # whole numbers that the store can write
_MAX_INTEGER: Final = 2**64 - 1


def make_storable(value: Any) -> Any:
    """The same with U+FFFD for lone surrogates, and text for whole numbers of more than 64 bits. Raises RecursionError."""
    match value:
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case int() if not _MIN_INTEGER <= value <= _MAX_INTEGER:
            return str(value)
        case list():
            return [make_storable(one) for one in value]
        case dict():
            return {make_storable(key): make_storable(one) for key, one in value.items()}
    return value


_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)([Tt ])(\d\d:\d\d:\d\d)(?:[.,](\d+))?([Zz]|[+-]\d\d:?\d\d)?", re.ASCII)
MAX_TIME_NS = 2**63 - 1
GO_ZERO_TIME = "0001-01-01T00:00:00"  # Go's zero time: "not given"


class BadTime(ValueError):
    """Not a moment that can be read; the text is for the sender."""


@lru_cache(maxsize=65536)
def parse_time(text: str | None) -> tuple[int, int] | None:
    """Nanoseconds since 1970 and the sender's offset in minutes; None where no time is given (null, Go's zero time).

    An empty text is the year 1970, a time without zone is UTC, a blank instead of T is allowed only there: all as
    Alertmanager has it. Raises BadTime.
    """
    if text is None or text.startswith(GO_ZERO_TIME):
        return None
    if text == "":
        return 1, 0
    found = _RFC3339.fullmatch(text)
    if found is None:
        raise BadTime(f"{text!r} is not an RFC 3339 time")
    day, between, clock, fraction, zone = found.groups()
    if between == " " and zone:
        raise BadTime(f"{text!r} is not an RFC 3339 time: a blank may stand for T only without a zone")
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=UTC)
    except ValueError as error:
        raise BadTime(f"{text!r}: {error}") from None
    offset = _parse_utc_offset(zone)
    nanoseconds = int((fraction or "0")[:9].ljust(9, "0"))
    return (int(moment.timestamp()) - offset * 60) * 10**9 + nanoseconds or 1, offset


def clamp_time(time: tuple[int, int] | None) -> tuple[int, int] | None:
    """Times beyond what 64 bits of nanoseconds hold (the years 1678 to 2262) count as the nearest that they do."""
    return None if time is None else (max(-MAX_TIME_NS, min(time[0], MAX_TIME_NS)), time[1])


def _parse_utc_offset(zone: str | None) -> int:
    if zone is None or zone in "Zz":
        return 0
    hours, minutes = int(zone[1:3]), int(zone[-2:])
    if hours > 23 or minutes > 59:
        raise BadTime(f"there is no offset {zone}")
    return (hours * 60 + minutes) * (-1 if zone[0] == "-" else 1)
