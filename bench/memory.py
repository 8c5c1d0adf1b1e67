"""Memory of a service and its Redis with 0, 10,000 and 100,000 active alerts in 100 groups."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bench import alerts
from bench.load import closed_loop
from bench.peers import ALERTMANAGER, AMPROXY, QUIET, Config, Peer, peers, present
from bench.report import Report

COUNTS = (0, 10_000, 100_000)
SIZE = 50  # alerts a push
SETTLE = 4.0  # seconds until groups are flushed and memory is at rest
AIM = 300  # MB at the largest of COUNTS
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


async def run(folder: Path, *, quick: bool) -> Report:
    """amproxy with alerts that are only stored and with incidents open, and Alertmanager."""
    counts = COUNTS[:2] if quick else COUNTS
    report = Report(
        "memory",
        "Memory: resident MB, with distinct alerts of about 600 bytes in 100 groups",
        ("service", "alerts", "number", "service MB", "Redis MB", "together MB"),
        notes=[f"taken {SETTLE:g} s after the last push, {SIZE} alerts a push"],
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
                _add(report, service, what, count)
        report.add_row()
    return report


def _add(report: Report, service: Peer, what: str, count: int) -> None:
    own, redis = service.memory()
    first = (service.name, what) if not count else ("", "")
    together = f"{own + redis:,.0f}"
    shown = f"{redis:,.0f}" if redis else "-"
    report.add_row(*first, f"{count:,}", f"{own:,.0f}", shown, together)
    figures = {"service": service.name, "alerts": what, "number": count}
    report.figures.append({**figures, "service MB": own, "Redis MB": redis})
    if service.name == AMPROXY and count == COUNTS[-1]:
        goal = f"{count:,} alerts {what}, with Redis"
        report.add_aim(goal, f"{AIM} MB", f"{together} MB", own + redis <= AIM)
