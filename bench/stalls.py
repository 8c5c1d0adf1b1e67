"""The longest silence of `/-/healthy` while something big happens.

A process of its own asks every 20 ms; what it waits for an answer is how long everybody waits.
"""

from __future__ import annotations

import asyncio
import gzip
import http.client
import itertools
import json
import multiprocessing
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from bench.peers import AMPROXY, Config, Peer, peers
from bench.report import Report
from bench.webhooks import listening

ALERTS = 80_000
INCIDENTS = 3_000
AIM = 0.25  # seconds
EVERY = 0.02  # seconds between two questions
PATIENCE = 300.0  # seconds that one request may take
_DEEP = b"[" * 10**5 + b"]" * 10**5
SETTLE = 1.0  # seconds after a response in which what it left behind still counts


class Happening(NamedTuple):
    """Something big, and what it is called."""

    name: str
    do: Callable[[], str]  # blocks until it is over; returns a remark


async def run(folder: Path, *, quick: bool) -> Report:
    """Let one thing after the other happen to one service; `quick` has a tenth of the alerts."""
    alerts, incidents = (ALERTS // 10, INCIDENTS // 10) if quick else (ALERTS, INCIDENTS)
    report = Report(
        "stalls",
        f"Stalls: the longest that /-/healthy waited, asked every {EVERY * 1000:.0f} ms, "
        f"{alerts:,} alerts",
        ("meanwhile", "stall ms", "took s", "answer"),
    )
    async with listening() as hook:
        with peers(folder) as running:
            service = running.start(AMPROXY, _config(hook.port))
            await asyncio.sleep(SETTLE)
            for happening in _happenings(service, hook, alerts, incidents):
                stall, seconds, remark = await asyncio.to_thread(_observe, service, happening)
                report.add_row(happening.name, f"{stall * 1000:.0f}", f"{seconds:.1f}", remark)
                report.figures.append({"name": happening.name, "stall": stall, "took": seconds})
    worst = max(report.figures, key=lambda figure: float(figure["stall"]))
    found = f"{worst['stall'] * 1000:.0f} ms ({worst['name']})"
    report.add_aim("longest stall", f"{AIM * 1000:.0f} ms", found, worst["stall"] <= AIM)
    return report


def _config(hook: int) -> Config:
    oncall = {"escalation_policy": "all"}
    return {
        "route": {
            "receiver": "quiet",
            "group_by": ["alertname"],
            "group_wait": "1h",
            "routes": [
                {"matchers": ['kind="page"'], "receiver": "people", "group_wait": "0s"},
                {
                    "matchers": ['kind="each"'],
                    "receiver": "people",
                    "group_by": ["instance"],
                    "group_wait": "0s",
                },
            ],
        },
        "receivers": [
            {"name": "quiet"},
            {
                "name": "people",
                "oncall_configs": [oncall],
                "webhook_configs": [{"url": f"http://127.0.0.1:{hook}/"}],
            },
        ],
        "inhibit_rules": [
            {
                "source_matchers": ['severity="critical"'],
                "target_matchers": ['severity="warning"'],
                "equal": ["dc"],
            }
        ],
        "users": [{"name": "ann", "contacts": {"webhook": f"http://127.0.0.1:{hook}/"}}],
        "escalation_policies": [{"name": "all", "steps": [{"notify": {"users": ["ann"]}}]}],
    }


def _alert(number: int, kind: str = "") -> dict[str, Any]:
    labels = {
        "alertname": f"Latency{number % 7}" if not kind else "Latency",
        "job": "api",
        "instance": f"host-{number}:9100",
        "severity": "warning" if number % 50 else "critical",
        "dc": f"eu{number % 9000}",
    }
    if kind:
        labels["kind"] = kind
    return {"labels": labels, "annotations": {"summary": f"host {number} is slow"}}


def _happenings(service: Peer, hook: Any, alerts: int, incidents: int) -> Iterator[Happening]:
    ask = _Client(service.port)
    raw = [_alert(number) for number in range(alerts)]
    page = [{**_alert(number, "page"), "status": "firing"} for number in range(alerts)]
    each = [_alert(number, "each") for number in range(incidents)]
    wide = {"title": "wide", "details": {f"key-{n}": f"value {n}" for n in range(5 * alerts)}}
    webhook = json.dumps({"groupKey": "k", "groupLabels": {}, "alerts": page}).encode()
    over = json.dumps(
        {
            "groupKey": "k",
            "groupLabels": {},
            "alerts": [{**alert, "status": "resolved"} for alert in page],
        }
    ).encode()
    sloppy = json.dumps([{**alert, "unknown": 1} for alert in raw]).encode()
    matcher = quote('instance=~"host-.*"')

    def post(path: str, body: bytes, **headers: str) -> Callable[[], str]:
        return lambda: ask("POST", path, body, **headers)

    def get(path: str) -> Callable[[], str]:
        return lambda: ask("GET", path)

    def flushed(do: Callable[[], str]) -> Callable[[], str]:
        def wait() -> str:
            seen, answer = hook.requests, do()
            deadline = time.monotonic() + 60
            while hook.requests == seen and time.monotonic() < deadline:
                time.sleep(0.05)
            time.sleep(3)
            return answer

        return wait

    def incident(form: str) -> Callable[[], str]:
        def one() -> str:
            listed = json.loads(ask.read("/api/v1/incidents?limit=500"))["incidents"]
            biggest = max(listed, key=lambda one: one["alerts"]["firing"])
            return ask("GET", form.format(biggest["id"]))

        return one

    return itertools.chain(
        (
            Happening("nothing", lambda: time.sleep(2) or ""),
            Happening("push, new", post("/api/v2/alerts", json.dumps(raw).encode())),
            Happening("push, repeated", post("/api/v2/alerts", json.dumps(raw).encode())),
            Happening("push, unknown keys", post("/api/v2/alerts", sloppy)),
            Happening("GET alerts", get("/api/v2/alerts")),
            Happening("GET alerts, filtered", get(f"/api/v2/alerts?filter={matcher}")),
            Happening("GET alerts/groups", get("/api/v2/alerts/groups")),
            Happening("webhook and its flush", flushed(post("/webhook/any", webhook))),
            Happening("webhook, repeated", post("/webhook/any", webhook)),
            Happening(
                "webhook, gzip",
                post("/webhook/any", gzip.compress(webhook), **{"Content-Encoding": "gzip"}),
            ),
            Happening("generic JSON, wide", post("/webhook/any", json.dumps(wide).encode())),
            Happening("generic JSON, deep", post("/webhook/any", b'{"a":%b}' % _DEEP)),
            Happening(
                "generic JSON, lists", post("/webhook/any", b'{"a":[' + b"[]," * 5 * 10**6 + b"1]}")
            ),
            Happening(
                "labels nested deeply", post("/api/v2/alerts", b'[{"labels":{"a":%b}}]' % _DEEP)
            ),
            Happening(
                "an incident each",
                flushed(post("/api/v2/alerts", json.dumps(each).encode())),
            ),
            Happening("incident, API", incident("/api/v1/incidents/{}")),
            Happening("incident, page", incident("/incidents/{}")),
            Happening(
                "preview of a silence",
                post("/api/v1/silences/preview", b'{"matchers":["instance=~\\"host-.*\\""]}'),
            ),
            Happening("form of a silence", get(f"/silences/new?matcher={matcher}")),
            Happening("silence", post("/api/v2/silences", json.dumps(_silence()).encode())),
            Happening("silences, page", get("/silences")),
            Happening("GET alerts, silenced", get("/api/v2/alerts")),
            Happening("resolved, and its flush", flushed(post("/webhook/any", over))),
        ),
        (
            Happening(f"GET {path}", get(path))
            for path in (
                "/",
                "/incidents?limit=500",
                "/api/v1/incidents?limit=500",
                "/api/v1/history",
                "/api/v1/insights/alerts.csv",
                "/api/v1/insights",
                "/insights",
                "/metrics",
                "/routes",
                "/deliveries",
                "/api/v1/openapi.json",
                "/schedules",
                "/silences",
            )
        ),
    )


def _silence() -> dict[str, Any]:
    now = datetime.now(UTC)
    matcher = {"name": "instance", "value": "host-.*", "isRegex": True}
    return {
        "matchers": [matcher],
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(hours=1)).isoformat(),
        "createdBy": "bench",
        "comment": "all of them",
    }


