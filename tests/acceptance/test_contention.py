"""Many senders of the same alerts at a time, at two processes on one Redis: none of them gets 503."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.support.acceptance.crowd_of_senders import push_from_all
from tests.support.acceptance.moments import rfc3339
from tests.support.acceptance.pushing import call
from tests.support.servers import Server, Servers, needs

pytestmark = needs("redis-server")

SENDERS, PUSHES = 64, 6
FILE = json.dumps(
    {
        "route": {"receiver": "none", "group_by": ["alertname"], "group_wait": "1h"},
        "receivers": [{"name": "none"}],
    }
)


class Pair(NamedTuple):
    one: Server
    other: Server

    def push(self, path: str, body: Any) -> dict[int, int]:
        addresses = [f"{server.url}{path}" for server in (self.one, self.other)]
        return asyncio.run(push_from_all(addresses, SENDERS, PUSHES, body))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with Servers(tmp_path_factory.mktemp("contention")) as servers:
        redis = servers.redis_server().url
        yield Pair(servers.amproxy(FILE, redis_url=redis), servers.amproxy(FILE, redis_url=redis))


def test_senders_of_one_alert_are_all_answered_200_and_the_last_end_holds(pair: Pair) -> None:
    start = time.time()
    starts, last = rfc3339(start - 60), start + 600 + SENDERS * PUSHES

    def body(sender: int, number: int) -> Any:
        ends = rfc3339(last - sender * PUSHES - number)
        labels = {"alertname": "Disk", "instance": "a"}
        return [{"labels": labels, "startsAt": starts, "endsAt": ends}]

    assert pair.push("/api/v2/alerts", body) == {200: SENDERS * PUSHES}
    for server in pair:
        (stored,) = call("GET", f"{server.url}/api/v2/alerts").json
        assert stored["endsAt"][:19] == rfc3339(last)[:19]
        assert stored["startsAt"][:19] == starts[:19]


def test_senders_of_one_groups_payload_are_all_answered_200(pair: Pair) -> None:
    starts = rfc3339(time.time() - 60)

    def body(sender: int, number: int) -> Any:
        """The same group, each time with another of its alerts and another description."""
        names = ("a", f"b{(sender + number) % 5}")
        return {
            "version": "4",
            "status": "firing",
            "groupKey": '{}:{alertname="Load"}',
            "groupLabels": {"alertname": "Load"},
            "commonLabels": {"alertname": "Load"},
            "truncatedAlerts": 0,
            "alerts": [
                {
                    "status": "firing",
                    "labels": {"alertname": "Load", "instance": name},
                    "annotations": {"summary": f"{sender} {number}"},
                    "startsAt": starts,
                }
                for name in names
            ],
        }

    assert pair.push("/webhook/alertmanager", body) == {200: SENDERS * PUSHES}
