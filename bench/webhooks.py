"""A webhook on loopback that records the first request about each push, and answers 200."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

_LENGTH = re.compile(rb"(?i)content-length: *(\d+)")
_PUSH = re.compile(rb"push-(\d{9})")
_RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Listener:
    """The first request about each push.

    `arrivals` is its first byte: number of the push → time.perf_counter().
    """

    def __init__(self) -> None:
        self.arrivals: dict[int, float] = {}
        self.requests = 0
        self.port = 0


class _Protocol(asyncio.Protocol):
    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._buffer = bytearray()
        self._missing = 0  # bytes of the request that have not come yet
        self._began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        if not self._buffer:
            self._began = time.perf_counter()
        self._buffer += data
        if len(self._buffer) < self._missing:
            return
        head, blank, body = bytes(self._buffer).partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not blank or len(body) < (int(length[1]) if length else 0):
            self._missing = len(head) + 4 + int(length[1]) if blank and length else 0
            return
        self._listener.requests += 1
        for number in _PUSH.findall(body):
            # One request may carry many pushes, and a push may come again when it is retried.
            self._listener.arrivals.setdefault(int(number), self._began)
        self._buffer, self._missing = bytearray(), 0
        self._transport.write(_RESPONSE)


@asynccontextmanager
async def listening() -> AsyncIterator[Listener]:
    """A listener that is open as long as the `with`."""
    listener = Listener()
    server = await asyncio.get_running_loop().create_server(
        lambda: _Protocol(listener), "127.0.0.1", 0
    )
    listener.port = server.sockets[0].getsockname()[1]
    try:
        yield listener
    finally:
        server.close()
