"""A server that answers each push with 200 and does nothing else.

Its rate is the most that the load generator can do: figures close to it measure the generator.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import cast

import uvloop

from bench import cores

_LENGTH = re.compile(rb"Content-Length: (\d+)")
_RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class _Trivial(asyncio.Protocol):
    def __init__(self) -> None:
        self._missing = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        if self._missing:
            self._missing -= len(data)
        else:
            head = data.index(b"\r\n\r\n") + 4
            length = _LENGTH.search(data, 0, head)
            assert length
            self._missing = head + int(length[1]) - len(data)
        # The generator sends one request at a time: nothing follows its last byte.
        if not self._missing:
            self._transport.write(_RESPONSE)


@contextlib.contextmanager
def trivial() -> Iterator[int]:
    """The port of such a server, in a process of its own on the service's core."""
    with cores.starting_on(cores.SERVICE):
        argv = [sys.executable, "-m", "bench.trivial"]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    assert process.stdout
    try:
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Trivial, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve())
