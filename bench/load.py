"""The load generator: keep-alive connections that write ready-made bytes.

Of a response they read only the status, so that the generator stays cheaper than any service.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from typing import NamedTuple, cast

from bench.alerts import Next

CONNECTIONS = 16
PATIENCE = 10.0  # seconds after the end of a round in which its last responses must come
_BLANK = b"\r\n\r\n"
_EMPTY = b"ength: 0\r"  # Go and uvicorn spell the rest differently
_LENGTH = re.compile(rb"(?i)content-length: *(\d+)")


class Round(NamedTuple):
    """Pushes answered in one round, and its length."""

    pushes: int
    seconds: float

    @property
    def rate(self) -> float:
        """Pushes a second."""
        return self.pushes / self.seconds


class Refused(Exception):
    """A response other than 200: the figures of the round would be worthless."""


class Connection(asyncio.Protocol):
    """One connection; calls `answered` at each 200, `failed` at anything else."""

    def __init__(
        self, answered: Callable[[Connection], None], failed: Callable[[Exception], None]
    ) -> None:
        self._answered, self._failed = answered, failed
        self._partial = b""
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        if self._partial:
            data, self._partial = self._partial + data, b""
        if not _whole(data):
            self._partial = data
        elif data.startswith(b"HTTP/1.1 200"):
            self._answered(self)
        else:
            self._failed(Refused(data[:300].decode("utf-8", "replace")))

    def connection_lost(self, exc: Exception | None) -> None:
        self._failed(exc or ConnectionError("the connection was closed"))


def _whole(response: bytes) -> bool:
    """Tell if all of a response has come."""
    if _EMPTY in response and response.endswith(_BLANK):  # nearly always: nothing is parsed
        return True
    head, blank, body = response.partition(_BLANK)
    length = _LENGTH.search(head)
    return bool(blank) and len(body) >= (int(length[1]) if length else 0)


async def connect(
    port: int,
    count: int,
    answered: Callable[[Connection], None],
    failed: Callable[[Exception], None],
) -> list[Connection]:
    """Open `count` connections on loopback."""
    loop = asyncio.get_running_loop()
    connections = []
    for _ in range(count):
        _, connection = await loop.create_connection(
            lambda: Connection(answered, failed), "127.0.0.1", port
        )
        connections.append(connection)
    return connections


async def closed_loop(port: int, following: Next, *, seconds: float, pushes: int = 10**12) -> Round:
    """Send the next request on each connection as soon as its last one is answered.

    Ends when `seconds` or `pushes` are used up. Raises Refused at the first response other than
    200, OSError where a connection breaks, TimeoutError where responses stay out.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[float] = loop.create_future()
    sent = done = 0
    stop = float("inf")

    def answered(connection: Connection) -> None:
        nonlocal sent, done
        done += 1
        if time.perf_counter() < stop and sent < pushes:
            sent += 1
            connection.transport.write(following())
        elif done == sent and not ended.done():
            ended.set_result(time.perf_counter())

    def failed(error: Exception) -> None:
        if not ended.done():
            ended.set_exception(error)

    connections = await connect(port, CONNECTIONS, answered, failed)
    started = time.perf_counter()
    stop = started + seconds
    for connection in connections[: min(CONNECTIONS, pushes)]:
        sent += 1
        connection.transport.write(following())
    try:
        finished = await asyncio.wait_for(ended, seconds + PATIENCE)
    finally:
        # Not close(): it would first write out requests that no longer matter.
        for connection in connections:
            connection.transport.abort()
    return Round(done, finished - started)
