"""Growth: the CPU of a push, a flush and each page beside few and many of what a company has."""

from __future__ import annotations

import itertools
import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.peers import Config, cpu_seconds, quiet_servers
from bench.report import Report
from tests.support.acceptance.moments import rfc3339
from tests.support.servers import Server, Servers
from tests.support.waiting import soon

# The smallest number of each is what all other services of a run have of it.
SIZES: dict[str, tuple[int, ...]] = {
    "routes": (1, 100, 2000),
    "silences": (0, 100, 5000),
    "inhibit rules": (0, 50, 500),
    "schedules": (5, 500),
    "users": (10, 1000),
    "open incidents": (10, 1000, 50_000),
}
OWN_PAGES = {
    "routes": "/routes",
    "silences": "/silences",
    "inhibit rules": "/routes",
    "schedules": "/schedules",
    "users": "/people",
    "open incidents": "/incidents",
}
ROUNDS = 5  # of each kind, at the small and at the large service in turn
PUSHES, FLUSHES, PAGES = 80, 40, 8  # in a round
MADE_AT_ONCE = 100  # alerts of a push that opens incidents
PATIENCE = 300.0  # seconds until all incidents are open
SETTLED = 0.02  # cores that a service at rest uses at most
JUDGED = ("push", "flush", "first page")
RATIO_AIM = 2.0  # CPU beside many to that beside few

Costs = dict[str, float]  # what → milliseconds of CPU


