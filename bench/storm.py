"""Thousands of incidents that open together, and thousands of timers that are due in one second.

Each alert is a group of its own that pages somebody; later each incident pages somebody else.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import redis.asyncio

from amproxy.store import keys
from bench import alerts
from bench.load import closed_loop
from bench.peers import AMPROXY, Config, peers
from bench.report import Report

INCIDENTS = 10_000
SIZE = 50  # alerts a push
WAIT = 90  # seconds from the first page of an incident to the second
MARGIN = 3  # seconds before the first of the second pages would be due
LOOK = 0.05  # seconds between two looks
PATIENCE = 600.0  # seconds
OPEN_AIM, LATE_AIM = 5.0, 1.5  # seconds

STORM: Config = {
    "route": {
        "receiver": "people",
        "group_by": ["pod"],
        "group_wait": "0s",
        "group_interval": "1h",
    },
    "receivers": [{"name": "people", "oncall_configs": [{"escalation_policy": "one"}]}],
    "users": [{"name": name, "contacts": {"console": name}} for name in ("ann", "bob")],
    "escalation_policies": [
        {
            "name": "one",
            "steps": [
                {"notify": {"users": ["ann"]}},
                {"wait": f"{WAIT}s"},
                {"notify": {"users": ["bob"]}},
                {"wait": "1h"},
            ],
        }
    ],
}


async def run(folder: Path, *, quick: bool) -> Report:
    """Open them, let all of their first pages go out, and have all second pages due in a second."""
    number = INCIDENTS // 10 if quick else INCIDENTS
    report = Report(
        "storm",
        f"Storm: {number:,} incidents that open together and page twice",
        ("what", "seconds", "pushes took s"),
        notes=["timers: all within one second; what is shown is how late the last was"],
    )
    with peers(folder) as running:
        service = running.start(AMPROXY, STORM)
        async with redis.asyncio.Redis.from_url(service.redis_url) as stored:
            began = time.time()
            following = alerts.new(SIZE, alerts.numbers())
            await closed_loop(service.port, following, seconds=PATIENCE, pushes=number // SIZE)
            pushed = time.time() - began
            await _until(lambda: _all_open(stored, number))
            opened = time.time()
            await _until(lambda: _none_waits(stored))
            # As late as can be: what becomes of a page sets its incident's timer anew.
            await asyncio.sleep(began + WAIT - MARGIN - time.time())
            late = await _last_late(stored, opened + WAIT)
    report.add_row("incidents open", f"{opened - began:.1f}", f"{pushed:.1f}")
    report.add_row("timers late", f"{late:.1f}", "")
    report.figures.append({"number": number, "opened": opened - began, "late": late})
    if not quick:
        took = f"{opened - began:.1f} s"
        report.add_aim("incidents open", f"{OPEN_AIM:g} s", took, opened - began <= OPEN_AIM)
        report.add_aim("timers late", f"{LATE_AIM:g} s", f"{late:.1f} s", late <= LATE_AIM)
    return report


async def _last_late(stored: Any, due: float) -> float:
    """Have the timers of all incidents due within a second; return how late the last one was.

    due: Unix seconds at which the second page of each incident is due at the latest.
    """
    first = max(due, time.time()) + 1
    names = [
        name for name in await stored.zrange(keys.TIMERS, 0, -1) if name.startswith(b"incident:")
    ]
    scores = {name: (first + place / len(names)) * 1000 for place, name in enumerate(names)}
    await stored.zadd(keys.TIMERS, scores, xx=True)
    await asyncio.sleep(first - time.time())
    # a timer that is worked on has its lease until then
    await _until(lambda: _none_due(stored, first + WAIT + 60))
    return time.time() - first - 1


async def _all_open(stored: Any, number: int) -> bool:
    return int(await stored.zcard(keys.INCIDENTS)) >= number


async def _none_waits(stored: Any) -> bool:
    return int(await stored.xlen(keys.OUTBOX)) == 0


async def _none_due(stored: Any, until: float) -> bool:
    names = await stored.zrangebyscore(keys.TIMERS, 0, until * 1000)
    return not any(name.startswith(b"incident:") for name in names)


async def _until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await holds():
            await asyncio.sleep(LOOK)
