"""`python -m bench churn [MINUTES]`: alerts come and go; what stays of them, and what was told.

Each alert has a name and a group of its own, fires for a while, is repeated as a sender does, and
ends. Whatever a process keeps of one that is over shows as memory or keys that grow.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis as redis_client

from bench import cores
from bench.peers import cpu_seconds, quiet_servers, resident
from bench.report import Report
from tests.support.acceptance.moments import rfc3339
from tests.support.servers import Server
from tests.support.standins.webhook import Request, WebhookServer

MINUTES = 20.0
RATE = 20.0  # new alerts a second
LIFE, REPEAT = 20.0, 5.0  # seconds that an alert fires, and between two pushes of it
RETENTION = "1m"  # of incidents: the shortest run shows that they go
LATE = 10.0  # seconds after its end in which an alert may still be told as firing
QUIET = 15.0  # seconds after the last push in which the last ends are told
SAMPLES = 20
# The most in the last third, as against the most in the second: until then all is at its height.
GROWTH_AIM = 1.1
SHORTEST = 5.0  # minutes: in less, incidents are not yet forgotten as fast as they come


class _Listener(WebhookServer):
    """Notes when each alert was told, in which state."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[float, str, str]] = []  # time.monotonic(), name, status

    def problem(self, request: Request) -> str:
        for alert in request.payload["alerts"]:
            self.told.append((time.monotonic(), alert["labels"]["alertname"], alert["status"]))
        self.requests.clear()  # what the stand-in keeps must not grow
        return ""


class _Senders:
    """The alerts that fire, pushed as they begin, go on and end."""

    def __init__(self, server: Server, rate: float) -> None:
        self._url, self._rate = f"{server.url}/api/v2/alerts", rate
        self._numbers: Iterator[int] = itertools.count()
        self.began: dict[str, float] = {}
        self.ended: dict[str, float] = {}
        self._firing: dict[str, float] = {}  # name → when it is pushed next

    def turn(self, now: float, *, begin: bool) -> None:
        """Push what begins, what goes on, and what ends."""
        pushed = []
        for name, due in list(self._firing.items()):
            if now - self.began[name] >= LIFE:
                pushed.append(_alert(name, time.time()))
                del self._firing[name]
                self.ended[name] = now
            elif now >= due:
                pushed.append(_alert(name, time.time() + 4 * REPEAT))
                self._firing[name] = now + REPEAT
        for _ in range(round(self._rate) if begin else 0):
            name = f"Disk{next(self._numbers)}"
            self.began[name], self._firing[name] = now, now + REPEAT
            pushed.append(_alert(name, time.time() + 4 * REPEAT))
        if pushed:
            body = json.dumps(pushed).encode()
            headers = {"Content-Type": "application/json"}
            urllib.request.urlopen(urllib.request.Request(self._url, body, headers)).close()

    @property
    def firing(self) -> int:
        return len(self._firing)


def main(arguments: list[str]) -> int:
    """Run, print the report, return the exit status: 1 where something was told wrongly."""
    parser = argparse.ArgumentParser(
        prog="python -m bench churn",
        description="Alerts that come and go: memory, keys in Redis, false alarms.",
    )
    parser.add_argument(
        "minutes",
        nargs="?",
        type=float,
        default=MINUTES,
        metavar="MINUTES",
        help=f"({MINUTES:g}); growth is judged from {SHORTEST:g} on",
    )
    parser.add_argument("--rate", type=float, default=RATE, help=f"new alerts a second ({RATE:g})")
    options = parser.parse_args(arguments)
    data = Path(".data")
    data.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="churn-", dir=data) as folder:
        report, wrong = _run(Path(folder).resolve(), options.minutes, options.rate)
    print(report.text(), flush=True)
    return 1 if wrong else 0


