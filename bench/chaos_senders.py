"""Senders that push alerts steadily, as Alertmanager does.

What is not answered 200 is pushed again, to any of the replicas.
"""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

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
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(THREADS)
        self._pace = threading.Thread(target=self._keep_pace, daemon=True)

    def start(self) -> None:
        self._pace.start()

    def finish(self) -> None:
        """Push nothing new; wait until all that was begun is answered 200."""
        self._over.set()
        self._pace.join()
        self._pool.shutdown()

    def _keep_pace(self) -> None:
        began, number = time.monotonic(), 0
        while not self._over.wait(max(0.0, began + number / self._rate - time.monotonic())):
            name = self._people.names[number % len(self._people.names)]
            self._pool.submit(self._push, name, f"{name}-{number}", raw=number % 4 < 2)
            number += 1

    def _push(self, name: str, title: str, *, raw: bool) -> None:
        """Push one incident until it is answered 200, by either door."""
        alert = {"labels": {"alertname": title, "to": name}}
        body = [alert] if raw else _grouped(alert)
        wait = 0.2
        while True:
            with self._lock:
                self.attempts += 1
                url = self._dice.choice(self._urls)
            path = "/api/v2/alerts" if raw else "/webhook/chaos"
            if post(f"{url}{path}", body, seconds=LONGEST) == 200:
                break
            time.sleep(wait)
            wait = min(2 * wait, LONGEST)
        with self._lock:
            self.answered.add(title)


def _grouped(alert: dict[str, dict[str, str]]) -> dict[str, object]:
    labels = {"alertname": alert["labels"]["alertname"]}
    return {
        "version": "4",
        "groupKey": str(labels),
        "groupLabels": labels,
        "alerts": [{"status": "firing", **alert}],
    }
