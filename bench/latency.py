"""From a push to the first request that goes out because of it, at 100 pushes a second.

Each push opens a group of its own, so that each has a request to wait for.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from statistics import quantiles

from bench.alerts import alert, in_an_hour, request
from bench.load import CONNECTIONS, Connection, connect
from bench.peers import ALERTMANAGER, AMPROXY, Config, Peer, peers, present
from bench.report import Report
from bench.webhooks import Listener, listening

RATE = 100  # pushes a second
SECONDS = 20.0
WARM = 100  # pushes that are not counted: connections are opened and templates compiled meanwhile
PEOPLE = [f"p{number}" for number in range(50)]  # so nobody gets more than two pages a second
LATEST = 10.0  # seconds after the last push in which its request must have come
AIM = 0.010  # p99, seconds
WEBHOOK, RAW = "webhook", "raw, group_wait 0s"  # the two APIs that accept alerts
HOOK, PERSON = "webhook_configs", "person on call"  # receivers
_numbers = itertools.count(1)
_Push = Callable[[int, str], bytes]  # number of the push, value of its label `to` → request


async def run(folder: Path, *, quick: bool) -> Report:
    """Measure both APIs and both receivers; at amproxy half of the pushes go to each receiver."""
    seconds = SECONDS / 10 if quick else SECONDS
    report = Report(
        "latency",
        f"Latency: from a push to the first request out, {RATE} pushes/s for {seconds:g} s",
        ("door", "receiver", "service", "pushes", "p50 ms", "p90 ms", "p99 ms", "max ms"),
        notes=[
            "each push opens a group of its own; amproxy has stored it before, with fsync always"
        ],
    )
    async with listening() as listener:
        with peers(folder) as running:
            config = {**_hook(listener.port, PEOPLE), **_people(listener.port)}
            amproxy = running.start(AMPROXY, config)
            for api, push in ((WEBHOOK, _grouped), (RAW, _raw)):
                delays = await _measure(amproxy, listener, push, seconds, [HOOK, *PEOPLE])
                for receiver in delays:
                    _add(report, api, receiver, amproxy.name, delays[receiver])
        for name in present(ALERTMANAGER):
            with peers(folder) as running:
                service = running.start(name, _hook(listener.port, []))
                delays = await _measure(service, listener, _raw, seconds, [HOOK])
                _add(report, RAW, HOOK, name, delays[HOOK])
    return report


def _hook(port: int, people: list[str]) -> Config:
    """Routes that send everything to one webhook, except alerts labelled for a person."""
    route = {
        "receiver": HOOK,
        "group_by": ["alertname"],
        "group_wait": "0s",
        "group_interval": "5m",
    }
    routes = [{"receiver": name, "matchers": [f'to="{name}"']} for name in people]
    receivers = [{"name": HOOK, "webhook_configs": [{"url": f"http://127.0.0.1:{port}/hook"}]}]
    return {"route": {**route, "routes": routes}, "receivers": receivers}


def _people(port: int) -> Config:
    """People with a receiver and a policy of their own, and a webhook as their one contact."""
    receivers = [{"name": name, "oncall_configs": [{"escalation_policy": name}]} for name in PEOPLE]
    return {
        "users": [
            {"name": name, "contacts": {"webhook": f"http://127.0.0.1:{port}/{name}"}}
            for name in PEOPLE
        ],
        "escalation_policies": [
            {"name": name, "steps": [{"notify": {"users": [name]}}]} for name in PEOPLE
        ],
        "receivers": [*_hook(port, [])["receivers"], *receivers],
    }


def _raw(number: int, to: str) -> bytes:
    return request("/api/v2/alerts", [_alert(number, to)])


def _grouped(number: int, to: str) -> bytes:
    """The push as a webhook of Alertmanager sends it, which has made the group already."""
    one = {**_alert(number, to), "status": "firing", "endsAt": "0001-01-01T00:00:00Z"}
    labels = {"alertname": one["labels"]["alertname"]}
    return request(
        "/webhook/alertmanager",
        {
            "version": "4",
            "status": "firing",
            "receiver": "amproxy",
            "groupKey": f'{{}}:{{alertname="{labels["alertname"]}"}}',
            "groupLabels": labels,
            "commonLabels": one["labels"],
            "commonAnnotations": one["annotations"],
            "externalURL": "http://alertmanager.example.org:9093",
            "truncatedAlerts": 0,
            "alerts": [one],
        },
    )


def _alert(number: int, to: str) -> Config:
    one = alert(0, ends=in_an_hour())
    return {**one, "labels": {**one["labels"], "alertname": f"push-{number:09}", "to": to}}


async def _measure(
    service: Peer, listener: Listener, push: _Push, seconds: float, receivers: list[str]
) -> dict[str, list[float]]:
    """Push at an even pace. Receiver → seconds from each push to its first request.

    A push whose request never came counts as LATEST. Raises Refused at a response other than 200.
    """
    # The pace does not wait for responses: a slow service must not slow down its own measurement.
    loop = asyncio.get_running_loop()
    broken: asyncio.Future[None] = loop.create_future()

    def failed(error: Exception) -> None:
        if not broken.done():
            broken.set_exception(error)

    def answered(_: Connection) -> None: ...

    connections = await connect(service.port, CONNECTIONS, answered, failed)
    people = itertools.cycle(receivers[1:] or receivers)
    sent: dict[int, tuple[str, float]] = {}
    begin = time.perf_counter()
    for turn in range(WARM + int(seconds * RATE)):
        number, to = next(_numbers), receivers[0] if turn % 2 else next(people)
        ready = push(number, to)
        await asyncio.sleep(max(0.0, begin + turn / RATE - time.perf_counter()))
        sent[number] = (to, time.perf_counter())
        connections[turn % CONNECTIONS].transport.write(ready)
        if broken.done():
            break
    while (
        not broken.done()
        and not sent.keys() <= listener.arrivals.keys()
        and time.perf_counter() < begin + seconds + LATEST
    ):
        await asyncio.sleep(0.05)
    if broken.done():
        broken.result()
    broken.cancel()
    for connection in connections:
        connection.transport.abort()
    delays: dict[str, list[float]] = {}
    for number, (to, at) in list(sent.items())[WARM:]:
        kind = HOOK if to == HOOK else PERSON
        delays.setdefault(kind, []).append(listener.arrivals.get(number, at + LATEST) - at)
    return dict(sorted(delays.items(), reverse=True))


def _add(report: Report, api: str, receiver: str, service: str, delays: list[float]) -> None:
    cuts = quantiles(delays, n=100)
    found = {"p50": cuts[49], "p90": cuts[89], "p99": cuts[98], "max": max(delays)}
    shown = [f"{seconds * 1000:.1f}" for seconds in found.values()]
    report.add_row(api, receiver, service, str(len(delays)), *shown)
    report.figures.append({"door": api, "receiver": receiver, "service": service, "seconds": found})
    lost = sum(seconds >= LATEST for seconds in delays)
    if lost:
        pushes = f"{lost} pushes of {service} ({api}, {receiver})"
        report.notes.append(f"{pushes} were not told within {LATEST:g} s")
    if service == AMPROXY:
        p99 = found["p99"]
        goal = f"{api} → {receiver}, p99"
        report.add_aim(goal, f"{AIM * 1000:g} ms", f"{p99 * 1000:.1f} ms", p99 <= AIM)
