"""Where Redis is: a URL says it, or the sentinels that the URL names. redis-py makes the connection.

One pipelined connection to Redis, shared by everything in a process.

Calls made in the same turn of the event loop leave as one write. redis-py makes the connection (URLs, TLS, sign-in);
packing and parsing are hiredis' own, because redis-py's client costs 55 to 80 us of CPU a call and this about 8.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import hiredis
from redis.asyncio import ConnectionPool
from redis.asyncio.sentinel import Sentinel
from redis.exceptions import RedisError

from amproxy.errors import AmproxyError, StoreUnavailable

REDIS_TIMEOUT = 5.0  # seconds without an answer after which a connection counts as broken
SENTINEL_PORT = 26379


class BadRedisUrl(AmproxyError):
    """An address that amproxy cannot use; the text says why."""


def redis_connector(url: str) -> Callable[[], Awaitable[Any]]:
    """A function that makes a connection to today's Redis, not connected yet. Raises BadRedisUrl.

    redis+sentinel://[user:password@]h1:26379,h2:26379/NAME[/DB] asks the sentinels for the master each time.
    """
    scheme = url.partition(":")[0]
    if scheme == "redis+cluster":
        raise BadRedisUrl("redis+cluster:// is not supported yet: name a single Redis, or its sentinels")
    if scheme == "redis+sentinel":
        return _sentinel_connector(url)
    try:
        pool = ConnectionPool.from_url(url, protocol=2, socket_connect_timeout=REDIS_TIMEOUT)
    except ValueError as error:
        raise BadRedisUrl(f"the address of Redis cannot be used: {error}") from None

    async def direct() -> Any:
        return pool.make_connection()  # type: ignore[no-untyped-call]

    return direct


def _sentinel_connector(url: str) -> Callable[[], Awaitable[Any]]:
    parts = urlsplit(url)
    people, _, hosts = parts.netloc.rpartition("@")
    user, _, password = people.partition(":")
    name, _, database = parts.path.strip("/").partition("/")
    if not hosts or not name or (database and not database.isdigit()):
        raise BadRedisUrl("sentinels are named as redis+sentinel://HOST:PORT,HOST:PORT/MASTER")
    addresses = [(host, int(port or SENTINEL_PORT)) for host, _, port in (pair.partition(":") for pair in hosts.split(","))]
    sentinel = Sentinel(addresses, socket_timeout=REDIS_TIMEOUT, socket_connect_timeout=REDIS_TIMEOUT)  # type: ignore[no-untyped-call]
    options: dict[str, Any] = {"username": unquote(user) or None, "password": unquote(password) or None, "db": int(database or 0)}

    async def by_sentinels() -> Any:
        host, port = await sentinel.discover_master(name)
        pool = ConnectionPool(host=host, port=port, protocol=2, socket_connect_timeout=REDIS_TIMEOUT, **options)
        return pool.make_connection()  # type: ignore[no-untyped-call]

    return by_sentinels


log = logging.getLogger(__name__)

Word = str | bytes | int | float
RECONNECT_WAITS = (0.02, 1.0)  # seconds: first and longest wait between attempts
SCRIPTS = ("ingest", "commit", "claim", "hold", "release")


class RedisRefused(AmproxyError):
    """Redis understood the command and refused it."""


class Wire:
    """`await wire.call("GET", key)`. Raises StoreUnavailable when Redis is away, RedisRefused when it says no."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.up = False
        self._finder = redis_connector(url)
        self._writer: asyncio.StreamWriter | None = None
        self._waiting: deque[tuple[float, asyncio.Future[Any]]] = deque()
        self._packed: list[bytes] = []
        self._sha: dict[str, str] = {}
        self._task: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()

    def open(self) -> None:
        """Begin to connect, and keep connected until `close`."""
        self._task = asyncio.create_task(self._keep())

    async def connected(self) -> None:
        """Wait for the first connection, however long it takes."""
        await self._ready.wait()

    async def close(self) -> None:
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def call(self, *words: Word) -> asyncio.Future[Any]:
        """Send one command; the future gives its answer."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self._writer is None:
            future.set_exception(StoreUnavailable("Redis is away"))
            return future
        if not self._packed:
            asyncio.get_running_loop().call_soon(self._flush)
        self._packed.append(hiredis.pack_command(words))  # type: ignore[arg-type]
        self._waiting.append((time.monotonic(), future))
        return future

    def script(self, name: str, *words: Word) -> asyncio.Future[Any]:
        """Run one of the scripts beside this file; the first word is its one key."""
        return self.call("EVALSHA", self._sha.get(name, ""), 1, *words)

    async def subscribe(self, channel: str, heard: Callable[[str], None]) -> None:
        """Hear what other processes publish, for ever (cancel to stop); gaps while Redis is away are not made up for."""
        while True:
            connection = None
            try:
                connection = await self._finder()
                await connection.connect()
                await connection.send_command("SUBSCRIBE", channel)
                while True:
                    kind, _, text = await connection.read_response(timeout=None)
                    if kind == b"message":
                        heard(text.decode())
            except (RedisError, OSError):
                await asyncio.sleep(RECONNECT_WAITS[1])
            finally:
                if connection is not None:
                    await connection.disconnect(nowait=True)

    def _flush(self) -> None:
        packed, self._packed = self._packed, []
        if self._writer is not None:
            with contextlib.suppress(RuntimeError):  # uvloop's word for a transport that has just closed; the reader notices too
                self._writer.write(b"".join(packed))

    async def _keep(self) -> None:
        wait = RECONNECT_WAITS[0]
        while True:
            connection = None
            try:
                connection = await self._finder()
                await connection.connect()
                # redis-py has no public way to the streams it opened; constraints.txt pins the version that this was tried with
                reader, self._writer = connection._reader, connection._writer
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._read(reader))
                    group.create_task(self._watch())
                    group.create_task(self._prepare())
            except* (RedisError, OSError, StoreUnavailable, RedisRefused) as error:
                if self.up:
                    log.warning("Redis is away: %s", "; ".join(str(e) for e in error.exceptions))
            finally:
                wait = RECONNECT_WAITS[0] if self.up else min(wait * 2, RECONNECT_WAITS[1])
                self._lost()
                if connection is not None:
                    await connection.disconnect(nowait=True)
            await asyncio.sleep(wait)

    async def _prepare(self) -> None:
        here = Path(__file__).parent
        for name in SCRIPTS:
            self._sha[name] = (await self.call("SCRIPT", "LOAD", (here / f"{name}.lua").read_text("utf-8"))).decode()
        self.up = True
        self._ready.set()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        parser = hiredis.Reader(notEnoughData=...)
        while data := await reader.read(1 << 18):
            parser.feed(data)
            while (answer := parser.gets()) is not ...:
                _, future = self._waiting.popleft()
                if future.done():
                    continue
                if isinstance(answer, hiredis.ReplyError):
                    future.set_exception(_build_error(str(answer)))
                else:
                    future.set_result(answer)
        raise StoreUnavailable("Redis closed the connection")

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(1)
            if self._waiting and time.monotonic() - self._waiting[0][0] > REDIS_TIMEOUT:
                raise StoreUnavailable("Redis does not answer")

    def _lost(self) -> None:
        self._writer = None
        self._packed.clear()
        self.up = False
        while self._waiting:
            _, future = self._waiting.popleft()
            if not future.done():
                future.set_exception(StoreUnavailable("Redis went away before it answered"))
                future.exception()  # of several calls made together, the first failure ends the wait for the others


def _build_error(text: str) -> AmproxyError:
    """Answers that mean "not now" count as being away, so that callers need one rule only."""
    away = ("LOADING", "READONLY", "MASTERDOWN", "NOSCRIPT", "MISCONF", "OOM", "CLUSTERDOWN", "BUSY ")
    return StoreUnavailable(text) if text.startswith(away) else RedisRefused(text)
