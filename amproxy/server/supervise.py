"""`amproxy serve --workers N`: several processes on one socket; one that dies is started anew.

A worker prints `ready` on its standard output. It ends when its standard input does, because then
the supervisor is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from pathlib import Path

from amproxy.errors import os_error_words
from amproxy.log import EventLog
from amproxy.server.parts import PartFailed, RestartPolicy

log = EventLog(__name__)

RESTART_DELAYS = (1.0, 5.0)  # seconds before a worker that died is started anew: first, longest
RAN_WELL = 20.0  # seconds: a worker that lived so long is not one more that cannot start
PATIENCE = 20.0  # seconds that workers may die again and again before this process gives up too
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
    called once all of them serve. Raises PartFailed where no worker can be kept running.
    """
    supervisor = _Supervisor(worker_command(arguments), socket_fd, metrics_dir, workers)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, supervisor.ending.set)
    loop.add_signal_handler(signal.SIGHUP, supervisor.send_signal, signal.SIGHUP)
    running = [asyncio.create_task(supervisor.run_worker(slot)) for slot in range(workers)]
    announcing = asyncio.create_task(supervisor.announce(workers, ready))
    ending = asyncio.create_task(supervisor.ending.wait())
    try:
        # A slot is over before the end only by a defect, which is raised below.
        await asyncio.wait([ending, *running], return_when=asyncio.FIRST_COMPLETED)
    finally:  # also when Redis cannot be kept running
        supervisor.ending.set()
        announcing.cancel()
        ending.cancel()
        supervisor.send_signal(signal.SIGTERM)
        await asyncio.wait(running, timeout=grace)
        supervisor.send_signal(signal.SIGKILL)
        for task in running:
            task.cancel()
    for task in running:
        if task.done() and not task.cancelled():
            task.result()
    if supervisor.failure:
        raise PartFailed(supervisor.failure)


class _Supervisor:
    def __init__(self, command: list[str], socket_fd: int, metrics_dir: Path, slots: int) -> None:
        # counters of an earlier run would be added to those of this one
        shutil.rmtree(metrics_dir, ignore_errors=True)
        metrics_dir.mkdir(parents=True)
        self._command, self._socket_fd, self._metrics_dir = command, socket_fd, metrics_dir
        self._environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(metrics_dir)}
        self._children: dict[int, Process] = {}
        self._ready: asyncio.Queue[int] = asyncio.Queue()
        self._slots = slots
        self._hopeless: set[int] = set()  # slots whose workers die again and again
        self.ending = asyncio.Event()
        self.failure = ""

    async def run_worker(self, slot: int) -> None:
        """Run one worker, and another when it dies, until the end."""
        policy = _worker_policy()
        while not self.ending.is_set():
            began = time.monotonic()
            try:
                child = await self._start_child()
            except OSError as error:
                log.error("no worker process can be started", error=os_error_words(error))
                await self._wait_before_restart(slot, policy.next_wait(began, time.monotonic()))
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
            log.error("worker process died; starting another", pid=child.pid, exit_code=code)
            _remove_metrics(self._metrics_dir, child.pid)
            await self._wait_before_restart(slot, policy.next_wait(began, time.monotonic()))

    async def _start_child(self) -> Process:
        return await asyncio.create_subprocess_exec(
            *self._command,
            env=self._environment,
            pass_fds=[self._socket_fd],
            stdin=PIPE,
            stdout=PIPE,
        )

    async def _wait_before_restart(self, slot: int, wait: float | None) -> None:
        """wait: seconds; None = its workers die again and again.

        Begins the end where no slot has a worker that lives; one that has goes on serving.
        """
        if wait is not None:
            self._hopeless.discard(slot)
        else:
            self._hopeless.add(slot)
            if len(self._hopeless) == self._slots and not self.ending.is_set():
                self.failure = "no worker process can be kept running: the log above says why"
                log.error("no worker process can be kept running")
                self.ending.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait or RESTART_DELAYS[1]):
                await self.ending.wait()

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


def worker_command(arguments: list[str]) -> list[str]:
    """The command of a worker process."""
    return [sys.executable, "-m", "amproxy", *arguments]


def _worker_policy() -> RestartPolicy:
    return RestartPolicy(RESTART_DELAYS, ran_well=RAN_WELL, patience=PATIENCE)


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
