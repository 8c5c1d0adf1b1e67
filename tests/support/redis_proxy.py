"""A proxy between amproxy and a real Redis that has chosen commands answered with chosen errors.

    with RedisProxy(redis.url) as proxy:
        amproxy = servers.amproxy(ROUTES, redis_url=proxy.url)
        with proxy.refusing("OOM command not allowed", "ZADD", "EVALSHA commit"):
            ...

A command is named by its first word; a script by "EVALSHA commit"; a command on certain keys by
"HGET incident:" (what its first key begins with, without amproxy's prefix). A refused command is
not carried out: Redis gets a script in its place that answers the error, so all answers keep their
order without being read here.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Self
from urllib.parse import urlsplit

from amproxy.store.keys import P
from amproxy.store.wire import SCRIPTS, script_source

NAME_OF_SCRIPT = {hashlib.sha1(script_source(name).encode()).hexdigest(): name for name in SCRIPTS}
_REFUSE = b"return redis.error_reply(ARGV[1])"
# Before these no answer of a script is possible: the connection speaks another protocol.
_UNTOUCHED = ("SUBSCRIBE", "HELLO", "CLIENT", "AUTH", "SELECT")


class Fault:
    """An error for some commands; `hits` counts what was refused."""

    def __init__(self, error: str, names: tuple[str, ...], nth: int) -> None:
        self.error, self.names, self.nth, self.hits = error, names, nth, Counter[str]()
        self._seen = 0

    def refuses(self, names: list[str]) -> bool:
        matching = [name for name in names if name in self.names] or (
            [names[0]] if "*" in self.names else []
        )
        if not matching:
            return False
        self._seen += 1
        if self._seen % self.nth:
            return False
        self.hits[matching[0]] += 1
        return True


class RedisProxy:
    """Listens on loopback in a thread of its own; `seen` counts the commands by name."""

    def __init__(self, redis_url: str) -> None:
        parts = urlsplit(redis_url)
        self._path = parts.path if parts.scheme == "unix" else ""
        self._host, self._port = parts.hostname or "", parts.port or 0
        self.seen: Counter[str] = Counter()
        self._faults: list[Fault] = []
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)
        self.url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(60), "the proxy did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(60)

    @contextlib.contextmanager
    def refusing(self, error: str, *names: str, nth: int = 1) -> Iterator[Fault]:
        """Answer commands of these names ("*" = any) with an error; with `nth`, each n-th only."""
        fault = Fault(error, names, nth)
        self._faults.append(fault)
        try:
            yield fault
        finally:
            self._faults.remove(fault)

    async def _main(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
        self._ready.set()
        await self._over.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def _serve(self, client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            if self._path:
                redis, commands = await asyncio.open_unix_connection(self._path)
            else:
                redis, commands = await asyncio.open_connection(self._host, self._port)
            pumps = [
                asyncio.ensure_future(self._pass_commands(client, commands)),
                asyncio.ensure_future(_pass(redis, answers)),
            ]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
                commands.close()
        answers.close()

    async def _pass_commands(
        self, client: asyncio.StreamReader, commands: asyncio.StreamWriter
    ) -> None:
        while True:
            words = await _read_command(client)
            names = _names(words)
            self.seen[names[-1] if names[0] == "EVALSHA" else names[0]] += 1
            if names[0] not in _UNTOUCHED:
                # a copy: another thread may end a fault at this moment
                for fault in list(self._faults):
                    if fault.refuses(names):
                        words = [b"EVAL", _REFUSE, b"0", fault.error.encode()]
                        break
            commands.write(_pack(words))
            await commands.drain()


async def _pass(redis: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
    while data := await redis.read(1 << 16):
        answers.write(data)
        await answers.drain()


async def _read_command(client: asyncio.StreamReader) -> list[bytes]:
    """One command as clients send it: an array of texts."""
    count = int((await client.readexactly(1) and await client.readuntil(b"\r\n"))[:-2])
    words = []
    for _ in range(count):
        size = int((await client.readuntil(b"\r\n"))[1:-2])
        words.append((await client.readexactly(size + 2))[:-2])
    return words


def _pack(words: list[bytes]) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in words)


def _names(words: list[bytes]) -> list[str]:
    """All names of one command, the shortest first."""
    command = words[0].decode().upper()
    names = [command]
    if command == "EVALSHA":
        names.append(f"EVALSHA {NAME_OF_SCRIPT.get(words[1].decode(), 'unknown')}")
    elif len(words) > 1:
        key = next(
            (w.decode("utf-8", "replace") for w in words[1:] if w.startswith(P.encode())), ""
        )
        if key:
            names.append(f"{command} {re.split('(?<=:)', key.removeprefix(P), maxsplit=1)[0]}")
    return names
