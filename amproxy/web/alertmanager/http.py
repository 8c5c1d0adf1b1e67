"""What the API answers, in Alertmanager's three shapes: a value, a coded error, a bare text.

A request of the API: its query, its path and its body, read as Alertmanager reads them.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import msgspec

from amproxy.accept import body as bodies
from amproxy.accept.body import PushRefused, Receive, Scope, Send, header
from amproxy.labels.matchers import BadMatcher, Matcher, parse_matcher

_encode = msgspec.json.Encoder(order="deterministic").encode  # maps sorted by key, as Go prints them

HeaderPairs = tuple[tuple[str, str], ...]


class AlertmanagerResponse(NamedTuple):
    """An answer to one request; a body is JSON."""

    status: int = 200
    body: bytes = b""
    headers: HeaderPairs = ()

    async def send(self, send: Send, extra: HeaderPairs = ()) -> None:
        """Send it over ASGI, with more headers."""
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in (*self.headers, *extra)]
        headers.append((b"content-length", str(len(self.body)).encode()))
        if self.body:
            headers.append((b"content-type", b"application/json"))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


class AlertmanagerApiError(Exception):
    """A request that is answered with an error."""

    def __init__(self, answer: AlertmanagerResponse) -> None:
        super().__init__(answer.status)
        self.answer = answer


def value_response(shown: Any) -> AlertmanagerResponse:
    """200 with a struct, or a list of them."""
    return AlertmanagerResponse(200, _encode(shown) + b"\n")


def coded_error(status: int, message: str, *, code: int | None = None, headers: HeaderPairs = ()) -> AlertmanagerResponse:
    """An error of schema or transport: {"code", "message"}; where no code is given it is the status."""
    return AlertmanagerResponse(status, _encode({"code": status if code is None else code, "message": message}), headers)


def bare_error(status: int, text: str) -> AlertmanagerResponse:
    """An error that the call itself found: one JSON text."""
    return AlertmanagerResponse(status, _encode(text) + b"\n")


MAX_BODY_BYTES = 1 << 20  # bytes of a body
MAX_QUERY_FIELDS = 1000  # of a query, at most

_TRUE_VALUES = frozenset(("true", "1", "yes", "ok", "y", "on", "selected", "checked", "t", "enabled"))
_UUID = re.compile("[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}", re.ASCII | re.IGNORECASE)


class AlertmanagerQuery:
    """The part of the address after the question mark. Unknown parameters are ignored, of repeated ones the last counts."""

    def __init__(self, raw: bytes) -> None:
        try:
            self._values = parse_qs(raw.decode("latin-1"), keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS)
        except ValueError:
            raise AlertmanagerApiError(coded_error(400, f"the query has more than {MAX_QUERY_FIELDS} parameters")) from None

    def flag(self, name: str) -> bool:
        """A boolean that is true unless something else is said; of what is said, only words such as true, 1 and yes are true."""
        said = self._last(name)
        return not said or said.lower() in _TRUE_VALUES

    def matchers(self, name: str) -> list[Matcher]:
        """All matchers of a parameter that may be repeated; one each, without braces. Raises Refusal."""
        try:
            return [parse_matcher(text) for text in self._values.get(name, ())]
        except BadMatcher as error:
            raise AlertmanagerApiError(bare_error(400, f"bad matcher format: {error}")) from None

    def receiver(self) -> Matcher | None:
        """The receiver's name as an anchored regular expression; None = any. Raises Refusal."""
        said = self._last("receiver")
        try:
            return Matcher("receiver", "=~", said) if said else None
        except BadMatcher as error:
            raise AlertmanagerApiError(bare_error(400, f"failed to parse receiver param: {error}")) from None

    def _last(self, name: str) -> str:
        return self._values.get(name, ("",))[-1]


class AlertmanagerRequest(NamedTuple):
    """One request whose path and method are known already."""

    scope: Scope
    receive: Receive
    rest: str = ""  # of a path: what stands in the place of its parameter

    @property
    def query(self) -> AlertmanagerQuery:
        """Raises Refusal."""
        return AlertmanagerQuery(self.scope["query_string"])

    def silence_id(self) -> str:
        """The id in the path. Raises Refusal (422) for what is no UUID."""
        if not _UUID.fullmatch(self.rest):
            raise AlertmanagerApiError(coded_error(422, f'silenceID in path must be of type uuid: "{self.rest}"', code=601))
        return self.rest

    async def json(self) -> bytes:
        """The body, which must say that it is JSON. Raises Refusal (413, 415), Gone."""
        length = header(self.scope, b"content-length")
        kind = header(self.scope, b"content-type").partition(";")[0].strip().lower() or "application/octet-stream"
        if kind != "application/json" and length != "0":
            raise AlertmanagerApiError(coded_error(415, f'unsupported media type "{kind}", only [application/json] are allowed'))
        try:
            return await bodies.read_body(self.scope, self.receive, MAX_BODY_BYTES)
        except PushRefused as error:
            raise AlertmanagerApiError(coded_error(error.status, error.detail)) from None
