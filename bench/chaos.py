"""`python -m bench chaos`: kill replicas and Redis at random while alerts come in, and count.

A page is lost when its push was answered 200 and nobody was told; it came twice when a stand-in
took it more than once.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.chaos_people import People
from bench.chaos_senders import Senders
from bench.chaos_troubles import TROUBLES, Replica, Troublemaker, planned
from bench.peers import quiet_servers
from bench.report import Report

PEOPLE = 40  # half of them over Telegram, half over a webhook
RATE = 5.0  # new incidents a second
QUIET = 8.0  # seconds in which a message that a dead process held would have come twice
PATIENCE = 240.0  # seconds without any news after which what is missing counts as lost
# The counter may differ from what came twice by this share, and by so many in any case.
COUNTER_SHARE, COUNTER_LEAST = 0.1, 5
EVERY = 10  # troubles between two lines of progress


@dataclass
class Found:
    """The figures of one run."""

    seed: int
    replicas: int
    seconds: float = 0.0
    kills: dict[str, int] = field(default_factory=dict)
    other_troubles: dict[str, int] = field(default_factory=dict)
    attempts: int = 0  # pushes, those that were not answered 200 included
    answered: int = 0  # 200
    lost: list[str] = field(default_factory=list)  # incidents of which nobody was told
    told: int = 0
    twice: int = 0  # copies that a stand-in took beyond the first
    after_lost_answers: int = 0  # of them, those of pages whose answer it had cut off itself
    repeated: float = 0.0  # amproxy_deliveries_repeated_total over all processes
    unexpected: float = 0.0  # amproxy_unexpected_errors_total
    ended_by_themselves: int = 0  # processes that ended although nobody had ended them


def main(arguments: list[str]) -> int:
    """Run, print the report, return the exit status: 1 where a page was lost."""
    options = _options(arguments)
    # So that a SIGTERM ends the processes too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    data = Path(".data")
    data.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="chaos-", dir=data)).resolve()
    found = run(folder, options)
    report = _report(found)
    print(report.text(), flush=True)
    if options.json:
        text = json.dumps(asdict(found), indent=2, ensure_ascii=False)
        Path(options.json).write_text(f"{text}\n", "utf-8")
    if found.lost:
        print(f"\nlost: {', '.join(found.lost[:20])}; data and logs: {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


def run(folder: Path, options: argparse.Namespace) -> Found:
    """Start everything, make trouble, wait until all is quiet, and end everything."""
    found = Found(options.seed, options.replicas)
    began = time.monotonic()
    dice = random.Random(options.seed)
    plan = planned(dice, options.kills, options.replicas, options.trouble)
    with People(PEOPLE) as people, quiet_servers(folder) as servers:
        redis = servers.redis_server()
        routes = people.routes()
        replicas = [
            Replica(servers.amproxy(routes, redis_url=redis.url)) for _ in range(options.replicas)
        ]
        urls = [one.server.url for one in replicas]
        trouble = Troublemaker(replicas, redis, people)
        with trouble.watching(), Senders(people, urls, options.rate, options.seed) as senders:
            for number, step in enumerate(plan, 1):
                trouble.make(step)
                if number % EVERY == 0 or number == len(plan):
                    _progress(number, len(plan), began, senders, people)
            trouble.settle()
            senders.finish(PATIENCE)
            _wait_until_quiet(senders.answered, people)
            trouble.look()
        found.kills, found.other_troubles = trouble.kills, trouble.others
        found.attempts, found.answered = senders.attempts, len(senders.answered)
        found.repeated = trouble.counted("amproxy_deliveries_repeated_total")
        found.unexpected = trouble.counted("amproxy_unexpected_errors_total")
        found.ended_by_themselves = trouble.ended_by_themselves
        _count(found, people, senders.answered)
    found.seconds = time.monotonic() - began
    return found


def _count(found: Found, people: People, answered: set[str]) -> None:
    told, cut = people.told(), people.cut()
    found.lost = sorted(answered - told.keys())
    found.told = len(told)
    for title, copies in told.items():
        found.twice += copies - 1
        # Whoever gets no answer has to try again, killed or not.
        found.after_lost_answers += min(copies - 1, cut[title])


def _wait_until_quiet(answered: set[str], people: People) -> None:
    """Wait until all are told, and a little longer; or until nothing comes any more."""
    last, missing = time.monotonic(), len(answered) + 1
    while missing:
        now_missing = len(answered - people.told().keys())
        if now_missing < missing:
            last, missing = time.monotonic(), now_missing
        elif time.monotonic() - last > PATIENCE:
            return
        time.sleep(0.5)
    time.sleep(QUIET)


def _progress(number: int, of: int, began: float, senders: Senders, people: People) -> None:
    told = len(people.told())
    seconds = time.monotonic() - began
    print(
        f"{seconds:5.0f} s  {number} of {of} troubles, "
        f"{len(senders.answered)} incidents answered 200, {told} told",
        flush=True,
    )


def _report(found: Found) -> Report:
    report = Report(
        "chaos",
        f"Chaos: {sum(found.kills.values())} kills of {found.replicas} replicas and Redis "
        f"in {found.seconds:.0f} s, seed {found.seed}",
        ("what", "figure"),
    )
    rows: list[tuple[str, Any]] = [
        *found.kills.items(),
        *found.other_troubles.items(),
        ("pushes, the repeated ones included", found.attempts),
        ("incidents answered 200", found.answered),
        ("incidents told", found.told),
        ("lost", len(found.lost)),
        ("twice", found.twice),
        ("… of them after an answer that a stand-in had cut off", found.after_lost_answers),
        ("amproxy_deliveries_repeated_total", f"{found.repeated:.0f}"),
        ("unexpected errors", f"{found.unexpected:.0f}"),
        ("processes that ended by themselves", found.ended_by_themselves),
    ]
    for what, figure in rows:
        report.add_row(what, str(figure))
    report.add_aim("pages lost", "0", str(len(found.lost)), not found.lost)
    near = abs(found.repeated - found.twice) <= max(COUNTER_LEAST, COUNTER_SHARE * found.twice)
    compared = f"{found.repeated:.0f} of {found.twice}"
    report.add_aim("counter beside what came twice", "within 10 %", compared, near)
    report.notes = [
        "the counter is read twice a second and before each kill: "
        "what a process counted after that is not in it",
    ]
    return report


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench chaos",
        description="Kill replicas and Redis at random while alerts come in; count lost pages.",
    )
    parser.add_argument("--kills", type=int, default=20, metavar="N")
    parser.add_argument("--replicas", type=int, default=2, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of all random choices")
    parser.add_argument(
        "--rate", type=float, default=RATE, metavar="N", help=f"incidents a second ({RATE:g})"
    )
    names = ",".join(TROUBLES)
    parser.add_argument(
        "--trouble", default=names, metavar="NAME,…", help=f"kinds of trouble (default: {names})"
    )
    parser.add_argument("--json", metavar="FILE", help="write the figures there as well")
    options = parser.parse_args(arguments)
    options.trouble = options.trouble.split(",")
    unknown = ", ".join(sorted(set(options.trouble) - set(TROUBLES)))
    if unknown:
        parser.error(f"there is no trouble {unknown}: choose from {names}")
    if not any(TROUBLES[name] for name in options.trouble):
        parser.error("nothing of --trouble ends or stops a process")
    if min(options.kills, options.replicas) < 1:
        parser.error("--kills and --replicas begin with 1")
    return options
