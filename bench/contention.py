"""Contention: many senders push the same alert to two processes; thousands of silences are made."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from bench.peers import QUIET, cpu_seconds, quiet_servers
from bench.report import Report
from tests.support.acceptance.crowd_of_senders import push_from_all
from tests.support.acceptance.moments import rfc3339
from tests.support.servers import Server

SENDERS = (1, 16, 64)
PUSHES = 2000  # for each number of senders
SILENCES = (100, 1000, 5000)
CHANGES = 100  # that are measured beside so many silences
RATIO_AIM = 2.0  # CPU of a change beside many silences to that beside few


async def run(folder: Path, *, quick: bool) -> Report:
    """Count the pushes that are not answered 200, and measure the CPU of a push and a change."""
    report = Report(
        "contention",
        "The same alert from many connections at two processes, and silences beside many others",
        ("what", "number", "CPU ms each", "not 200"),
    )
    with quiet_servers(folder) as servers:
        redis = servers.redis_server()
        text = json.dumps(QUIET)
        pair = [servers.amproxy(text, redis_url=redis.url) for _ in range(2)]
        every = [*pair, redis]
        for senders in SENDERS:
            each = (PUSHES // 4 if quick else PUSHES) // senders
            urls = [f"{one.url}/api/v2/alerts" for one in pair]
            refused = await _measure(report, "senders", senders, every, urls, senders, each, _alert)
            report.add_aim(f"{senders} senders, not 200", "0", str(refused), refused == 0)
        made = 0
        for wanted in SILENCES[:2] if quick else SILENCES:
            urls = [f"{pair[0].url}/api/v2/silences"]
            await push_from_all(urls, 1, wanted - CHANGES - made, _silence)
            await _measure(report, "silences", wanted, every, urls, 1, CHANGES, _silence)
            made = wanted
        costs = [figure["milliseconds"] for figure in report.figures if "silences" in figure]
        ratio = costs[-1] / costs[0]
        what = f"a silence beside {made:,} others, as against {SILENCES[0]}"
        report.add_aim(what, f"{RATIO_AIM:g} times", f"{ratio:.2f}", ratio <= RATIO_AIM)
    report.notes.append("CPU of both processes and of Redis together")
    return report


async def _measure(
    report: Report,
    what: str,
    number: int,
    every: list[Server],
    urls: list[str],
    senders: int,
    each: int,
    body: Any,
) -> int:
    """Add a row; return how many posts were not answered 200."""
    before = sum(map(_cpu, every))
    answers = await push_from_all(urls, senders, each, body)
    cost = (sum(map(_cpu, every)) - before) / answers.total() * 1000
    refused = answers.total() - answers[200]
    report.add_row(what, f"{number:,}", f"{cost:.2f}", str(refused))
    report.figures.append({what: number, "milliseconds": cost, "not 200": refused})
    return refused


def _cpu(server: Server) -> float:
    return cpu_seconds(server.pid)


def _alert(sender: int, number: int) -> Any:
    labels = {"alertname": "Disk", "instance": "a"}
    return [{"labels": labels, "endsAt": rfc3339(time.time() + 600 + sender + number / 1000)}]


def _silence(sender: int, number: int) -> Any:
    values = {"alertname": "Disk", "instance": f"host-{sender}-{number}"}
    return {
        "matchers": [
            {"name": name, "value": value, "isRegex": False, "isEqual": True}
            for name, value in values.items()
        ],
        "startsAt": rfc3339(time.time()),
        "endsAt": rfc3339(time.time() + 3600),
        "createdBy": "bench",
        "comment": "bench",
    }
