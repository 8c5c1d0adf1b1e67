"""A cluster under a storm: its slot moves, a replica takes over, a node dies, and no page is lost."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.support.e2e.stories import (
    ALICE,
    BOB,
    ROUTES,
    list_open,
    metric,
    push,
    storm_titles,
    text,
)
from tests.support.redis_cluster import Cluster, running_cluster
from tests.support.servers import Servers
from tests.support.standins.telegram import TelegramStandIn
from tests.support.waiting import until

pytestmark = pytest.mark.clock

PUSHERS = 3
BETWEEN = 0.15  # seconds between the pushes of each …
MANY, LATER = 40, 2.0  # … and after so many, where a busy machine draws the trouble out
PAUSE = 0.5  # seconds of the storm between what happens to the cluster


def trouble(cluster: Cluster) -> None:
    """All that may happen to the nodes."""
    one, other = cluster.owner, cluster.other
    for source, target in ((one, other), (other, one)):
        time.sleep(PAUSE)
        cluster.begin_move(source, target)
        cluster.move_keys(source, target)
        time.sleep(PAUSE)
        cluster.end_move(source, target)
    time.sleep(PAUSE)
    cluster.fail_over()
    time.sleep(PAUSE)
    dead = cluster.owner
    dead.kill()
    assert cluster.owner is not dead
    dead.start()


def storm(url: str, first: int, troubled: Future[None]) -> list[str]:
    """Push one alert after the other while there is trouble; their names."""
    pushed = []
    numbers = itertools.count(first, PUSHERS)
    while not troubled.done():
        number = next(numbers)
        push(url, number)
        pushed.append(f"Storm{number}")
        time.sleep(BETWEEN if len(pushed) < MANY else LATER)
    return pushed


@pytest.mark.timeout(400)
def test_two_replicas_tell_all_of_a_storm_while_the_nodes_of_their_cluster_change(
    servers: Servers,
) -> None:
    with running_cluster() as cluster, TelegramStandIn() as telegram:
        for chat in (ALICE, BOB):
            telegram.add_chat(chat)
        routes = ROUTES.format(token=telegram.token, telegram=telegram.url, wait="3s")
        # each page by itself, so that each can be counted
        routes = routes.replace("  - name: ladder\n", "  - name: ladder\n    storm: off\n")
        pair = [servers.amproxy(routes, redis_url=cluster.url) for _ in range(2)]
        with ThreadPoolExecutor(PUSHERS + 1) as threads:
            troubled = threads.submit(trouble, cluster)
            pushing = [
                threads.submit(storm, pair[first % 2].url, first, troubled)
                for first in range(PUSHERS)
            ]
            troubled.result()
        everything = {name for pushed in pushing for name in pushed.result()}
        for chat in (ALICE, BOB):
            until(
                lambda chat=chat: set(storm_titles(telegram, chat)) == everything,
                seconds=120,
                why="a page was lost",
            )
        opened = Counter(incident["title"] for incident in list_open(pair[0].url))
        assert opened == Counter(everything)
        for amproxy in pair:
            assert metric(text(f"{amproxy.url}/metrics"), "amproxy_stuck_total") == 0
