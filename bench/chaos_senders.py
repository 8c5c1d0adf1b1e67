"""Senders that push alerts steadily, as Alertmanager does.

What is not answered 200 is pushed again, to any of the replicas.
"""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Self

from bench.chaos_people import People
from tests.support.e2e.stories import post

THREADS = 12
LONGEST = 5.0  # seconds that a sender waits for an answer, and between two attempts at most


class Senders:
    """`answered`: the incidents of which a push was answered 200; `attempts`: all pushes."""

    def __init__(self, people: People, urls: list[str], rate: float, seed: int) -> None:
        self.answered: set[str] = set()
        self.attempts = 0
        self._people, self._urls, self._rate = people, urls, rate
        self._dice = random.Random(seed + 1)  # not the killer's, whose plan is to stay the same
        self._over, self._given_up = threading.Event(), threading.Event()
        self._begun: list[Future[None]] = []
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(THREADS)
        self._pace = threading.Thread(target=self._keep_pace, daemon=True)

    def __enter__(self) -> Self:
        self._pace.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._given_up.set()
        self._pace.join()
        self._pool.shutdown()

    def finish(self, patience: float) -> None:
        """Push nothing new; wait so many seconds until all that was begun is answered 200."""
        self._over.set()
        self._pace.join()
        wait(self._begun, patience)

    def _keep_pace(self) -> None:
        began, number = time.monotonic(), 0
        while not self._over.wait(max(0.0, began + number / self._rate - time.monotonic())):
            name = self._people.names[number % len(self._people.names)]
            title, raw = f"{name}-{number}", number % 4 < 2
            self._begun.append(self._pool.submit(self._push, name, title, raw=raw))
            number += 1

    def _push(self, name: str, title: str, *, raw: bool) -> None:
        """Push one incident until it is answered 200, by either door."""
        alert = {"labels": {"alertname": title, "to": name}}
        body = [alert] if raw else _grouped(alert)
        pause = 0.2
        while not self._given_up.is_set():
            with self._lock:
                self.attempts += 1
                url = self._dice.choice(self._urls)
            path = "/api/v2/alerts" if raw else "/webhook/chaos"
            if post(f"{url}{path}", body, seconds=LONGEST) == 200:
                with self._lock:
                    self.answered.add(title)
                return
            time.sleep(pause)
            pause = min(2 * pause, LONGEST)


def _grouped(alert: dict[str, dict[str, str]]) -> dict[str, object]:
    labels = {"alertname": alert["labels"]["alertname"]}
    return {
        "version": "4",
        "groupKey": str(labels),
        "groupLabels": labels,
        "alerts": [{"status": "firing", **alert}],
    }
