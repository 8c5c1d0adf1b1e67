"""A process beside the service, for work that would keep its event loop busy for too long.

A thread does not do for that: it shares one interpreter lock with the loop. The process starts when
it is needed, takes one piece of work after the other, and ends when it has been idle for a while,
so that it costs no memory for ever. It inherits no socket, and ends with the service at the latest:
its standard input ends then.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import os
import pickle
import resource
import struct
import sys
import traceback
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from amproxy import timeouts
from amproxy.errors import SideProcessFailed

TIMEOUT = 120.0  # seconds for one piece of work
IDLE_SECONDS = 30.0  # until a process without work ends
MEMORY_BYTES: Final = 4 << 30  # of addresses; the largest file that is read takes less than half
# Bytes of a file with which work is done in a thread: a process takes half a second to start.
SMALL_BYTES = 64 * 1024
_LENGTH: Final = struct.Struct("!Q")


class SideProcess:
    """Runs functions of this package, one at a time. Arguments and results are pickled."""

    def __init__(self) -> None:
        self._child: Process | None = None
        self._one_at_a_time = asyncio.Lock()
        self._ending: asyncio.TimerHandle | None = None

    async def run(self, function: Callable[..., Any], *arguments: Any, size: int) -> list[Any]:
        """Return what a function returns, as the only item, or the items that it yields.

        The loop has a turn between two items: large results are to be yielded in parts. size: of
        the file that the work is about, in bytes. Raises what the function raises, and
        SideProcessFailed.
        """
        if size <= SMALL_BYTES:
            return await asyncio.to_thread(lambda: list(_results(function, arguments)))
        async with self._one_at_a_time:
            if self._ending is not None:
                self._ending.cancel()
            try:
                async with timeouts.limit(TIMEOUT):
                    results, error = await self._run_in_child(function, arguments)
            except TimeoutError:
                await self._kill()
                raise SideProcessFailed("time") from None
            except BaseException:
                # Also when cancelled in the midst of an answer: the next one gets another child.
                await self._kill()
                raise
            finally:
                self._ending = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._end)
        if error is not None:
            raise error
        return results

    async def close(self) -> None:
        """End the process, whatever it does."""
        if self._ending is not None:
            self._ending.cancel()
        await self._kill()

    async def _run_in_child(
        self, function: Callable[..., Any], arguments: tuple[Any, ...]
    ) -> tuple[list[Any], Exception | None]:
        """The results, and what the function raised. Raises SideProcessFailed."""
        child = self._child
        if child is None or child.returncode is not None:
            child = self._child = await _start()
        assert child.stdin is not None and child.stdout is not None
        results: list[Any] = []
        try:
            child.stdin.write(_frame((function, arguments)))
            await child.stdin.drain()
            while True:
                length = _LENGTH.unpack(await child.stdout.readexactly(_LENGTH.size))[0]
                # from our own child
                kind, value = pickle.loads(await child.stdout.readexactly(length))  # noqa: S301
                if kind != "result":
                    return results, value
                results.append(value)
                await asyncio.sleep(0)  # a push that came in meanwhile goes first
        except (OSError, asyncio.IncompleteReadError):
            code = await child.wait()
            killed_or_ended = ("killed", str(-code)) if code < 0 else ("ended", str(code))
            raise SideProcessFailed(*killed_or_ended) from None

    def _end(self) -> None:
        """Let an idle child end."""
        if self._child is not None and self._child.stdin is not None:
            self._child.stdin.close()
            self._child = None

    async def _kill(self) -> None:
        child, self._child = self._child, None
        if child is not None and child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()


async def _start() -> Process:
    # Metrics of worker processes are files in a folder that it names: the child has none.
    environment = {
        name: value for name, value in os.environ.items() if name != "PROMETHEUS_MULTIPROC_DIR"
    }
    try:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "amproxy.sideprocess"),
            env=environment,
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            # signals of the terminal and of the service's process group are not for it
            start_new_session=True,
        )
    except OSError as error:
        raise SideProcessFailed("start", error.strerror or str(error)) from None


def _frame(value: Any) -> bytes:
    data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(data)) + data


def _results(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Iterator[Any]:
    result = function(*arguments)
    if inspect.isgenerator(result):
        yield from result
    else:
        yield result


def _main(requests: BinaryIO, answers: BinaryIO) -> None:
    """In the child: take work from one pipe and answer on the other, until the first ends."""
    gc.disable()  # it would look through millions of living objects again and again
    while header := requests.read(_LENGTH.size):
        # from the service that started this
        function, arguments = pickle.loads(requests.read(_LENGTH.unpack(header)[0]))  # noqa: S301
        try:
            for result in _results(function, arguments):
                answers.write(_frame(("result", result)))
            answers.write(_frame(("raised", None)))
        except Exception as error:  # noqa: BLE001  it is raised, and counted, by the service
            error.add_note(traceback.format_exc())
            if isinstance(error, MemoryError):
                error = SideProcessFailed("memory")
            answers.write(_frame(("raised", error)))
        answers.flush()
        function = arguments = None
        gc.collect()


def _limit() -> None:
    """Put limits on this process: where memory ends, this ends, and not the service."""
    allowed = resource.getrlimit(resource.RLIMIT_AS)[1]
    if allowed == resource.RLIM_INFINITY or allowed > MEMORY_BYTES:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    with contextlib.suppress(OSError):  # Linux only
        Path("/proc/self/oom_score_adj").write_text("1000")


if __name__ == "__main__":
    _limit()
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as answers_pipe:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer
        _main(sys.stdin.buffer, answers_pipe)
