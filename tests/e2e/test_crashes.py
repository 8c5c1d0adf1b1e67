"""Kill -9 at random moments during a storm: every incident is paged and escalated, none is lost, few pages come twice."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.e2e.stories import (
    ALICE,
    BOB,
    ROUTES,
    list_open,
    metric,
    push,
    ready,
    storm_titles,
    text,
)
from tests.support.servers import Server, Servers
from tests.support.standins.telegram import TelegramStandIn
from tests.support.waiting import until

pytestmark = pytest.mark.clock

STORM = 500
KILLS = 6
SEED = 20261122


def redis_pid(amproxy: Server) -> int:
    """The embedded server: the service's only child that serves a socket."""
    for entry in Path(f"/proc/{amproxy.pid}/task/{amproxy.pid}/children").read_text().split():
        with contextlib.suppress(OSError):  # it has ended meanwhile
            command = Path(f"/proc/{entry}/cmdline").read_bytes()
            if b"unixsocket" in command or b"redis.sock" in command:
                return int(entry)
    return 0


@pytest.mark.timeout(400)
def test_a_storm_of_500_incidents_survives_kills_of_the_service_and_of_redis(
    servers: Servers, tmp_path: Path
) -> None:
    dice = random.Random(SEED)
    with TelegramStandIn() as telegram:
        telegram.add_chat(ALICE)
        telegram.add_chat(BOB)
        routes = ROUTES.format(token=telegram.token, telegram=telegram.url, wait="8s")
        # each page by itself, so that each can be counted
        routes = routes.replace("  - name: ladder\n", "  - name: ladder\n    storm: off\n")
        amproxy = servers.amproxy(routes, data_dir=tmp_path / "data")

        def kill_at_random() -> None:
            for number in range(KILLS):
                time.sleep(dice.uniform(0.5, 2.5))
                redis = redis_pid(amproxy)
                if number % 3 == 2 and redis:
                    os.kill(redis, signal.SIGKILL)  # Redis alone: the service starts it anew
                    continue
                if number % 3 == 1 and redis:
                    os.kill(redis, signal.SIGKILL)  # both
                amproxy.kill()
                amproxy.start()

        with ThreadPoolExecutor(9) as threads:
            killing = threads.submit(kill_at_random)
            list(threads.map(lambda number: push(amproxy.url, number), range(STORM)))
            killing.result()  # raises what it raised
        until(lambda: ready(amproxy.url), why="Redis did not come back")

        until(
            lambda: len(storm_titles(telegram, BOB)) == STORM,
            seconds=240,
            why="an incident was not escalated",
        )
        # What the process that died had in hand is sent once its lease has run out.
        everything = {f"Storm{number}" for number in range(STORM)}
        until(
            lambda: set(storm_titles(telegram, ALICE)) == everything,
            seconds=60,
            why="a page was lost",
        )
        assert Counter(incident["title"] for incident in list_open(amproxy.url)) == Counter(
            f"Storm{number}" for number in range(STORM)
        )
        twice = sum(len(telegram.sent(chat)) for chat in (ALICE, BOB)) - 2 * STORM
        assert 0 <= twice <= 32 * KILLS, (
            "more pages came twice than calls can be under way at the kills"
        )
        assert metric(text(f"{amproxy.url}/metrics"), "amproxy_stuck_total") == 0