def _run(folder: Path, minutes: float, rate: float) -> tuple[Report, int]:
    report = Report(
        "churn",
        f"Alerts that come and go for {minutes:g} minutes, {rate:g} new ones a second",
        ("minute", "firing", "service MB", "Redis MB", "keys", "CPU ms/s"),
    )
    with quiet_servers(folder) as servers, _Listener() as listener:
        with cores.starting_on(cores.ALL):
            redis = servers.redis_server()
            server = servers.amproxy(_routes(listener.port), redis_url=redis.url)
        senders = _Senders(server, rate)
        _live(report, senders, server, redis, minutes * 60)
        faults = _faults(senders, list(listener.told))
    for what, number in faults.items():
        report.add_aim(what, "0", str(number), number == 0)
    third = len(report.figures) // 3
    for what in ("service MB", "keys"):
        values = [figures[what] for figures in report.figures]
        ratio = max(values[2 * third :]) / max(values[third : 2 * third])
        reached = ratio <= GROWTH_AIM if minutes >= SHORTEST else None
        report.add_aim(f"growth of {what}", f"{GROWTH_AIM:g} times", f"{ratio:.2f}", reached)
    report.notes.append(f"{len(senders.began):,} alerts, each in a group of its own")
    report.notes.append("keys without the log of each group's notifications, kept for 120 hours")
    return report, sum(faults.values())


def _live(report: Report, senders: _Senders, server: Server, redis: Server, seconds: float) -> None:
    """Push once a second, and add a row now and then."""
    began = time.monotonic()
    next_row, used = began + seconds / SAMPLES, _cpu(server, redis)
    for second in itertools.count(1):
        now = time.monotonic()
        over = now - began >= seconds
        senders.turn(now, begin=not over)
        if over and not senders.firing:
            break
        if now >= next_row and not over:
            passed = seconds / SAMPLES + now - next_row
            share, used = (_cpu(server, redis) - used) / passed, _cpu(server, redis)
            _add_row(report, (now - began) / 60, senders.firing, server, redis, share)
            next_row = now + seconds / SAMPLES
        time.sleep(max(0.0, began + second - time.monotonic()))
    time.sleep(QUIET)


def _add_row(
    report: Report, minute: float, firing: int, server: Server, redis: Server, share: float
) -> None:
    own, stored = resident(server.pid), resident(redis.pid)
    keys = _count_keys(redis)
    shown = (f"{firing:,}", f"{own:.0f}", f"{stored:.0f}", f"{keys:,}", f"{share * 1000:.0f}")
    report.add_row(f"{minute:.1f}", *shown)
    report.figures.append(
        {"minute": minute, "service MB": own, "Redis MB": stored, "keys": keys, "CPU": share}
    )


def _count_keys(server: Server) -> int:
    """Keys beside the logs of notifications, which are kept for 120 hours as Alertmanager's are."""
    with redis_client.Redis.from_url(server.url) as client:
        return sum(not key.endswith(b":log") for key in client.scan_iter(count=1000))


def _faults(senders: _Senders, told: list[tuple[float, str, str]]) -> Counter[str]:
    """What was told wrongly, by kind; all kinds are in it."""
    faults = Counter[str]()
    firing = Counter(name for _, name, status in told if status == "firing")
    resolved = Counter(name for _, name, status in told if status == "resolved")
    faults["alerts that nobody was told of"] = len(senders.began.keys() - firing.keys())
    faults["ends that nobody was told of"] = len(senders.ended.keys() - resolved.keys())
    faults["alerts told twice"] = sum(number - 1 for number in firing.values())
    faults["false alarms: told as firing after the end"] = sum(
        status == "firing" and at > senders.ended.get(name, at) + LATE for at, name, status in told
    )
    faults["false ends: told as over while firing"] = sum(
        status == "resolved" and at < senders.ended.get(name, 0.0) for at, name, status in told
    )
    return faults


def _cpu(*servers: Server) -> float:
    return sum(cpu_seconds(server.pid) for server in servers)


def _routes(port: int) -> str:
    hook = {"url": f"http://127.0.0.1:{port}/", "max_alerts": 0}
    return json.dumps(
        {
            "route": {
                "receiver": "all",
                "group_by": ["..."],
                "group_wait": "1s",
                "group_interval": "3s",
                "repeat_interval": "4h",
            },
            "receivers": [
                {
                    "name": "all",
                    "webhook_configs": [hook],
                    "oncall_configs": [{"escalation_policy": "wait"}],
                }
            ],
            "users": [{"name": "ann", "contacts": {"console": "ann"}}],
            "escalation_policies": [
                {"name": "wait", "steps": [{"wait": "1h"}, {"notify": {"users": ["ann"]}}]}
            ],
            "store": {"retention": RETENTION},
        }
    )


def _alert(name: str, ends: float) -> dict[str, Any]:
    labels = {"alertname": name, "pod": f"pod-{name}", "severity": "warning"}
    return {"labels": labels, "annotations": {"summary": "It is full"}, "endsAt": rfc3339(ends)}
