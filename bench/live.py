"""What open pages cost: how long a push waits for its answer while nobody looks, and while two hundred pages stay up to date.

Each page does as live.js: it holds a stream of events, and fetches itself again a moment after it heard of a change.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from pathlib import Path
from statistics import quantiles
from typing import NamedTuple, cast

from bench.alerts import alert, in_an_hour, request
from bench.load import CONNECTIONS, Connection, connect
from bench.peers import AMPROXY, Config, Peer, peers
from bench.report import Aim, Report

RATE = 100  # pushes a second
SECONDS = 20.0
PAGES = 200
PATIENCE = 0.15  # seconds that live.js waits after a change
OPEN = 30  # incidents on the page
SETTLED = 5.0  # seconds after which all pages have been drawn, and their cost is known
PEOPLE = [f"p{number}" for number in range(PAGES)]
AIM = 2.0  # times the p99 without pages
NOBODY, SAME, OWN = "none", f"{PAGES} of one reader", f"{PAGES} of {PAGES} readers"
_numbers = itertools.count(1)


class Watched(NamedTuple):
    """What came of a round: seconds of each push until its answer, and how old each page was when it was drawn again."""

    answers: list[float]
    fetches: int
    ages: list[float]  # seconds between two pages of one reader


async def run(folder: Path, *, quick: bool) -> Report:
    seconds = SECONDS / 4 if quick else SECONDS
    report = Report(
        "live",
        f"Live pages: the answer to a push, {RATE} pushes/s for {seconds:g} s, while pages are open",
        ("open pages", "pushes", "p50 ms", "p99 ms", "max ms", "pages drawn/s", "a page anew each, s"),
        notes=[f"each push opens an incident that is paged; the page is the first one, with {OPEN} of them"],
    )
    found: dict[str, float] = {}
    for pages, readers in ((NOBODY, []), (SAME, [""] * PAGES), (OWN, PEOPLE)):
        with peers(folder) as running:
            watched = await _watched(running.start(AMPROXY, _config()), readers, seconds)
        cuts = quantiles(watched.answers, n=100)
        found[pages] = cuts[98]
        shown = [f"{ms * 1000:.1f}" for ms in (cuts[49], cuts[98], max(watched.answers))]
        anew = f"{quantiles(watched.ages, n=2)[0]:.1f}" if len(watched.ages) > 1 else "-"
        report.rows.append((pages, str(len(watched.answers)), *shown, f"{watched.fetches / seconds:.0f}", anew))
        report.figures.append({"pages": pages, "p50": cuts[49], "p99": cuts[98], "max": max(watched.answers), "fetches": watched.fetches})
    for pages in (SAME, OWN):
        times = found[pages] / found[NOBODY]
        report.aims.append(Aim(f"{pages}, p99", f"{AIM:g} times that without", f"{times:.1f} times", times <= AIM))
    return report


def _config() -> Config:
    """Every alert pages somebody over a contact that costs nothing."""
    users = [{"name": name, "contacts": {"console": name}} for name in PEOPLE]
    return {
        "route": {"receiver": "all", "group_by": ["alertname"], "group_wait": "0s", "group_interval": "5m"},
        "receivers": [{"name": "all", "oncall_configs": [{"escalation_policy": "all"}]}],
        "users": users,
        "schedules": [{"name": "all", "layers": [{"users": PEOPLE, "rotation": {"every": "1d", "start": "2026-01-05T09:00"}}]}],
        "escalation_policies": [{"name": "all", "steps": [{"wait": "1h"}, {"notify": {"schedule": "all"}}]}],
    }


async def _watched(service: Peer, readers: list[str], seconds: float) -> Watched:
    await _pushed(service, OPEN, 1.0)
    pages = [_Page(service.port, name) for name in readers]
    for page in pages:
        await page.open()
    await asyncio.sleep(SETTLED if readers else 0.5)
    for page in pages:
        page.drawn.clear()
    answers = await _pushed(service, int(seconds * RATE), seconds)
    for page in pages:
        page.close()
    ages = [later - earlier for page in pages for earlier, later in itertools.pairwise(page.drawn)]
    return Watched(answers, sum(len(page.drawn) for page in pages), ages)


class _Page(asyncio.Protocol):
    """One open page: the connection that hears of changes."""

    def __init__(self, port: int, reader: str) -> None:
        self._port, self._reader = port, reader
        self._asks: asyncio.Task[None] | None = None
        self._allowed = 0  # milliseconds that a page could be old when it was last told of a change
        self.drawn: list[float] = []  # time.perf_counter() of each time that it was fetched

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(lambda: self, "127.0.0.1", self._port)
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(_request("/events", self._reader))

    def close(self) -> None:
        self._transport.abort()
        if self._asks:
            self._asks.cancel()

    def data_received(self, data: bytes) -> None:
        if b"\ndata: " in data and (self._asks is None or self._asks.done()):
            self._allowed = int(data.partition(b"\ndata: ")[2].split(maxsplit=1)[0])
            self._asks = asyncio.create_task(self._fetch())

    async def _fetch(self) -> None:
        await asyncio.sleep(PATIENCE)
        loop = asyncio.get_running_loop()
        whole: asyncio.Future[None] = loop.create_future()
        [connection] = await connect(
            self._port, 1, lambda _: whole.done() or whole.set_result(None), lambda error: whole.done() or whole.set_exception(error)
        )
        connection.transport.write(_request("/", self._reader, f"X-Live: {self._allowed + PATIENCE * 1000:.0f}\r\n"))
        await whole
        connection.transport.abort()
        self.drawn.append(time.perf_counter())


def _request(path: str, reader: str, more: str = "") -> bytes:
    cookie = f"Cookie: amproxy_user={reader}\r\n" if reader else ""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{cookie}{more}\r\n".encode()


async def _pushed(service: Peer, pushes: int, seconds: float) -> list[float]:
    """Push at an even pace; seconds of each until it was answered 200."""
    loop = asyncio.get_running_loop()
    broken: asyncio.Future[None] = loop.create_future()
    waiting: dict[Connection, float] = {}
    taken: list[float] = []

    def answered(connection: Connection) -> None:
        taken.append(time.perf_counter() - waiting.pop(connection))
        free.append(connection)  # each gets its turn: the service closes what is idle for long

    def failed(error: Exception) -> None:
        if not broken.done():
            broken.set_exception(error)

    connections = await connect(service.port, 4 * CONNECTIONS, answered, failed)
    free = deque(connections)
    begin = time.perf_counter()
    for turn in range(pushes):
        one = alert(0, ends=in_an_hour())
        ready = request("/api/v2/alerts", [{**one, "labels": {**one["labels"], "alertname": f"push-{next(_numbers):09}"}}])
        await asyncio.sleep(max(0.0, begin + turn * seconds / pushes - time.perf_counter()))
        while not free and not broken.done():
            await asyncio.sleep(0.001)
        if broken.done():
            break
        connection = free.popleft()
        waiting[connection] = time.perf_counter()
        connection.transport.write(ready)
    while waiting and not broken.done():
        await asyncio.sleep(0.01)
    if broken.done():
        broken.result()
    broken.cancel()
    for connection in connections:
        connection.transport.abort()
    return taken
