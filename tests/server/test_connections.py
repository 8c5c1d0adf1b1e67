"""Limits of one connection and of all together, with shorter times than the service's."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvicorn
import uvloop
from uvicorn.server import ServerState

from amproxy import metrics
from amproxy.server import connections, protocol
from amproxy.server.connections import Connections
from tests.support.standins.certificate import Certificate

BIG = b"x" * (20 << 20)
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the body that came, with BIG, after a second, or without reading."""
    path, body, headers = scope["path"], b"", dict(scope["headers"])
    more = path != "/early"
    while more:
        event = await receive()
        if event["type"] == "http.disconnect":
            return
        body += event.get("body", b"")
        more = event.get("more_body", False)
    if path == "/slow":
        await asyncio.sleep(1.5)
    if path == "/headers":
        body = b",".join(sorted(dict(scope["headers"]).keys() - headers.keys())) or b"the same"
    body = BIG if path == "/big" else body
    size = str(len(body)).encode()
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", size)]}
    )
    await send({"type": "http.response.body", "body": body})


class Served:
    def __init__(
        self, held: Connections, state: ServerState, port: int, trust: ssl.SSLContext | None
    ) -> None:
        self.held, self.state, self._port, self._trust = held, state, port, trust

    async def connect(self, sent: bytes = b"", *, source: str = "127.0.0.1") -> Stream:
        stream = await asyncio.open_connection(
            "127.0.0.1", self._port, local_addr=(source, 0), ssl=self._trust
        )
        stream[1].write(sent)
        return stream

    async def ask(self, sent: bytes) -> bytes:
        """All that comes until the connection ends."""
        return await rest(await self.connect(sent))


async def rest(stream: Stream) -> bytes:
    got = b""
    with contextlib.suppress(ConnectionError):
        while part := await stream[0].read(1 << 20):
            got += part
    return got


async def head(stream: Stream) -> bytes:
    return await stream[0].readuntil(b"\r\n\r\n")


def request(path: str = "/", length: int = 0) -> bytes:
    return f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n".encode()


@contextlib.asynccontextmanager
async def serving(
    limit: int, listener: Any, certificate: Certificate | None
) -> AsyncIterator[Served]:
    listener = listener or socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    config = uvicorn.Config(application, lifespan="off", log_config=None, server_header=False)
    config.load()
    trust = ssl.create_default_context(cafile=certificate.file) if certificate else None
    config.ssl = certificate.context() if certificate else None
    state = ServerState()
    held = Connections(config, state, listener, limit)
    held.start()
    yield Served(held, state, listener.getsockname()[1], trust)
    held.close()
    listener.close()


def run(
    test: Callable[[Served], Awaitable[None]],
    *,
    limit: int = 100,
    listener: Any = None,
    certificate: Certificate | None = None,
) -> None:
    async def main() -> None:
        async with asyncio.timeout(60), serving(limit, listener, certificate) as served:
            await test(served)

    uvloop.run(main())


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "LOOK_INTERVAL", 0.1)
    monkeypatch.setattr(connections, "STALLED", 0.3)
    monkeypatch.setattr(protocol, "HEAD_TIME", 1.0)
    monkeypatch.setattr(protocol, "BODY_PAUSE", 3.0)
    monkeypatch.setattr(protocol, "BODY_TIME", 8.0)


@pytest.mark.clock
def test_headers_and_bodies_have_a_time_and_bodies_may_take_longer_while_they_come() -> None:
    async def half_headers(served: Served) -> None:
        assert (await served.ask(b"GET / HTTP/1.1\r\nhost:")).startswith(b"HTTP/1.1 408 ")

    async def nothing(served: Served) -> None:
        assert await served.ask(b"") == b""

    async def half_second(served: Served) -> None:
        stream = await served.connect(request())
        assert (await head(stream)).startswith(b"HTTP/1.1 200 ")
        stream[1].write(b"\r\n")
        assert (await rest(stream)).startswith(b"HTTP/1.1 408 ")

    async def half_body(served: Served) -> None:
        assert b"nothing came" in await served.ask(request(length=10) + b"12345")

    async def half_chunk(served: Served) -> None:
        chunked = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\n123"
        assert (await served.ask(chunked)).startswith(b"HTTP/1.1 408 ")

    async def slow_body(served: Served) -> None:
        stream = await served.connect(request(length=10))
        for digit in b"1234567890":
            await asyncio.sleep(0.5)
            stream[1].write(bytes([digit]))
        assert (await head(stream)).startswith(b"HTTP/1.1 200 ")
        stream[1].close()

    async def endless_body(served: Served) -> None:
        stream = await served.connect(request(length=1000))
        answer = asyncio.ensure_future(rest(stream))
        while not answer.done():
            stream[1].write(b"1")
            await asyncio.sleep(0.3)
        assert (await answer).startswith(b"HTTP/1.1 408 ")

    async def slow_service(served: Served) -> None:
        stream = await served.connect(request("/slow"))
        assert (await head(stream)).startswith(b"HTTP/1.1 200 ")
        stream[1].close()

    cases: list[Callable[[Served], Coroutine[Any, Any, None]]] = [
        *(half_headers, nothing, half_second, half_body, half_chunk),
        *(slow_body, endless_body, slow_service),
    ]

    async def all_at_once(served: Served) -> None:
        await asyncio.gather(*(case(served) for case in cases))

    run(all_at_once)


