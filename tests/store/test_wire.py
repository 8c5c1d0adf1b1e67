"""The connection to Redis: broken where Redis is silent, kept where only this process was."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from amproxy.errors import StoreUnavailable
from amproxy.store import wire as wire_module
from amproxy.store.wire import Wire


class Proxy:
    """Stands between a wire and Redis; while it is `deaf`, nothing comes back."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.deaf = False
        self.connections = 0
        self._writers: list[asyncio.StreamWriter] = []

    async def open(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        self._server.close()

    def break_connections(self) -> None:
        for writer in self._writers:
            writer.close()
        self._writers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        theirs, ours = await asyncio.open_unix_connection(self._path)
        await asyncio.gather(self._pass(reader, ours, True), self._pass(theirs, writer, False))

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, forth: bool
    ) -> None:
        while data := await reader.read(1 << 16):
            if forth or not self.deaf:
                writer.write(data)
        writer.close()


@pytest.fixture
async def proxied(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Proxy, Wire]]:
    monkeypatch.setattr(wire_module, "WATCH_INTERVAL", 0.05)
    monkeypatch.setattr(wire_module, "REDIS_TIMEOUT", 0.5)
    proxy = Proxy(redis_url.removeprefix("unix://"))
    wire = Wire(f"redis://127.0.0.1:{await proxy.open()}/0")
    wire.open()
    await wire.connected()
    yield proxy, wire
    await wire.close()
    await proxy.close()


async def test_a_process_that_was_held_up_does_not_blame_redis(
    proxied: tuple[Proxy, Wire],
) -> None:
    proxy, wire = proxied
    for _ in range(3):
        answer = wire.call("PING")
        await asyncio.sleep(0)
        time.sleep(1.5)  # three times as long as Redis may take
        assert await answer == b"PONG"
    assert wire.up and proxy.connections == 1


async def test_a_redis_that_is_silent_is_given_up_and_asked_anew(
    proxied: tuple[Proxy, Wire],
) -> None:
    proxy, wire = proxied
    proxy.deaf = True
    with pytest.raises(StoreUnavailable):
        await wire.call("PING")
    proxy.deaf = False
    async with asyncio.timeout(30):
        while not wire.up:
            await asyncio.sleep(0.01)
    assert await wire.call("PING") == b"PONG"
    assert proxy.connections > 1


async def test_a_connection_on_which_nothing_is_asked_may_be_silent(
    proxied: tuple[Proxy, Wire],
) -> None:
    proxy, wire = proxied
    await asyncio.sleep(1.0)
    assert wire.up and proxy.connections == 1


async def test_who_follows_redis_hears_once_that_it_is_silent_and_that_it_is_back(
    proxied: tuple[Proxy, Wire], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire_module, "REDIS_TIMEOUT", 60.0)
    proxy, wire = proxied
    told: list[bool] = []
    wire.on_change = told.append
    async with asyncio.timeout(30):
        for silent, heard in ((False, 1), (True, 2), (False, 3)):
            proxy.deaf = silent
            if heard == 3:
                proxy.break_connections()  # what was not answered never will be
            while len(told) < heard:  # although nobody asks Redis for anything
                await asyncio.sleep(0.01)
    assert told == [True, False, True]


async def test_one_that_is_closed_while_redis_goes_away_ends(redis_url: str) -> None:
    proxy = Proxy(redis_url.removeprefix("unix://"))
    url = f"redis://127.0.0.1:{await proxy.open()}/0"
    for turns in range(20):  # of the event loop, between the break of the connection and the end
        wire = Wire(url)
        wire.open()
        await wire.connected()
        proxy.break_connections()
        for _ in range(turns):
            await asyncio.sleep(0)
        async with asyncio.timeout(30):
            await wire.close()
    await proxy.close()
