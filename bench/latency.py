"""From a push to the first request that goes out because of it, beside 300 repeats a second.

Each push that is timed opens a group of its own, so that each has a request to wait for.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from statistics import quantiles

from bench.alerts import DISTINCT, alert, in_an_hour, moved, request, stamps
from bench.load import CONNECTIONS, Connection, closed_loop, connect
from bench.peers import ALERTMANAGER, AMPROXY, Config, Peer, peers, present
from bench.report import Report
from bench.webhooks import Listener, listening

RATE = 20  # timed pushes a second
BESIDE = 300  # other pushes a second, each a repeat of one alert
SECONDS = 30.0
WARM = 20  # pushes that are not counted: connections are opened and templates compiled meanwhile
PEOPLE = [f"p{number}" for number in range(50)]  # so nobody gets more than two pages a second
LATEST = 10.0  # seconds after the last push in which its request must have come
AIMS = {"p50": 0.003, "p99": 0.010}  # seconds
WEBHOOK, RAW = "webhook", "raw, group_wait 0s"  # the two APIs that accept alerts
HOOK, PERSON = "webhook_configs", "person on call"  # receivers
QUIET = "nobody"  # the receiver of what is only repeated
_numbers = itertools.count(1)
_Push = Callable[[int, str], bytes]  # number of the push, value of its label `to` → request


async def run(folder: Path, *, quick: bool) -> Report:
    """Measure both APIs and both receivers; at amproxy half of the pushes go to each receiver."""
    seconds = SECONDS / 5 if quick else SECONDS
    report = Report(
        "latency",
        f"Latency: from a push to the first request out, {RATE} pushes/s beside {BESIDE} repeats/s",
        ("door", "receiver", "service", "pushes", "p50 ms", "p90 ms", "p99 ms", "max ms"),
        notes=[
            "each push opens a group of its own; amproxy has stored it before, with fsync always",
            "amproxy and its Redis share one core; Alertmanager has the same one, the load another",
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
    """Routes that send alerts to one webhook, or to the person that they are labelled for."""
    route = {
        "receiver": QUIET,
        "group_by": ["alertname"],
        "group_wait": "0s",
        "group_interval": "5m",
    }
    routes = [{"receiver": name, "matchers": [f'to="{name}"']} for name in [HOOK, *people]]
    hook = {"name": HOOK, "webhook_configs": [{"url": f"http://127.0.0.1:{port}/hook"}]}
    receivers = [{"name": QUIET}, hook]
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
    # stored once before: what is pushed beside only repeats
    stored = -(-DISTINCT // 64)
    await closed_loop(service.port, moved(64, stamps()), seconds=60, pushes=stored)
    others = await connect(service.port, 4 * CONNECTIONS, answered, failed)
    repeating = asyncio.create_task(_repeat(others))
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
    repeating.cancel()
    for connection in [*connections, *others]:
        connection.transport.abort()
    delays: dict[str, list[float]] = {}
    for number, (to, at) in list(sent.items())[WARM:]:
        kind = HOOK if to == HOOK else PERSON
        delays.setdefault(kind, []).append(listener.arrivals.get(number, at + LATEST) - at)
    return dict(sorted(delays.items(), reverse=True))


async def _repeat(connections: list[Connection]) -> None:
    """Push known alerts at an even pace, their ends moved; cancel to stop."""
    following, begin = moved(1, stamps()), time.perf_counter()
    for turn in itertools.count():
        await asyncio.sleep(max(0.0, begin + turn / BESIDE - time.perf_counter()))
        connections[turn % len(connections)].transport.write(following())


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
    for name, aim in AIMS.items() if service == AMPROXY else ():
        goal, reached = f"{api} → {receiver}, {name}", found[name]
        report.add_aim(goal, f"{aim * 1000:g} ms", f"{reached * 1000:.1f} ms", reached <= aim)
