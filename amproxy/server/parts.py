"""The long-lived parts of a process: each is kept running, and one that cannot be ends the process.

An error of Redis never counts against a part: it waits, for ever, until Redis is there again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from amproxy import metrics
from amproxy.errors import AmproxyError, StoreUnavailable
from amproxy.log import EventLog

log = EventLog(__name__)

START: Final = "start"  # the work before the loops begin
TIMERS: Final = "timers"
DELIVERY: Final = "delivery"
# The parts without which nobody is told: while one of them does not run, pushes are refused. All
# others delay something else, and are only reported.
VITAL: Final = frozenset({START, TIMERS, DELIVERY})
# Seconds before a part that ended begins anew: at first, and at most.
RESTART_WAITS: Final = (0.1, 2.0)
# Seconds. A part that ran for so long ran well: its end is not one more of a row.
RAN_WELL: Final = 5.0
# Seconds that a row of ends may last. With the last run, its wait and an orderly end of the process
# this stays below half a minute.
PATIENCE: Final = 15.0
REDIS_WAIT: Final = 0.25  # seconds until the next attempt of what Redis has refused
STOP_TIMEOUT: Final = 5.0  # seconds that a stop waits for all parts together

Run = Callable[[], Coroutine[Any, Any, object]]


class PartFailed(AmproxyError):
    """A part that cannot be kept running; the text says which and why."""


class RestartPolicy:
    """Decides over the ends of one part, or of one worker process: the clock is an argument."""

    def __init__(
        self,
        waits: tuple[float, float] = RESTART_WAITS,
        *,
        ran_well: float = RAN_WELL,
        patience: float = PATIENCE,
    ) -> None:
        """All in seconds. waits: before the first restart, and the longest."""
        self._waits, self._ran_well, self._patience = waits, ran_well, patience
        self._wait = waits[0]
        self._row_began: float | None = None  # the first end of the present row

    def next_wait(self, began: float, ended: float) -> float | None:
        """Seconds until the next start after a run; None = it has ended too often, give up."""
        if self._row_began is None or ended - began >= self._ran_well:
            self._row_began, self._wait = ended, self._waits[0]
        if ended - self._row_began >= self._patience:
            return None
        wait, self._wait = self._wait, min(2 * self._wait, self._waits[1])
        return wait


class Parts:
    """All parts of one process. `stop` ends them, the latest first."""

    def __init__(self, policy: Callable[[], RestartPolicy] = RestartPolicy) -> None:
        """policy: makes the policy of one part."""
        self._policy = policy
        # Part that does not run now → the reason, "" = it has not begun yet.
        self.stopped: dict[str, str] = {}
        self.failure = ""  # the part that cannot be kept running, and why; "" = there is none
        self.on_failure: Callable[[], object] = lambda: None  # begins the end of the process
        self._tasks: dict[asyncio.Task[None], None] = {}  # in the order of their start
        self._ended = set[asyncio.Task[None]]()  # by `stop`

    @property
    def vital_stopped(self) -> list[str]:
        """The parts that do not run now and without which nobody is told."""
        return sorted(VITAL.intersection(self.stopped))

    def expect(self, *names: str) -> None:
        """Count parts as stopped until they run for the first time."""
        for name in names:
            self._mark_stopped(name, "")

    def keep(self, name: str, run: Run) -> None:
        """Run a loop for ever: when it ends it begins anew."""
        self.spawn(self._keep(name, run, once=False)).set_name(name)

    def complete(self, name: str, run: Run) -> asyncio.Task[None]:
        """Run work until it succeeds once. Pushes and /-/ready wait for it like for a loop."""
        self._mark_stopped(name, "")
        return self.spawn(self._keep(name, run, once=True))

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run work once, in the background; a defect in it is counted and logged."""
        return self.adopt(asyncio.create_task(work))

    def adopt(self, task: asyncio.Task[None]) -> asyncio.Task[None]:
        """The same for a task that runs already."""
        self._tasks[task] = None  # asyncio itself holds tasks only weakly
        task.add_done_callback(self._forget)
        return task

    async def stop(self, *, spare: str = "") -> None:
        """End all parts but one, within STOP_TIMEOUT seconds."""
        deadline = time.monotonic() + STOP_TIMEOUT
        for task in reversed(list(self._tasks)):
            if task.get_name() == spare:
                continue
            self._ended.add(task)
            task.cancel()
            await asyncio.wait([task], timeout=max(0.0, deadline - time.monotonic()))

    def _forget(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        self._ended.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            metrics.unexpected_errors.labels("service").inc()
            log.error("work in the background failed", cause=error)

    async def _keep(self, name: str, run: Run, *, once: bool) -> None:
        policy, task = self._policy(), asyncio.current_task()
        # What it raises while it is cancelled takes the place of the cancellation.
        while task not in self._ended:
            if not once:
                self._mark_running(name)
            began = time.monotonic()
            try:
                await run()
                if once:
                    self._mark_running(name)
                    return
                reason = "it ended by itself"
            except StoreUnavailable as error:
                # Whatever Redis says: it is away, and the part waits for it.
                self._mark_stopped(name, str(error))
                policy = self._policy()
                await asyncio.sleep(REDIS_WAIT)
                continue
            except asyncio.CancelledError:
                if task is not None and task.cancelling():
                    raise  # by `stop`
                reason = "it was cancelled from within"
            except Exception as error:
                # A defect: no error of Redis gets here. It is counted, logged and begun anew.
                reason = _describe_defect(error)
                log.exception("a part failed unexpectedly", part=name)
            metrics.unexpected_errors.labels("service").inc()
            metrics.part_restarts.labels(name).inc()
            self._mark_stopped(name, reason)
            wait = policy.next_wait(began, time.monotonic())
            if wait is None:
                self._give_up(name, reason)
                return
            log.error("a part ended and begins anew", part=name, reason=reason, wait=wait)
            await asyncio.sleep(wait)

    def _mark_running(self, name: str) -> None:
        metrics.part_running.labels(name).set(1)
        self.stopped.pop(name, None)

    def _mark_stopped(self, name: str, reason: str) -> None:
        metrics.part_running.labels(name).set(0)
        self.stopped[name] = reason

    def _give_up(self, name: str, reason: str) -> None:
        if not self.failure:
            self.failure = (
                f"the part {name} cannot be kept running ({reason}): "
                "this process ends, so that another takes its place"
            )
            log.error("a part cannot be kept running", part=name, reason=reason)
            self.on_failure()


def _describe_defect(error: Exception) -> str:
    """The type of an error: its text may hold a secret."""
    return type(error).__name__


class PendingWork:
    """Work that is to be done once, however often Redis refuses it: by name, the latest counts."""

    def __init__(self) -> None:
        self._due: dict[str, Callable[[], Awaitable[None]]] = {}
        self._busy: set[str] = set()
        self._added = asyncio.Event()

    def add(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Have work done in the background, instead of any of the same name that is due."""
        self._due[name] = work
        self._added.set()

    async def attempt(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do work now, or in the background where Redis is away."""
        try:
            await work()
        except StoreUnavailable as error:
            log.warning("work waits for Redis", work=name, reason=error)
            self.add(name, work)

    async def run(self) -> None:
        """Do what is due, for ever; cancel to stop. A defect in one ends all, and is raised."""
        tasks: set[asyncio.Task[None]] = set()
        try:
            while True:
                self._added.clear()
                for task in [task for task in tasks if task.done()]:
                    tasks.discard(task)
                    task.result()
                for name in self._due.keys() - self._busy:
                    self._busy.add(name)
                    tasks.add(asyncio.create_task(self._do(name, self._due.pop(name))))
                await self._added.wait()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _do(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except StoreUnavailable:
            await asyncio.sleep(REDIS_WAIT)
            self._due.setdefault(name, work)
        except asyncio.CancelledError:
            self._due.setdefault(name, work)  # another one failed: this one is still to be done
            raise
        finally:
            self._busy.discard(name)
            self._added.set()
