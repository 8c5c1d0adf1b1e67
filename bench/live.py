"""The cost of open pages: the response time of a push with none, and with two hundred that follow.

Each page does as live.js: it reads a stream of events, and fetches itself a moment after a change.
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
from bench.report import Report

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
    """Results of a round: seconds from each push to its response, and what the pages did."""

    responses: list[float]
    fetches: int
    ages: list[float]  # seconds between two fetches of one page


async def run(folder: Path, *, quick: bool) -> Report:
    """Measure without pages, with all pages of one reader, and with a page of each reader."""
    seconds = SECONDS / 4 if quick else SECONDS
    report = Report(
        "live",
        f"Live pages: the answer to a push, {RATE} pushes/s for {seconds:g} s, "
        "while pages are open",
        (
            *("open pages", "pushes", "p50 ms", "p99 ms", "max ms"),
            *("pages drawn/s", "a page anew each, s"),
        ),
        notes=[
            "each push opens an incident that is paged; "
            f"the page is the first one, with {OPEN} of them"
        ],
    )
    found: dict[str, float] = {}
    for pages, readers in ((NOBODY, []), (SAME, [""] * PAGES), (OWN, PEOPLE)):
        with peers(folder) as running:
            watched = await _watched(running.start(AMPROXY, _config()), readers, seconds)
        cuts = quantiles(watched.responses, n=100)
        found[pages] = cuts[98]
        figures = {"p50": cuts[49], "p99": cuts[98], "max": max(watched.responses)}
        shown = [f"{figure * 1000:.1f}" for figure in figures.values()]
        drawn = f"{watched.fetches / seconds:.0f}"
        anew = f"{quantiles(watched.ages, n=2)[0]:.1f}" if len(watched.ages) > 1 else "-"
        report.add_row(pages, str(len(watched.responses)), *shown, drawn, anew)
        report.figures.append({"pages": pages, **figures, "fetches": watched.fetches})
    for pages in (SAME, OWN):
        ratio = found[pages] / found[NOBODY]
        aim, reached = f"{AIM:g} times that without", ratio <= AIM
        report.add_aim(f"{pages}, p99", aim, f"{ratio:.1f} times", reached)
    return report


def _config() -> Config:
    """Routes by which every alert pages somebody, over a contact that costs nothing."""
    layer = {"users": PEOPLE, "rotation": {"every": "1d", "start": "2026-01-05T09:00"}}
    users = [{"name": name, "contacts": {"console": name}} for name in PEOPLE]
    return {
        "route": {
            "receiver": "all",
            "group_by": ["alertname"],
            "group_wait": "0s",
            "group_interval": "5m",
        },
        "receivers": [{"name": "all", "oncall_configs": [{"escalation_policy": "all"}]}],
        "users": users,
        "schedules": [{"name": "all", "layers": [layer]}],
        "escalation_policies": [
            {"name": "all", "steps": [{"wait": "1h"}, {"notify": {"schedule": "all"}}]}
        ],
    }


async def _watched(service: Peer, readers: list[str], seconds: float) -> Watched:
    await _pushed(service, OPEN, 1.0)
    pages = [_Page(service.port, name) for name in readers]
    for page in pages:
        await page.open()
    await asyncio.sleep(SETTLED if readers else 0.5)
    # The fetches so far belong to the pushes that filled the page: they do not count.
    for page in pages:
        page.drawn.clear()
    responses = await _pushed(service, int(seconds * RATE), seconds)
    for page in pages:
        page.close()
    ages = [later - earlier for page in pages for earlier, later in itertools.pairwise(page.drawn)]
    return Watched(responses, sum(len(page.drawn) for page in pages), ages)


class _Page(asyncio.Protocol):
    """One open page: the connection on which changes are announced."""

    def __init__(self, port: int, reader: str) -> None:
        self._port, self._reader = port, reader
        self._fetching: asyncio.Task[None] | None = None
        # Milliseconds, from the last event: readers get a shared rendering of up to this age.
        self._allowed = 0
        self.drawn: list[float] = []  # time.perf_counter() of each time that it was fetched

    async def open(self) -> None:
        """Connect and ask for the stream of events."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(lambda: self, "127.0.0.1", self._port)
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(_request("/events", self._reader))

    def close(self) -> None:
        """Break the connection and cancel a fetch that is under way."""
        self._transport.abort()
        if self._fetching:
            self._fetching.cancel()

    def data_received(self, data: bytes) -> None:
        # One fetch at a time, as in live.js: many changes at once cost a page one fetch.
        if b"\ndata: " in data and (self._fetching is None or self._fetching.done()):
            self._allowed = int(data.partition(b"\ndata: ")[2].split(maxsplit=1)[0])
            self._fetching = asyncio.create_task(self._fetch())

    async def _fetch(self) -> None:
        await asyncio.sleep(PATIENCE)
        loop = asyncio.get_running_loop()
        whole: asyncio.Future[None] = loop.create_future()
        [connection] = await connect(
            self._port,
            1,
            lambda _: whole.done() or whole.set_result(None),
            lambda error: whole.done() or whole.set_exception(error),
        )
        age = self._allowed + PATIENCE * 1000
        connection.transport.write(_request("/", self._reader, f"X-Live: {age:.0f}\r\n"))
        await whole
        connection.transport.abort()
        self.drawn.append(time.perf_counter())


def _request(path: str, reader: str, more: str = "") -> bytes:
    cookie = f"Cookie: amproxy_user={reader}\r\n" if reader else ""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{cookie}{more}\r\n".encode()


async def _pushed(service: Peer, pushes: int, seconds: float) -> list[float]:
    """Push at an even pace; return the seconds from each push to its 200.

    Raises Refused at another response, OSError where a connection breaks.
    """
    loop = asyncio.get_running_loop()
    broken: asyncio.Future[None] = loop.create_future()
    waiting: dict[Connection, float] = {}
    durations: list[float] = []

    def answered(connection: Connection) -> None:
        durations.append(time.perf_counter() - waiting.pop(connection))
        # At the end, so that each gets its turn: the service closes a connection idle for long.
        free.append(connection)

    def failed(error: Exception) -> None:
        if not broken.done():
            broken.set_exception(error)

    connections = await connect(service.port, 4 * CONNECTIONS, answered, failed)
    free = deque(connections)
    begin = time.perf_counter()
    for turn in range(pushes):
        one = alert(0, ends=in_an_hour())
        one["labels"]["alertname"] = f"push-{next(_numbers):09}"
        ready = request("/api/v2/alerts", [one])
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
    return durations
