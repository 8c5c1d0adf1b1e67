"""`amproxy serve --workers N`: several processes on one socket; one that dies is started anew.

A worker prints `ready` on its standard output. It ends when its standard input does, because then
the supervisor is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from pathlib import Path

from amproxy.errors import os_error_words

log = logging.getLogger("amproxy")

RESTART_DELAY = 1.0  # seconds before a worker process that died is started anew
READY_LINE = b"ready\n"


async def supervise(
    arguments: list[str],
    socket_fd: int,
    metrics_dir: Path,
    *,
    workers: int,
    grace: float,
    ready: Callable[[], None],
) -> None:
    """Run workers until SIGINT or SIGTERM; pass SIGHUP on to each.

    arguments: of a worker's `amproxy` command. grace: seconds that workers have to end. ready:
    called once all of them serve.
    """
    supervisor = _Supervisor([sys.executable, "-m", "amproxy", *arguments], socket_fd, metrics_dir)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, supervisor.ending.set)
    loop.add_signal_handler(signal.SIGHUP, supervisor.send_signal, signal.SIGHUP)
    running = [asyncio.create_task(supervisor.run_worker(slot)) for slot in range(workers)]
    announcing = asyncio.create_task(supervisor.announce(workers, ready))
    try:
        await supervisor.ending.wait()
    finally:  # also when Redis cannot be kept running
        supervisor.ending.set()
        announcing.cancel()
        supervisor.send_signal(signal.SIGTERM)
        await asyncio.wait(running, timeout=grace)
        supervisor.send_signal(signal.SIGKILL)
        for task in running:
            task.cancel()


class _Supervisor:
    def __init__(self, command: list[str], socket_fd: int, metrics_dir: Path) -> None:
        # counters of an earlier run would be added to those of this one
        shutil.rmtree(metrics_dir, ignore_errors=True)
        metrics_dir.mkdir(parents=True)
        self._command, self._socket_fd, self._metrics_dir = command, socket_fd, metrics_dir
        self._environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(metrics_dir)}
        self._children: dict[int, Process] = {}
        self._ready: asyncio.Queue[int] = asyncio.Queue()
        self.ending = asyncio.Event()

    async def run_worker(self, slot: int) -> None:
        """Run one worker, and another when it dies, until the end."""
        while not self.ending.is_set():
            try:
                child = await self._start_child()
            except OSError as error:
                log.error("no worker process can be started: %s", os_error_words(error))
                await self._wait_before_restart()
                continue
            self._children[slot] = child
            if self.ending.is_set():  # the others got the signal while this one was being started
                child.terminate()
            assert child.stdout is not None
            if await child.stdout.readline() == READY_LINE:
                self._ready.put_nowait(slot)
            code = await child.wait()
            if self.ending.is_set():
                return
            log.error("worker process %s died (exit code %s); starting another", child.pid, code)
            _remove_metrics(self._metrics_dir, child.pid)
            await self._wait_before_restart()

    async def _start_child(self) -> Process:
        return await asyncio.create_subprocess_exec(
            *self._command,
            env=self._environment,
            pass_fds=[self._socket_fd],
            stdin=PIPE,
            stdout=PIPE,
        )

    async def _wait_before_restart(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.ending.wait(), RESTART_DELAY)

    async def announce(self, workers: int, ready: Callable[[], None]) -> None:
        """Call `ready` as soon as every worker has been ready once."""
        slots: set[int] = set()
        while len(slots) < workers:
            slots.add(await self._ready.get())
        ready()

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to every running worker."""
        for child in self._children.values():
            if child.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    child.send_signal(number)


def _remove_metrics(folder: Path, pid: int) -> None:
    """Remove the gauges of a process that is gone; its counters still count."""
    for path in folder.glob(f"gauge_live*_{pid}.db"):
        path.unlink()


def report_ready() -> None:
    """In a worker: report to the supervisor that this process serves."""
    os.write(sys.stdout.fileno(), READY_LINE)


def on_orphaned(do: Callable[[], None]) -> None:
    """In a worker: call `do` when the supervisor is gone."""
    loop, source = asyncio.get_running_loop(), sys.stdin.fileno()

    def readable() -> None:
        if not os.read(source, 1):
            loop.remove_reader(source)
            do()

    loop.add_reader(source, readable)
