"""The cost of open pages: the response time of a push with none, and while readers look at pages.

Each reader does as live.js: follows a stream of events, and fetches the page a moment after a
change. The first fifty look at fifty different pages.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
import time
import urllib.request
from collections import deque
from pathlib import Path
from statistics import quantiles
from typing import NamedTuple
from urllib.parse import quote

from bench.alerts import alert, in_an_hour, request
from bench.load import CONNECTIONS, Connection, connect
from bench.peers import AMPROXY, Config, Peer, peers
from bench.report import Report

RATE = 10  # pushes a second
SECONDS = 30.0
READERS = (0, 50, 200)
PATIENCE = 0.15  # seconds that live.js waits after a change
OPEN = 300  # incidents, at the beginning
PEOPLE, SCHEDULES, ROUTES = 100, 30, 199
SETTLED = 5.0  # seconds after which all pages have been drawn for the first time
AIM = 2.0  # times the p95 without readers
LIST_AIM = 30_000  # bytes of the list of incidents on the wire
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_TAG = re.compile(rb"(?i)\r\netag: *([^\r]+)")
_numbers = itertools.count(1)


class Watched(NamedTuple):
    """Results of a round: seconds from each push to its response, and what the readers did."""

    responses: list[float]
    cpu: float  # seconds of the service
    fetches: int
    unchanged: int  # of them
    sizes: list[int]  # bytes of each answer
    ages: list[float]  # seconds between two fetches of one page


async def run(folder: Path, *, quick: bool) -> Report:
    """Measure one service without readers, with 50 and with 200."""
    seconds = SECONDS / 3 if quick else SECONDS
    report = Report(
        "live",
        f"Live pages: the answer to a push, {RATE} pushes/s for {seconds:g} s, "
        "while people look at pages",
        (
            *("readers", "pushes", "p50 ms", "p95 ms", "p99 ms", "p50 ×", "p95 ×", "p99 ×"),
            *("CPU", "fetches", "unchanged", "kB each", "anew, s"),
        ),
        notes=[
            f"each push opens an incident that is paged; {OPEN} are open at first, "
            f"{SCHEDULES} schedules, {PEOPLE} people, {ROUTES} routes; "
            "readers are different people, at 50 different pages"
        ],
    )
    with peers(folder) as running:
        service = running.start(AMPROXY, _config())
        await _pushed(service, OPEN, OPEN / 100)
        await asyncio.sleep(3.0)  # they are flushed
        addresses = _addresses(service)
        whole, wire = await _list_sizes(service)
        base: list[float] = []
        for readers in READERS:
            watched = await _watched(service, addresses, readers, seconds)
            cuts = quantiles(watched.responses, n=100)
            found = [cuts[49], cuts[94], cuts[98]]
            base = base or found
            ratios = [mine / without for mine, without in zip(found, base, strict=True)]
            report.add_row(
                *(str(readers), str(len(watched.responses))),
                *(f"{one * 1000:.1f}" for one in found),
                *(f"{one:.2f}" for one in ratios),
                *(f"{watched.cpu / seconds:.2f}", str(watched.fetches), str(watched.unchanged)),
                f"{sum(watched.sizes) / 1000 / max(1, len(watched.sizes)):.1f}",
                f"{quantiles(watched.ages, n=2)[0]:.1f}" if len(watched.ages) > 1 else "-",
            )
            names = ("p50", "p95", "p99")
            figures = dict(zip(names, found, strict=True))
            report.figures.append(
                {"readers": readers, **figures, "cpu": watched.cpu, "fetches": watched.fetches}
            )
            if readers:
                aim, reached = f"{AIM:g} times that without", ratios[1] <= AIM
                report.add_aim(f"{readers} readers, p95", aim, f"{ratios[1]:.1f} times", reached)
    list_size = f"{wire / 1000:.1f} of {whole / 1000:.0f} kB"
    report.add_aim("the list on the wire", f"{LIST_AIM / 1000:g} kB", list_size, wire <= LIST_AIM)
    return report


def _config() -> Config:
    """Routes by which every alert pages somebody, over a contact that costs nothing."""
    people = [f"p{number}" for number in range(PEOPLE)]
    every = {"every": "1d", "start": "2026-01-05T09:00"}
    schedules = [
        {
            "name": f"s{number}",
            "timezone": "Europe/Berlin",
            "layers": [{"users": people[3 * number : 3 * number + 6], "rotation": every}],
        }
        for number in range(SCHEDULES)
    ]
    policies = [
        {
            "name": f"e{number}",
            "steps": [
                *({"notify": {"schedule": f"s{number}"}}, {"wait": "10m"}),
                {"notify": {"schedule": f"s{number}", "position": "next"}},
            ],
        }
        for number in range(SCHEDULES)
    ]
    receivers = [
        {"name": f"r{number}", "oncall_configs": [{"escalation_policy": f"e{number}"}]}
        for number in range(SCHEDULES)
    ]
    routes = [
        {"receiver": f"r{number % SCHEDULES}", "matchers": [f'service="v{number}"']}
        for number in range(ROUTES)
    ]
    return {
        "route": {
            "receiver": "r0",
            "group_by": ["alertname"],
            "group_wait": "0s",
            "group_interval": "5m",
            "routes": routes,
        },
        "receivers": receivers,
        "users": [{"name": name, "contacts": {"console": name}} for name in people],
        "schedules": schedules,
        "escalation_policies": policies,
    }


def _addresses(service: Peer) -> list[str]:
    """Fifty different pages: the first one, lists, schedules and incidents."""
    with urllib.request.urlopen(f"{service.server.url}/api/v1/incidents?limit=10") as answer:
        listed = [one["id"] for one in json.load(answer)["incidents"]]
    return [
        *("/", "/incidents", "/incidents?state=triggered", "/incidents?limit=100", "/schedules"),
        *("/policies", "/routes", "/people", "/silences", "/deliveries", "/sources", "/me"),
        *(f"/schedules/s{number}" for number in range(SCHEDULES - 2)),
        *(f"/incidents/{one}" for one in listed),
    ]


async def _list_sizes(service: Peer) -> tuple[int, int]:
    """Bytes of a list of a hundred incidents: whole, and on the wire."""
    page = _Page(service.port, "", "/incidents?limit=100")
    whole = await page.fetch("identity")
    page.forget()
    return whole, await page.fetch("gzip, br")


async def _watched(service: Peer, addresses: list[str], readers: int, seconds: float) -> Watched:
    pages = [
        _Page(service.port, f"p{number % PEOPLE}", addresses[number % len(addresses)])
        for number in range(readers)
    ]
    for page in pages:
        await page.open()
    await asyncio.sleep(SETTLED if readers else 0.5)
    # What was fetched until now belongs to the opening of the pages.
    for page in pages:
        page.forget_results()
    used = _cpu(service.server.pid)
    responses = await _pushed(service, int(seconds * RATE), seconds)
    used = _cpu(service.server.pid) - used
    for page in pages:
        page.close()
    ages = [later - earlier for page in pages for earlier, later in itertools.pairwise(page.drawn)]
    return Watched(
        responses,
        used,
        sum(len(page.drawn) for page in pages),
        sum(page.unchanged for page in pages),
        [size for page in pages for size in page.sizes],
        ages,
    )


def _cpu(pid: int) -> float:
    """Seconds of CPU that a process has used; 0 where there is no /proc."""
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / 100
    return 0.0


class _Page(asyncio.Protocol):
    """One open page: the connection on which changes are announced."""

    def __init__(self, port: int, reader: str, address: str) -> None:
        self._port, self._reader, self._address = port, reader, address
        self._fetching: asyncio.Task[None] | None = None
        # Milliseconds, from the last event: readers get a shared rendering of up to this age.
        self._allowed = 0
        self._tag = b""  # of the page as it is shown
        self._again = False  # a change came during a fetch
        self.forget_results()

    def forget_results(self) -> None:
        self.drawn: list[float] = []  # time.perf_counter() of each time that it was fetched
        self.sizes: list[int] = []
        self.unchanged = 0

    def forget(self) -> None:
        """Know no page that changes could be told of."""
        self._tag = b""

    async def open(self) -> None:
        """Connect and ask for the stream of events."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(lambda: self, "127.0.0.1", self._port)
        self._transport = transport
        self._transport.write(_request(f"/events?page={quote(self._address)}", self._reader))
        self._fetching = asyncio.create_task(self._refresh())

    def close(self) -> None:
        """Break the connection and cancel a fetch that is under way."""
        self._transport.abort()
        if self._fetching:
            self._fetching.cancel()

    def data_received(self, data: bytes) -> None:
        if b"\ndata: " not in data:
            return
        self._allowed = int(data.partition(b"\ndata: ")[2].split(maxsplit=1)[0])
        # One fetch at a time, as in live.js: many changes at once cost a page one fetch.
        if self._fetching is None or self._fetching.done():
            self._fetching = asyncio.create_task(self._refresh())
        else:
            self._again = True

    async def _refresh(self) -> None:
        while True:
            self._again = False
            await asyncio.sleep(PATIENCE)
            await self.fetch("gzip, deflate, br")
            if not self._again:
                return

    async def fetch(self, encodings: str) -> int:
        """Fetch the page as live.js does; return the bytes of its body."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        age = self._allowed + PATIENCE * 1000
        more = f"X-Page-Age: {age:.0f}\r\nAccept-Encoding: {encodings}\r\n"
        if self._tag:
            more += f"If-None-Match: {self._tag.decode()}\r\n"
        writer.write(_request(self._address, self._reader, more))
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        body = await reader.readexactly(int(length[1])) if length else b""
        writer.close()
        tag, status = _TAG.search(head), int(head[9:12])
        if status not in (200, 304):
            raise RuntimeError(head.decode("latin-1"))
        self._tag = tag[1] if tag else b""
        self.unchanged += status == 304
        self.sizes.append(len(head) + len(body))
        self.drawn.append(time.perf_counter())
        return len(body)


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

    connections = await connect(service.port, CONNECTIONS, answered, failed)
    free = deque(connections)
    begin = time.perf_counter()
    for turn in range(pushes):
        one = alert(0, ends=in_an_hour())
        number = next(_numbers)
        one["labels"]["alertname"] = f"push-{number:09}"
        one["labels"]["service"] = f"v{number % ROUTES}"
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
