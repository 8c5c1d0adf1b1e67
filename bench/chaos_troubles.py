"""What goes wrong: a plan that the seed decides, and its execution."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

from bench.chaos_people import MOODS, People
from tests.support.e2e.stories import metric, text
from tests.support.servers import Server, ask_redis

# Kind of trouble → how often it is chosen among those that end or stop a process; 0 = it comes in
# between them.
TROUBLES = {"kill": 4, "redis": 3, "stop": 3, "restart": 2, "scripts": 0, "channels": 0}
WORDS = {
    "kill": "kill -9 of a replica",
    "redis": "kill -9 of Redis",
    "stop": "SIGSTOP of a replica, 1 to 20 s",
    "restart": "restart of a replica by SIGTERM",
    "scripts": "SCRIPT FLUSH",
    "channels": "stand-ins answering 429, 503, late, or not to the end",
}
PAUSES = (0.5, 3.0)  # seconds between two troubles
DOWN = (0.0, 3.0)  # seconds until what was killed is started again
STOPPED = (1.0, 20.0)
IN_BETWEEN = 0.3  # share of kills that another trouble precedes
LOOK = 0.5  # seconds between two looks at the metrics
COUNTERS = ("amproxy_deliveries_repeated_total", "amproxy_unexpected_errors_total")


class Step(NamedTuple):
    """One trouble of the plan. seconds: how long it lasts; pause: before it."""

    kind: str
    pause: float
    replica: int
    seconds: float
    choice: float  # of the details, 0 to 1


def planned(dice: random.Random, kills: int, replicas: int, kinds: list[str]) -> list[Step]:
    """So many kills, and other troubles in between."""
    killing = {kind: TROUBLES[kind] for kind in kinds if TROUBLES[kind]}
    others = [kind for kind in kinds if not TROUBLES[kind]]

    def step(kind: str) -> Step:
        seconds = dice.uniform(*(STOPPED if kind == "stop" else DOWN))
        return Step(kind, dice.uniform(*PAUSES), dice.randrange(replicas), seconds, dice.random())

    plan = []
    for _ in range(kills):
        if others and dice.random() < IN_BETWEEN:
            plan.append(step(dice.choice(others)))
        plan.append(step(dice.choices(list(killing), list(killing.values()))[0]))
    return plan


class Replica:
    """A process of amproxy; whoever holds `mine` may end, start or stop it."""

    def __init__(self, server: Server) -> None:
        self.server, self.mine = server, threading.Lock()


class Troublemaker:
    """Carries out the plan, keeps processes running, as a supervisor would, and reads counters."""

    def __init__(self, replicas: list[Replica], redis: Server, people: People) -> None:
        self._replicas, self._redis, self._people = replicas, Replica(redis), people
        self._made: Counter[str] = Counter()
        self._under_way: list[threading.Thread] = []
        self._seen: dict[tuple[int, str], float] = {}  # process, metric → its last value
        self._over = threading.Event()
        self.ended_by_themselves = 0

    @property
    def kills(self) -> dict[str, int]:
        return {WORDS[kind]: self._made[kind] for kind, share in TROUBLES.items() if share}

    @property
    def others(self) -> dict[str, int]:
        return {WORDS[kind]: self._made[kind] for kind, share in TROUBLES.items() if not share}

    def counted(self, name: str) -> float:
        """The sum of a counter over all processes that there were, as last read."""
        return sum(value for (_, metric_), value in self._seen.items() if metric_ == name)

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Read counters, and start what has ended by itself, as long as the `with`."""
        watch = threading.Thread(target=self._watch, daemon=True)
        watch.start()
        try:
            yield
        finally:
            self._over.set()
            watch.join()
            self.settle()

    def make(self, step: Step) -> None:
        """Wait for the pause and for the process to be free, then begin; returns at once."""
        time.sleep(step.pause)
        self._made[step.kind] += 1
        target = self._redis if step.kind == "redis" else self._replicas[step.replica]
        match step.kind:
            case "scripts":
                with contextlib.suppress(OSError):  # it is down: its scripts are gone anyway
                    ask_redis(self._redis.server, "SCRIPT FLUSH")
            case "channels":
                self._people.be(MOODS[int(step.choice * len(MOODS))], 1 + int(step.seconds * 3))
            case "stop":
                self._begin(target, lambda: self._stop(target, step.seconds))
            case "restart":
                self._begin(target, lambda: self._end(target, target.server.terminate, 0.0))
            case _:
                self._begin(target, lambda: self._end(target, target.server.kill, step.seconds))

    def settle(self) -> None:
        """Wait until all that was begun is over, and everything runs."""
        for thread in self._under_way:
            thread.join()
        self._under_way.clear()

    def look(self) -> None:
        """Read the counters of all replicas now."""
        for replica in self._replicas:
            self._read(replica, patience=30.0)

    def _begin(self, target: Replica, do: Callable[[], None]) -> None:
        target.mine.acquire()  # released by the thread

        def doing() -> None:
            try:
                do()
            finally:
                target.mine.release()

        thread = threading.Thread(target=doing)
        self._under_way.append(thread)
        thread.start()

    def _stop(self, target: Replica, seconds: float) -> None:
        if target.server.process is None or target.server.process.poll() is not None:
            return
        os.kill(target.server.pid, signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            os.kill(target.server.pid, signal.SIGCONT)

    def _end(self, target: Replica, how: Callable[[], object], seconds: float) -> None:
        if target is not self._redis:
            self._read(target)
        if target.server.process and target.server.process.poll() is None:
            how()
        time.sleep(seconds)
        self._start(target)

    def _start(self, target: Replica) -> None:
        # It cannot start while Redis is away for long; the watch tries again.
        with contextlib.suppress(RuntimeError):
            target.server.start()

    def _watch(self) -> None:
        while not self._over.wait(LOOK):
            for replica in self._replicas:
                if not replica.mine.acquire(blocking=False):
                    continue
                try:
                    process = replica.server.process
                    if process is None or process.poll() is not None:
                        self.ended_by_themselves += 1
                        self._start(replica)
                    self._read(replica)
                finally:
                    replica.mine.release()

    def _read(self, replica: Replica, patience: float = 5.0) -> None:
        """Keep the counters of a process; one that does not answer keeps those it had."""
        with contextlib.suppress(OSError):
            page = text(f"{replica.server.url}/metrics", seconds=patience)
            for name in COUNTERS:
                self._seen[replica.server.pid, name] = metric(page, name)
