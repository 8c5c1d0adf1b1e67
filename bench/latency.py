"""From a push to the first request that goes out because of it, at 100 pushes a second, each of a group of its own."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from pathlib import Path
from statistics import quantiles
from typing import Any

from bench.alerts import alert, at, request
from bench.load import CONNECTIONS, connect
from bench.peers import ALERTMANAGER, AMPROXY, Peer, peers, present
from bench.report import Aim, Report
from bench.webhooks import Listener, listening

RATE = 100  # pushes a second
SECONDS = 20.0
PEOPLE = 50  # so that nobody gets more than one page a second
LATEST = 10.0  # seconds after the last push in which its request must have come
AIM = 0.010  # p99, seconds
RAW, WEBHOOK = "raw, group_wait 0s", "webhook"  # doors
_numbers = itertools.count(1)
Push = Callable[[int, str], bytes]  # number of the push, value of its label `to` → request


async def run(folder: Path, *, quick: bool) -> Report:
    """Both doors and both kinds of receiver; half of the pushes go to each kind."""
    seconds = SECONDS / 10 if quick else SECONDS
    report = Report(
        "latency",
        f"Latency: push → first outgoing request, {RATE} pushes/s for {seconds:g} s",
        ("door", "receiver", "service", "requests", "p50 ms", "p90 ms", "p99 ms", "max ms"),
    )
    async with listening() as listener:
        with peers(folder) as running:
            amproxy = running.start(AMPROXY, _config(listener.port) + _people(listener.port))
            for door, push in ((WEBHOOK, _grouped), (RAW, _raw)):
                for receiver, taken in (await _measure(amproxy, listener, push, seconds, people=True)).items():
                    _add(report, door, receiver, AMPROXY, taken)
        for name in present(ALERTMANAGER):
            with peers(folder) as running:
                service = running.start(name, _config(listener.port))
                for receiver, taken in (await _measure(service, listener, _raw, seconds, people=False)).items():
                    _add(report, RAW, receiver, name, taken)
    return report


def _config(port: int) -> str:
    return f"""
receivers:
  - {{name: hook, webhook_configs: [{{url: 'http://127.0.0.1:{port}/hook'}}]}}
{"".join(f"  - {{name: p{i}, oncall_configs: [{{escalation_policy: p{i}}}]}}{chr(10)}" for i in range(0))}"""


def _people(port: int) -> str:
    return ""
