"""Memory of a service and its Redis with 0, 10,000 and 100,000 active alerts in 100 groups.

Then somebody reads all of them: how long that takes, and what the service keeps of it.
"""

from __future__ import annotations

import asyncio
import http.client
import time
from pathlib import Path
from typing import NamedTuple

from bench import alerts
from bench.load import closed_loop
from bench.peers import ALERTMANAGER, AMPROXY, QUIET, Config, Peer, peers, present
from bench.report import Report

COUNTS = (0, 10_000, 100_000)
SIZE = 50  # alerts a push
SETTLE = 4.0  # seconds until groups are flushed and memory is at rest
AIM = 200  # MB at the largest of COUNTS
READ_AIM, KEPT_AIM = 2.0, 30.0  # seconds, and MB, of reading the largest of COUNTS
PIECE = 1 << 18  # bytes
STORED, OPEN = "stored", "stored, incidents open"

# The usual state after some minutes: each group was flushed and has an open incident.
INCIDENTS: Config = {
    "route": {
        "receiver": "people",
        "group_by": ["alertname"],
        "group_wait": "1s",
        "group_interval": "2s",
    },
    "receivers": [{"name": "people", "oncall_configs": [{"escalation_policy": "one"}]}],
    "users": [{"name": "ann", "contacts": {"console": "ann"}}],
    "escalation_policies": [{"name": "one", "steps": [{"notify": {"users": ["ann"]}}]}],
}


class Measured(NamedTuple):
    alerts: str
    number: int
    service: float  # MB
    redis: float  # MB
    took: float  # seconds that reading all alerts took
    kept: float  # MB by which the service was larger afterwards


async def run(folder: Path, *, quick: bool) -> Report:
    """amproxy with alerts that are only stored and with incidents open, and Alertmanager."""
    counts = COUNTS[:2] if quick else COUNTS
    report = Report(
        "memory",
        "Memory: resident MB, with distinct alerts of about 600 bytes in 100 groups",
        (
            *("service", "alerts", "number", "service MB", "Redis MB", "together MB"),
            *("GET alerts s", "kept MB"),
        ),
        notes=[
            f"taken {SETTLE:g} s after the last push, {SIZE} alerts a push",
            "GET alerts: once, all of them; kept: what the service is larger by afterwards",
        ],
    )
    for name, what, config in (
        (AMPROXY, STORED, QUIET),
        (AMPROXY, OPEN, INCIDENTS),
        (ALERTMANAGER, STORED, QUIET),
    ):
        if name not in present(name):
            continue
        with peers(folder) as running:
            service = running.start(name, config)
            following, before = alerts.new(SIZE, alerts.numbers()), 0
            for count in counts:
                pushes = (count - before) // SIZE
                if pushes:
                    await closed_loop(service.port, following, seconds=300, pushes=pushes)
                before = count
                await asyncio.sleep(SETTLE)
                own, redis = service.memory()
                took = await asyncio.to_thread(_read_alerts, service.port)
                kept = service.memory()[0] - own
                _add(report, service, Measured(what, count, own, redis, took, kept))
        report.add_row()
    return report


def _read_alerts(port: int) -> float:
    """The seconds that it takes to read all alerts."""
    began, connection = time.perf_counter(), http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/api/v2/alerts")
    response = connection.getresponse()
    while response.read(PIECE):
        pass
    connection.close()
    return time.perf_counter() - began


def _add(report: Report, service: Peer, measured: Measured) -> None:
    what, count, own, redis, took, kept = measured
    first = (service.name, what) if not count else ("", "")
    together = f"{own + redis:,.0f}"
    shown = f"{redis:,.0f}" if redis else "-"
    report.add_row(
        *(*first, f"{count:,}", f"{own:,.0f}", shown, together, f"{took:.2f}", f"{kept:,.0f}")
    )
    figures = {"service": service.name, "alerts": what, "number": count}
    report.figures.append(
        {
            **figures,
            **{"service MB": own, "Redis MB": redis, "GET alerts s": took, "kept MB": kept},
        }
    )
    if service.name == AMPROXY and count == COUNTS[-1]:
        goal = f"{count:,} alerts {what}"
        report.add_aim(f"{goal}, with Redis", f"{AIM} MB", f"{together} MB", own + redis <= AIM)
        report.add_aim(f"{goal}, read", f"{READ_AIM:g} s", f"{took:.2f} s", took <= READ_AIM)
        report.add_aim(f"{goal}, kept", f"{KEPT_AIM:g} MB", f"{kept:.0f} MB", kept <= KEPT_AIM)
