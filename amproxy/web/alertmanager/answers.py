"""What the API answers, in Alertmanager's three shapes: a value, a coded error, a bare text."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from amproxy.accept.body import Send

_encode = msgspec.json.Encoder(order="deterministic").encode  # maps sorted by key, as Go prints them

Headers = tuple[tuple[str, str], ...]


class Answer(NamedTuple):
    """An answer to one request; a body is JSON."""

    status: int = 200
    body: bytes = b""
    headers: Headers = ()

    async def send(self, send: Send, extra: Headers = ()) -> None:
        """Send it over ASGI, with more headers."""
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in (*self.headers, *extra)]
        headers.append((b"content-length", str(len(self.body)).encode()))
        if self.body:
            headers.append((b"content-type", b"application/json"))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


class Refusal(Exception):
    """A request that is answered with an error."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def value(shown: Any) -> Answer:
    """200 with a struct, or a list of them."""
    return Answer(200, _encode(shown) + b"\n")


def coded(status: int, message: str, *, code: int | None = None, headers: Headers = ()) -> Answer:
    """An error of schema or transport: {"code", "message"}; where no code is given it is the status."""
    return Answer(status, _encode({"code": status if code is None else code, "message": message}), headers)


def bare(status: int, text: str) -> Answer:
    """An error that the call itself found: one JSON text."""
    return Answer(status, _encode(text) + b"\n")
