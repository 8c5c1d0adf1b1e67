"""Requests and responses of the API v2, read and written exactly as Alertmanager does."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import msgspec

from amproxy.accept.body import PushRefused, Receive, Scope, Send, header, read_body
from amproxy.labels.matchers import BadMatcher, Matcher, parse_matcher

MAX_BODY_BYTES = 1 << 20
MAX_QUERY_FIELDS = 1000
SENT_AT_ONCE = 1 << 18  # bytes

_TRUE_VALUES = frozenset(
    ("true", "1", "yes", "ok", "y", "on", "selected", "checked", "t", "enabled")
)
_UUID = re.compile("[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}", re.ASCII | re.IGNORECASE)

# deterministic: maps sorted by key, as Go prints them
encode_value = msgspec.json.Encoder(order="deterministic").encode

HeaderPairs = tuple[tuple[str, str], ...]


class AlertmanagerResponse(NamedTuple):
    """A response; its body, if any, is JSON."""

    status: int = 200
    body: bytes = b""
    headers: HeaderPairs = ()

    async def send(self, send: Send, extra: HeaderPairs = ()) -> None:
        """Send the response over ASGI, with extra headers."""
        headers = [
            (name.encode("latin-1"), value.encode("latin-1"))
            for name, value in (*self.headers, *extra)
        ]
        headers.append((b"content-length", str(len(self.body)).encode()))
        if self.body:
            headers.append((b"content-type", b"application/json"))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        # In pieces: each waits until the reader has taken most of those before.
        for start in range(SENT_AT_ONCE, len(self.body), SENT_AT_ONCE):
            piece = self.body[start - SENT_AT_ONCE : start]
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        rest = (len(self.body) - 1) // SENT_AT_ONCE * SENT_AT_ONCE
        await send({"type": "http.response.body", "body": self.body[max(0, rest) :]})


class AlertmanagerApiError(Exception):
    """An error as a response, raised while a request is handled."""

    def __init__(self, response: AlertmanagerResponse) -> None:
        super().__init__(response.status)
        self.response = response


class AlertmanagerStream(NamedTuple):
    """200 with JSON that is made while it is sent: nobody holds all of it."""

    begun: bytes
    rest: AsyncIterator[bytes]

    async def send(self, send: Send, extra: HeaderPairs = ()) -> None:
        """Send the response over ASGI, with extra headers. Raises what the making of it raises."""
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in extra]
        headers.append((b"content-type", b"application/json"))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self.begun, "more_body": True})
        # Each waits until the reader has taken most of those before.
        async for piece in self.rest:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def list_response(
    request: AlertmanagerRequest, values: AsyncIterator[bytes]
) -> AlertmanagerResponse | AlertmanagerStream:
    """A list whose inside comes in pieces. A small one is sent with its length.

    Raises what the making of its beginning raises.
    """
    pieces = _filled(_in_brackets(values))
    begun = await anext(pieces)
    # A client of HTTP/1.0 knows no pieces.
    if len(begun) < SENT_AT_ONCE or request.scope.get("http_version") == "1.0":
        return AlertmanagerResponse(200, b"".join([begun, *[piece async for piece in pieces]]))
    return AlertmanagerStream(begun, pieces)


async def _in_brackets(values: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield b"["
    async for piece in values:
        yield piece
    yield b"]\n"


async def _filled(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same, each but the last at least SENT_AT_ONCE bytes long."""
    waiting, size = list[bytes](), 0
    async for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= SENT_AT_ONCE:
            yield b"".join(waiting)
            waiting.clear()
            size = 0
    if waiting:
        yield b"".join(waiting)


def value_response(value: Any) -> AlertmanagerResponse:
    """200 with a struct, or a list of them."""
    return AlertmanagerResponse(200, encode_value(value) + b"\n")


def coded_error(
    status: int, message: str, *, code: int | None = None, headers: HeaderPairs = ()
) -> AlertmanagerResponse:
    """An error of schema or transport: {"code", "message"}; the default code is the status."""
    body = encode_value({"code": status if code is None else code, "message": message})
    return AlertmanagerResponse(status, body, headers)


def bare_error(status: int, text: str) -> AlertmanagerResponse:
    """An error of the call itself: one JSON string."""
    return AlertmanagerResponse(status, encode_value(text) + b"\n")


class AlertmanagerQuery:
    """The query of an address. Unknown parameters are ignored, of repeated ones the last counts.

    All methods raise AlertmanagerApiError (400).
    """

    def __init__(self, raw: bytes) -> None:
        text = raw.decode("latin-1")
        try:
            self._values = parse_qs(text, keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS)
        except ValueError:
            message = f"the query has more than {MAX_QUERY_FIELDS} parameters"
            raise AlertmanagerApiError(coded_error(400, message)) from None

    def flag(self, name: str) -> bool:
        """A boolean: true if missing, empty, or a word such as true, 1 and yes."""
        value = self._last(name)
        return not value or value.lower() in _TRUE_VALUES

    def matchers(self, name: str) -> list[Matcher]:
        """The matchers of a parameter that may be repeated: one each, without braces."""
        try:
            return [parse_matcher(text) for text in self._values.get(name, ())]
        except BadMatcher as error:
            raise AlertmanagerApiError(bare_error(400, f"bad matcher format: {error}")) from None

    def receiver(self) -> Matcher | None:
        """The receiver's name as an anchored regular expression; None = any."""
        pattern = self._last("receiver")
        try:
            return Matcher("receiver", "=~", pattern) if pattern else None
        except BadMatcher as error:
            text = f"failed to parse receiver param: {error}"
            raise AlertmanagerApiError(bare_error(400, text)) from None

    def _last(self, name: str) -> str:
        return self._values.get(name, ("",))[-1]


class AlertmanagerRequest(NamedTuple):
    """A request whose path and method are valid."""

    scope: Scope
    receive: Receive
    path_parameter: str = ""

    @property
    def query(self) -> AlertmanagerQuery:
        """Raises AlertmanagerApiError (400)."""
        return AlertmanagerQuery(self.scope["query_string"])

    def silence_id(self) -> str:
        """The ID in the path. Raises AlertmanagerApiError (422) where it is no UUID."""
        text = self.path_parameter
        if not _UUID.fullmatch(text):
            message = f'silenceID in path must be of type uuid: "{text}"'
            raise AlertmanagerApiError(coded_error(422, message, code=601))
        return text

    async def json(self) -> bytes:
        """The body, declared JSON. Raises AlertmanagerApiError (413, 415), ClientDisconnected."""
        length = header(self.scope, b"content-length")
        media_type = header(self.scope, b"content-type").partition(";")[0].strip().lower()
        media_type = media_type or "application/octet-stream"
        if media_type != "application/json" and length != "0":
            message = f'unsupported media type "{media_type}", only [application/json] are allowed'
            raise AlertmanagerApiError(coded_error(415, message))
        try:
            return await read_body(self.scope, self.receive, MAX_BODY_BYTES)
        except PushRefused as error:
            raise AlertmanagerApiError(coded_error(error.status, error.detail)) from None