async def run(folder: Path, *, quick: bool) -> Report:
    """Compare the service beside the smallest number of all with one beside more of one kind.

    The two are measured in turn, so that what else the machine does meets both.
    """
    report = Report(
        "growth",
        "CPU beside many of what a company has, as ratios to the smallest (ms there)",
        ("beside", "number", "push", "flush", "first page", "own page", "/metrics"),
    )
    for what, (smallest, *larger) in SIZES.items():
        for number in larger[:1] if quick and len(larger) > 1 else larger:
            with quiet_servers(folder) as servers:
                small, large = [
                    await Site.start(servers, what, _beside(what, n)) for n in (smallest, number)
                ]
                few, many = await _measure(small, large, ROUNDS // 2 if quick else ROUNDS)
            if number == larger[0]:
                report.add_row(what, f"{smallest:,}", *(f"({cost:.1f})" for cost in few.values()))
            ratios = {kind: many[kind] / few[kind] for kind in few}
            report.add_row("", f"{number:,}", *(f"{ratio:.2f}" for ratio in ratios.values()))
            figures = {"few": few, "many": many}
            report.figures.append({"beside": what, "number": number, **figures})
            # Other pages show more, up to what fits on one; /metrics has a line for each.
            worst, ratio = max(
                (pair for pair in ratios.items() if pair[0] in JUDGED), key=lambda pair: pair[1]
            )
            report.add_aim(
                f"beside {number:,} {what}, at most ({worst})",
                f"{RATIO_AIM:g} times",
                f"{ratio:.2f}",
                ratio <= RATIO_AIM,
            )
    report.notes.append("CPU of the service and of its Redis together")
    report.notes.append("a flush opens an incident; its own page is that of what there is many of")
    return report


async def _measure(small: Site, large: Site, rounds: int) -> tuple[Costs, Costs]:
    """The CPU of each kind at both, the cheapest round of each."""
    kinds: dict[str, Callable[[Site], float]] = {
        "push": Site.push,
        "flush": Site.flush,
        "first page": lambda site: site.draw("/"),
        "own page": lambda site: site.draw(OWN_PAGES[site.what]),
        "/metrics": lambda site: site.draw("/metrics"),
    }
    sites, found = (small, large), (Costs(), Costs())
    for kind, measure in kinds.items():
        for _ in range(rounds):
            for site, costs in zip(sites, found, strict=True):
                costs[kind] = min(costs.get(kind, float("inf")), measure(site))
    return found


@dataclass
class Site:
    """One service with some number of each kind, and what is asked of it."""

    what: str
    server: Server
    redis: Server
    numbers: Iterator[int] = field(default_factory=itertools.count)

    @classmethod
    async def start(cls, servers: Servers, what: str, sizes: dict[str, int]) -> Site:
        """Start a service, fill it, and wait until it is at rest.

        sizes: the number of each kind of SIZES.
        """
        redis = servers.redis_server()
        text = json.dumps(_config(sizes))
        site = cls(what, servers.amproxy(text, redis_url=redis.url), redis)
        for silence in range(sizes["silences"]):
            site._post("/api/v2/silences", _silence(silence))
        incidents = sizes["open incidents"]
        for start in range(0, incidents, MADE_AT_ONCE):
            some = range(min(MADE_AT_ONCE, incidents - start))
            site._post("/api/v2/alerts", [site._alert(kind="page") for _ in some])
        await soon(lambda: site._open_incidents() >= incidents, seconds=PATIENCE)
        site._settle()
        return site

    def push(self) -> float:
        """Milliseconds of CPU of a push with one new alert, whose group is not flushed yet."""
        return self._cost(PUSHES, lambda: self._post("/api/v2/alerts", [self._alert()]))

    def flush(self) -> float:
        """The same with the flush that it causes, which opens an incident."""
        return self._cost(
            FLUSHES, lambda: self._post("/api/v2/alerts", [self._alert(kind="page")]), settle=True
        )

    def draw(self, path: str) -> float:
        """Milliseconds of CPU of a page, which is drawn and fetched."""
        self.get(path)
        return self._cost(PAGES, lambda: self.get(path))

    def _cost(self, times: int, do: Callable[[], object], *, settle: bool = False) -> float:
        before = self._cpu()
        for _ in range(times):
            do()
        if settle:
            self._settle()
        return (self._cpu() - before) / times * 1000

    def _settle(self) -> None:
        """Wait until nothing is left to do."""
        while True:
            before = self._cpu()
            time.sleep(0.5)
            if self._cpu() - before <= SETTLED * 0.5 + 0.011:  # a tick of the system's clock
                return

    def _cpu(self) -> float:
        return cpu_seconds(self.server.pid) + cpu_seconds(self.redis.pid)

    def _open_incidents(self) -> int:
        lines = self.get("/metrics").decode().splitlines()
        found = (line for line in lines if line.startswith("amproxy_incidents{"))
        return sum(int(float(line.rpartition(" ")[2])) for line in found if "resolved" not in line)

    def _alert(self, **labels: str) -> dict[str, Any]:
        number = next(self.numbers)
        own = {"alertname": f"Alert{number}", "severity": "warning", "area": f"area-{number % 97}"}
        return {"labels": own | labels, "annotations": {"summary": "It is full"}}

    def _post(self, path: str, document: object) -> bytes:
        headers = {"Content-Type": "application/json"}
        body = json.dumps(document).encode()
        return _open(urllib.request.Request(self.server.url + path, body, headers))

    def get(self, path: str, **headers: str) -> bytes:
        """The body of the answer, as it is on the wire."""
        return _open(urllib.request.Request(self.server.url + path, headers=headers))


def _open(request: urllib.request.Request) -> bytes:
    with urllib.request.urlopen(request, timeout=120) as response:
        return bytes(response.read())


def _beside(what: str, number: int) -> dict[str, int]:
    """So many of one kind, and the smallest number of all others."""
    return {kind: found[0] for kind, found in SIZES.items()} | {what: number}


def _config(sizes: dict[str, int]) -> Config:
    names = [f"person-{number}" for number in range(sizes["users"])]
    routes = [
        {"matchers": [f'team="team-{number}"'], "receiver": "nobody"}
        for number in range(sizes["routes"])
    ]
    paging = {"matchers": ['kind="page"'], "receiver": "people", "group_wait": "0s"}
    return {
        "route": {
            "receiver": "nobody",
            "group_by": ["alertname"],
            "group_wait": "1h",
            "group_interval": "1h",
            "routes": [*routes, paging],
        },
        "receivers": [
            {"name": "nobody"},
            {"name": "people", "oncall_configs": [{"escalation_policy": "wait"}]},
        ],
        "inhibit_rules": [
            {
                "source_matchers": [f'alertname="Down{number}"'],
                "target_matchers": ['severity="warning"', f'area="area-{number}"'],
                "equal": ["cluster"],
            }
            for number in range(sizes["inhibit rules"])
        ],
        "users": [{"name": name, "contacts": {"console": name}} for name in names],
        "schedules": [_schedule(number, names) for number in range(sizes["schedules"])],
        "time_intervals": [{"name": "night", "time_intervals": [{"times": NIGHT}]}],
        # Nobody is paged meanwhile: what is measured is the flush, not the delivery.
        "escalation_policies": [
            {"name": "wait", "steps": [{"wait": "1d"}, {"notify": {"schedule": "schedule-0"}}]}
        ],
    }


NIGHT = [
    {"start_time": "22:00", "end_time": "24:00"},
    {"start_time": "00:00", "end_time": "07:00"},
]


def _schedule(number: int, names: list[str]) -> Config:
    people = [names[(number + place) % len(names)] for place in range(4)]
    weekly = {"every": "1w", "start": "2026-01-05T09:00"}
    daily = {"every": "1d", "start": "2026-01-05T09:00"}
    nights = {"users": people[::-1], "rotation": daily, "active_time_intervals": ["night"]}
    return {
        "name": f"schedule-{number}",
        "layers": [
            {"name": "weekly", "users": people, "rotation": weekly},
            {"name": "nights", **nights},
        ],
    }


def _silence(number: int) -> Config:
    values = {"alertname": "Disk", "instance": f"host-{number}"}
    return {
        "matchers": [
            {"name": name, "value": value, "isRegex": False, "isEqual": True}
            for name, value in values.items()
        ],
        "startsAt": rfc3339(time.time()),
        "endsAt": rfc3339(time.time() + 7200),
        "createdBy": "bench",
        "comment": "bench",
    }
