"""Pushes a second of `POST /api/v2/alerts`, beside Alertmanager.

The services take turns round by round, so that a change of the machine's speed hits all of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

from bench import alerts
from bench.alerts import Next
from bench.load import CONNECTIONS, Round, closed_loop
from bench.peers import ALERTMANAGER, AMPROXY, SERVICES, Peer, peers, present
from bench.report import Report
from bench.trivial import trivial

SIZES = (1, 10, 64)  # alerts a push
ROUNDS = 3
MOST_NEW = 30_000  # new alerts in one round: Alertmanager keeps each in some 4 kB


class Workload(NamedTuple):
    """A kind of pushes, and the rates to reach with it."""

    name: str
    seconds: float  # of a round
    aims: tuple[float, ...]  # times Alertmanager, for SIZES; () = none
    fill: bool  # all alerts are stored before the first round


MOVED = Workload("repeats, endsAt moved", 3.0, (1.2, 4.0, 8.0), True)
IDENTICAL = Workload("repeats, identical", 1.0, (), True)
NEW = Workload("new alerts", 3.0, (0.8, 1.2, 2.0), False)
Rates = dict[str, list[float]]  # service → pushes a second, one for each round


async def run(folder: Path, *, quick: bool) -> Report:
    """Measure all workloads at all sizes; `quick` has shorter rounds, whose figures are rougher."""
    bench = _Bench(folder, 0.2 if quick else 1.0)
    report = Report(
        "throughput",
        f"Throughput: POST /api/v2/alerts, {CONNECTIONS} connections, {ROUNDS} alternating rounds",
        (
            *("workload", "a push", "service", "pushes/s", "alerts/s"),
            *("× Alertmanager (min med max)", "aim"),
        ),
    )
    ceilings = [await bench.ceiling(size) for size in SIZES]
    for workload in (MOVED, IDENTICAL, NEW):
        for size, rates in zip(SIZES, await bench.measure(workload), strict=True):
            _add(report, workload, size, rates)
    shown = " · ".join(f"{ceiling:,.0f}" for ceiling in ceilings)
    alone = dict(zip(map(str, SIZES), ceilings, strict=True))
    report.figures.append({"load generator alone": alone})
    report.notes = [
        f"headline: {MOVED.name}, which is what Prometheus and vmalert send; "
        f"{alerts.DISTINCT:,} alerts in 100 groups",
        "the load generator alone, against a server that only answers: "
        f"{shown} pushes/s at 1 · 10 · 64",
        "amproxy: a 200 means on disk (fsync always). "
        "everysec: a crash of the machine may lose a second.",
        "Alertmanager keeps alerts in memory only.",
        "amproxy and its Redis share one core; Alertmanager has the same one, the load another.",
    ]
    return report


class _Bench:
    def __init__(self, folder: Path, shorter: float) -> None:
        self._folder, self._shorter = folder, shorter
        self._stamps, self._numbers = alerts.stamps(), alerts.numbers()

    async def ceiling(self, size: int) -> float:
        """Pushes a second that the load generator can do."""
        following = alerts.moved(size, self._stamps)
        with trivial() as port:
            return (await closed_loop(port, following, seconds=self._shorter)).rate

    async def measure(self, workload: Workload) -> list[Rates]:
        """Rates for each of SIZES, with new services for each where every push makes them grow."""
        if not workload.fill:
            return [(await self._with_services(workload, (size,)))[0] for size in SIZES]
        return await self._with_services(workload, SIZES)

    async def _with_services(self, workload: Workload, sizes: tuple[int, ...]) -> list[Rates]:
        with peers(self._folder) as running:
            services = [running.start(name) for name in present(*SERVICES)]
            return [await self._alternate(workload, size, services) for size in sizes]

    async def _alternate(self, workload: Workload, size: int, services: list[Peer]) -> Rates:
        rates: Rates = defaultdict(list)
        loads = {service.name: self._load(workload, size) for service in services}
        every = -(-alerts.DISTINCT // size)  # pushes with which each alert was sent once
        for service in services if workload.fill else ():
            await closed_loop(service.port, loads[service.name](), seconds=60, pushes=every)
        for _ in range(ROUNDS):
            for service in services:
                result = await self._round(workload, size, service, loads[service.name]())
                rates[service.name].append(result.rate)
        return rates

    async def _round(self, workload: Workload, size: int, service: Peer, following: Next) -> Round:
        seconds = workload.seconds * self._shorter
        most = 10**12 if workload.fill else int(MOST_NEW * self._shorter) // size
        return await closed_loop(service.port, following, seconds=seconds, pushes=most)

    def _load(self, workload: Workload, size: int) -> Callable[[], Next]:
        if workload is IDENTICAL:
            # One for all rounds: another one would have other ends of the alerts in its bytes.
            same = alerts.identical(size)
            return lambda: same
        if workload is MOVED:
            return lambda: alerts.moved(size, self._stamps)
        return lambda: alerts.new(size, self._numbers)


def _add(report: Report, workload: Workload, size: int, rates: Rates) -> None:
    """Add the rows, figures and aims of one workload at one size."""
    aim = dict(zip(SIZES, workload.aims, strict=True)).get(size) if workload.aims else None
    if report.rows:
        report.add_row()
    for number, (name, measured) in enumerate(rates.items()):
        # Round by round, so that both rates of a ratio are of the same moment; none without a peer.
        theirs = rates.get(ALERTMANAGER, ())
        ratios = sorted(one / other for one, other in zip(measured, theirs, strict=False))
        rate, ours = median(measured), name != ALERTMANAGER
        first = (workload.name, str(size)) if number == 0 else ("", "")
        shown = _spread(ratios) if ours and ratios else ""
        shown_aim = f"{aim:g}" if aim and ours else ""
        report.add_row(*first, name, f"{rate:,.0f}", f"{rate * size:,.0f}", shown, shown_aim)
        figures = {"workload": workload.name, "alerts a push": size, "service": name}
        report.figures.append({**figures, "pushes/s": measured, "ratios": ratios})
        if aim and name == AMPROXY:
            reached = median(ratios) >= aim if ratios else None
            found = f"{median(ratios):.2f} ×" if ratios else ""
            goal = f"{workload.name}, {size} a push, against Alertmanager"
            report.add_aim(goal, f"{aim:g} ×", found, reached)


def _spread(ratios: list[float]) -> str:
    """The least, the median and the greatest of sorted ratios."""
    return "   ".join(f"{figure:5.2f}" for figure in (ratios[0], median(ratios), ratios[-1]))
