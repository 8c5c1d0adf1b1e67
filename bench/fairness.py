"""Delivery beside a chat that hangs, after a standstill of a replica, and to a chat with limits."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from statistics import quantiles

from bench import cores
from bench.peers import quiet_servers
from bench.report import Report
from tests.support.e2e.crowd import Crowd, repeated
from tests.support.servers import Server
from tests.support.standins.flood import FloodLimits
from tests.support.standins.telegram import TelegramStandIn
from tests.support.standins.webhook import Answer, Request, WebhookServer
from tests.support.waiting import until

STUCK = 10_000  # messages for a chat that hangs
OTHERS = 25  # people over each channel, who get ROUNDS pages each
ROUNDS = 4
STORM = 600  # incidents
PEOPLE = 40
STANDSTILLS = (5.0, 30.0, 60.0)  # seconds
LIMITED = 40  # incidents to a chat with limits
SLOWLY = 0.5  # seconds that the webhook takes in a storm, so that sends are under way
UNDER_WAY = 32  # sends that a process has under way at most
SOON = 2.0  # seconds
PATIENCE = 300.0


async def run(folder: Path, *, quick: bool) -> Report:
    """Measure each trouble by itself; `quick` has fewer messages and one short standstill."""
    report = Report("fairness", "Fair delivery under trouble", ("what", "figures"))
    with ExitStack() as stack:
        _beside_a_chat_that_hangs(report, _Stage(stack, folder), STUCK // 10 if quick else STUCK)
    for seconds in STANDSTILLS[:1] if quick else STANDSTILLS:
        with ExitStack() as stack:
            _after_a_standstill(report, _Stage(stack, folder), seconds)
    with ExitStack() as stack:
        _to_a_chat_with_limits(report, _Stage(stack, folder))
    return report


class _SlowHook(WebhookServer):
    pause = 0.0

    def answer(self, request: Request) -> Answer:
        return Answer(hang=self.pause)

    def problem(self, request: Request) -> str:
        return ""  # tests look at the form


class _Stage:
    """Stand-ins, people, and replicas on one Redis, which end with the stack."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.telegram = stack.enter_context(TelegramStandIn())
        self.hook = stack.enter_context(_SlowHook())
        self.crowd = Crowd(self.telegram, self.hook)
        self._servers = stack.enter_context(quiet_servers(folder))

    def replicas(self, count: int) -> list[Server]:
        """Start so many, on all cores: what is measured here is no process's own speed."""
        with cores.starting_on(cores.ALL):
            redis, routes = self._servers.redis_server().url, self.crowd.routes()
            return [self._servers.amproxy(routes, redis_url=redis) for _ in range(count)]


def _beside_a_chat_that_hangs(report: Report, stage: _Stage, stuck: int) -> None:
    crowd = stage.crowd
    stage.telegram.hang_chat(crowd.add("stuck", "telegram", storm="off"))
    for channel in ("webhook", "telegram"):
        for number in range(OTHERS):
            crowd.add(f"{channel}{number}", channel, storm="off")
    [amproxy] = stage.replicas(1)
    crowd.push(amproxy.url, "stuck", stuck)
    for _ in range(ROUNDS):
        for number in range(OTHERS):
            for channel in ("webhook", "telegram"):
                crowd.push(amproxy.url, f"{channel}{number}")
            time.sleep(0.2)
    for channel in ("webhook", "telegram"):
        names = [f"{channel}{number}" for number in range(OTHERS)]

        def delays(names: list[str] = names) -> list[float]:
            return [delay for name in names for delay in crowd.delays(name)]

        until(lambda: len(delays()) == OTHERS * ROUNDS, seconds=PATIENCE)
        cuts = quantiles(delays(), n=100)
        what = f"{channel}, beside {stuck:,} to a chat that hangs"
        report.add_row(what, f"p50 {cuts[49]:.2f} s, p99 {cuts[98]:.2f} s")
        report.figures.append({"what": what, "p50": cuts[49], "p99": cuts[98]})
        report.add_aim(f"{what}, p99", f"{SOON:g} s", f"{cuts[98]:.2f} s", cuts[98] <= SOON)


def _after_a_standstill(report: Report, stage: _Stage, seconds: float) -> None:
    crowd, hook = stage.crowd, stage.hook
    hook.pause = SLOWLY
    people = [f"p{number}" for number in range(PEOPLE)]
    for name in people:
        crowd.add(name, "webhook", storm="off")
    one, two = stage.replicas(2)

    def told() -> Counter[str]:
        return sum((crowd.by_webhook(name) for name in people), Counter())

    for name in people:
        crowd.push(two.url, name, STORM // PEOPLE)
    until(lambda: len(hook.requests) >= STORM // 8, seconds=PATIENCE)
    os.kill(one.pid, signal.SIGSTOP)
    try:
        time.sleep(seconds)
    finally:
        os.kill(one.pid, signal.SIGCONT)
    until(lambda: len(told()) == STORM, seconds=PATIENCE, why="a page was lost")
    time.sleep(2 * SLOWLY + 1.0)
    twice, counted = told().total() - STORM, repeated(one, two)
    what = f"standstill of {seconds:g} s in {STORM} pages"
    report.add_row(what, f"lost 0, twice {twice}, counter {counted:.0f}")
    report.figures.append({"what": what, "twice": twice, "counter": counted})
    report.add_aim(f"{what}: twice", f"≤ {UNDER_WAY}", str(twice), twice <= UNDER_WAY)
    near = abs(counted - twice) <= max(2.0, twice / 10)
    report.add_aim(f"{what}: counter", "within 10 %", f"{counted:.0f} of {twice}", near)


def _to_a_chat_with_limits(report: Report, stage: _Stage) -> None:
    limits = stage.telegram.limits = FloodLimits()
    stage.crowd.add("limited", "telegram", storm="off")
    one, _two = stage.replicas(2)
    began = time.monotonic()
    stage.crowd.push(one.url, "limited", LIMITED)
    until(lambda: len(stage.crowd.by_telegram("limited")) == LIMITED, seconds=PATIENCE)
    seconds, refused, early = time.monotonic() - began, len(limits.answers), len(limits.early)
    what = f"{LIMITED} to one Telegram chat"
    report.add_row(what, f"{refused} answers of 429, {early} calls too early, {seconds:.0f} s")
    report.figures.append({"what": what, "429": refused, "early": early, "seconds": seconds})
    report.add_aim(f"{what}: 429", "≤ 3", str(refused), refused <= 3)
    report.add_aim(f"{what}: too early", "0", str(early), not early)