class _Client:
    """Requests to the service, each on a connection of its own."""

    def __init__(self, port: int) -> None:
        self._port = port

    def __call__(self, method: str, path: str, body: bytes = b"", **headers: str) -> str:
        status, text = self._ask(method, path, body, headers)
        return f"{status}, {len(text) / 1e6:.1f} MB"

    def read(self, path: str) -> bytes:
        return self._ask("GET", path, b"", {})[1]

    def _ask(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        try:
            sent = {"Content-Type": "application/json", **headers} if body else headers
            connection.request(method, path, body or None, sent)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


def _observe(service: Peer, happening: Happening) -> tuple[float, float, str]:
    """The longest wait for an answer, the seconds that it took, and what was answered."""
    ours, theirs = multiprocessing.Pipe()
    asking = multiprocessing.get_context("spawn").Process(
        target=_ask_health, args=(service.port, theirs), daemon=True
    )
    asking.start()
    theirs.close()
    ours.recv()  # it has begun
    began = time.monotonic()
    try:
        remark = happening.do()
    except OSError as error:
        remark = type(error).__name__
    seconds = time.monotonic() - began
    time.sleep(SETTLE)
    ours.send(None)
    longest = ours.recv()
    asking.join()
    return longest, seconds, remark


def _ask_health(port: int, pipe: Pipe) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    longest = 0.0
    pipe.send(None)
    while not pipe.poll():
        began = time.monotonic()
        connection.request("GET", "/-/healthy")
        connection.getresponse().read()
        longest = max(longest, time.monotonic() - began)
        time.sleep(EVERY)
    pipe.send(longest)