@pytest.mark.clock
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_an_answer_that_nobody_reads_is_dropped_and_a_slow_reader_gets_it(
    tmp_path: Path, tls: bool
) -> None:
    dropped = metrics.connections_cut.labels("unread")._value

    async def unread(served: Served) -> None:
        before, stream = dropped.get(), await served.connect(request("/big"))
        while dropped.get() == before:
            await asyncio.sleep(0.1)
        assert len(await rest(stream)) < len(BIG)

    async def slow(served: Served) -> None:
        stream = await served.connect(request("/big"))
        assert (await head(stream)).startswith(b"HTTP/1.1 200 ")
        got = 0
        while got < len(BIG):
            part = await stream[0].read(4 << 20)
            assert part, got
            got += len(part)
            await asyncio.sleep(0.01)
        stream[1].close()

    async def both(served: Served) -> None:
        await asyncio.gather(unread(served), slow(served))

    run(both, certificate=Certificate(tmp_path) if tls else None)


def test_answers_that_nobody_reads_take_no_more_memory_than_allowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "MAX_UNSENT", 2 * len(BIG))

    async def many(served: Served) -> None:
        held = [await served.connect(request("/big")) for _ in range(8)]

        def unsent() -> int:
            clients: Any = served.state.connections
            return sum(client.transport.get_write_buffer_size() for client in clients)

        while not served.state.connections:
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)
        while unsent() > 2 * len(BIG):
            await asyncio.sleep(0.05)
        for _, writer in held:
            writer.close()

    run(many)


def test_bodies_that_stopped_to_come_make_room_for_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "MAX_BODIES", 1 << 20)
    monkeypatch.setattr(connections, "STALLED", 2.0)

    async def many(served: Served) -> None:
        body = b"x" * 300_000
        held = [await served.connect(request(length=600_000) + body) for _ in range(3)]
        while served.held._bodies < 900_000:
            await asyncio.sleep(0.01)
        # all of them still come: the next has to wait
        assert b" 503 " in await served.ask(request(length=300_000) + body)
        await asyncio.sleep(2.2)
        stream = await served.connect(request(length=300_000) + body)
        assert (await head(stream)).startswith(b"HTTP/1.1 200 ")
        for _, writer in (stream, *held):
            writer.close()
        while served.state.connections:
            await asyncio.sleep(0.01)
        assert served.held._bodies == 0

    run(many)


def test_requests_sent_ahead_are_answered_in_order_up_to_a_number() -> None:
    async def ahead(served: Served) -> None:
        stream = await served.connect(
            b"".join(request(length=2) + b"%02d" % number for number in range(30))
        )
        for number in range(30):
            await head(stream)
            assert await stream[0].readexactly(2) == b"%02d" % number
        stream[1].close()
        flood = await served.connect(request("/slow") * 5000)
        assert len(await rest(flood)) < 200 * protocol.MAX_AHEAD
        assert not served.state.connections

    run(ahead)


@pytest.mark.clock
def test_what_comes_after_the_answer_is_dropped_and_not_for_ever() -> None:
    async def early(served: Served) -> None:
        stream = await served.connect(request("/early", length=1 << 40))
        assert (await head(stream)).startswith(b"HTTP/1.1 200 ")
        ended = asyncio.ensure_future(rest(stream))
        while not ended.done():
            stream[1].write(b"x" * 1000)
            await asyncio.sleep(0.01)

    run(early)


def test_trailers_change_nothing_that_was_read() -> None:
    async def trailers(served: Served) -> None:
        chunked = b"POST /headers HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        stream = await served.connect(chunked + b"1\r\nx\r\n0\r\nauthorization: x\r\n\r\n")
        await head(stream)
        assert await stream[0].readexactly(8) == b"the same"
        stream[1].close()

    run(trailers)


def test_at_the_limit_who_holds_most_gives_way() -> None:
    async def flood(served: Served) -> None:
        good = await served.connect(request(), source="127.0.0.2")
        await head(good)
        # nor does one of theirs that was answered just now
        used = await served.connect(request(), source="127.0.0.3")
        await head(used)
        held = []
        for _ in range(12):
            held.append(await served.connect(b"POST /", source="127.0.0.3"))
            await asyncio.sleep(0.01)  # the loop's clock has milliseconds
        fresh = await served.connect(request())
        assert (await head(fresh)).startswith(b"HTTP/1.1 200 ")
        good[1].write(request())
        assert (await head(good)).startswith(b"HTTP/1.1 200 ")
        used[1].write(request())
        assert (await head(used)).startswith(b"HTTP/1.1 200 ")
        # of those, the oldest went first
        assert await rest(held[0]) == b""
        held[-1][1].write(b" HTTP/1.1\r\ncontent-length: 0\r\n\r\n")
        assert (await head(held[-1])).startswith(b"HTTP/1.1 200 ")
        for _, writer in (good, used, fresh, *held):
            writer.close()

    run(flood, limit=6)


def test_requests_in_hand_stay_and_the_next_is_told_to_come_again() -> None:
    async def busy(served: Served) -> None:
        asked = [await served.connect(request("/slow")) for _ in range(3)]
        while len(served.state.tasks) < 3:
            await asyncio.sleep(0.01)
        assert b"503" in (await served.ask(b""))
        for stream in asked:
            assert (await head(stream)).startswith(b"HTTP/1.1 200 ")
            stream[1].close()

    run(busy, limit=3)


def test_a_system_without_descriptors_is_asked_again_later() -> None:
    class Exhausted:
        """A listener that fails at first."""

        def __init__(self) -> None:
            self._socket, self.failed = socket.create_server(("127.0.0.1", 0)), 0

        def accept(self) -> Any:
            self.failed += 1
            if self.failed <= 2:
                raise OSError(errno.EMFILE, "Too many open files")
            return self._socket.accept()

        def __getattr__(self, name: str) -> Any:
            return getattr(self._socket, name)

    listener = Exhausted()

    async def later(served: Served) -> None:
        stream = await served.connect(request())
        assert (await head(stream)).startswith(b"HTTP/1.1 200 ")
        stream[1].close()

    run(later, listener=listener)
    assert listener.failed < 10
