"""A small HTTP/1.1 server on loopback in a thread of its own, for stand-ins: it can also cut an answer off or drop the connection."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import unquote, urlsplit


@dataclass
class Request:
    method: str
    path: str
    query: str
    headers: dict[str, str]  # names in lower case
    body: bytes


@dataclass
class Response:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False  # close the connection instead of answering
    missing: int = 0  # so many bytes of the body are announced but never sent

    @classmethod
    def json(cls, body: Any, status: int = 200, **headers: str) -> Self:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return cls(status, json.dumps(body).encode(), {"Content-Type": "application/json"} | names)


class Server:
    """Calls `handler` for each request, one event loop for all. Use it as a context manager, or start() and stop().

    tls: with it, the server is a proxy as well, and answers in the place of any host that a client connects to through it.
    secure: no proxy, but a server that speaks TLS from the first byte.
    """

    def __init__(
        self,
        handler: Callable[[Request], Awaitable[Response]],
        tls: ssl.SSLContext | None = None,
        *,
        secure: bool = False,
    ) -> None:
        self._handler, self._tls, self._secure = handler, tls, secure
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)
        self.port = 0

    @property
    def address(self) -> str:
        return f"http{'s' if self._secure else ''}://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(60), "the stand-in did not start"

    def stop(self) -> None:
        self.soon(self._over.set)
        self._thread.join(60)

    def soon(self, call: Callable[[], object]) -> None:
        """Run something in the server's loop; from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed already
            self._loop.call_soon_threadsafe(call)

    async def _main(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        connections: set[asyncio.Task[None]] = set()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            connections.add(task)
            with contextlib.suppress(
                ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError
            ):
                await self._serve(reader, writer)
            connections.discard(task)
            writer.transport.abort()

        direct = self._tls if self._secure else None
        server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=direct)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._over.wait()
        server.close()
        for task in list(connections):
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (request := await _read(reader)) is not None:
            if request.method == "CONNECT" and self._tls is not None:
                writer.write(b"HTTP/1.1 200 x\r\n\r\n")
                await writer.start_tls(self._tls)
                continue
            response = await self._handler(request)
            if response.drop:
                return
            headers = {"Content-Length": str(len(response.body)), **response.headers}
            head = f"HTTP/1.1 {response.status} x\r\n" + "".join(
                f"{name}: {value}\r\n" for name, value in headers.items()
            )
            writer.write(
                head.encode() + b"\r\n" + response.body[: len(response.body) - response.missing]
            )
            await writer.drain()
            if response.missing:
                return


async def _read(reader: asyncio.StreamReader) -> Request | None:
    first = await reader.readline()
    if not first.strip():
        return None
    method, target, _ = first.decode("latin-1").split(" ", 2)
    headers: dict[str, str] = {}
    while line := (await reader.readline()).decode("latin-1").strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    parts = urlsplit(target)
    return Request(method, unquote(parts.path), parts.query, headers, body)
