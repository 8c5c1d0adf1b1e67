"""Replicas say which file each has in force, and it is noticed where they differ."""

from __future__ import annotations

from typing import Any

import pytest

from amproxy.server.replica import ReplicaRecord
from amproxy.store.replicas import Replica, differ_since, load_replicas, publish_replica
from amproxy.web.http.monitoring import MISMATCH_SECONDS
from tests.support.server.reached import Client
from tests.support.servers import Servers, needs
from tests.support.waiting import until
from tests.support.web.website import Site

FILE = "route: {receiver: NAME}\nreceivers: [{name: NAME}]\n"


def replica(name: str, digest: str, since: float) -> Replica:
    return Replica(
        name=name, host="h", pid=1, version="0", started=1.0, digest=digest, since=since, loaded=9.0
    )


@pytest.mark.parametrize(
    ("digests", "expected"),
    [
        ([], None),
        ([("a", 1.0)], None),
        ([("a", 1.0), ("a", 5.0)], None),
        ([("a", 1.0), ("b", 5.0)], 5.0),
        ([("a", 7.0), ("b", 5.0), ("a", 2.0)], 7.0),
    ],
)
def test_replicas_differ_since_the_last_of_them_changed(
    digests: list[tuple[str, float]], expected: float | None
) -> None:
    replicas = [replica(str(n), digest, since) for n, (digest, since) in enumerate(digests)]
    assert differ_since(replicas) == expected


async def test_the_metric_tells_of_a_difference_that_lasts(site: Site) -> None:
    async def mismatch() -> float:
        text = (await site.client.get("/metrics")).text
        line = next(line for line in text.splitlines() if line.startswith("amproxy_config_digest"))
        return float(line.split()[-1])

    wire, now = site.context.wire, site.clock[0]
    assert await mismatch() == 0
    await publish_replica(wire, replica("one", "a", now - 1000))
    assert await mismatch() == 0
    await publish_replica(wire, replica("two", "b", now))
    assert await mismatch() == 0  # a change takes its way
    site.clock[0] = now + MISMATCH_SECONDS + 1
    assert await mismatch() == 1
    await publish_replica(wire, replica("one", "b", site.clock[0]))
    assert await mismatch() == 0


async def test_a_process_that_is_gone_is_forgotten(site: Site) -> None:
    wire = site.context.wire
    await publish_replica(wire, replica("one", "a", 1.0))
    await publish_replica(wire, replica("two", "b", 1.0))
    assert 0 < await wire.call("TTL", "amproxy:{0}:replica:one") <= 60
    await wire.call("DEL", "amproxy:{0}:replica:one")  # as its expiry does
    assert [each.name for each in await load_replicas(wire)] == ["two"]
    assert await wire.call("SMEMBERS", "amproxy:{0}:replicas") == [b"two"]


async def test_loading_the_same_file_again_is_no_change(site: Site) -> None:
    record = ReplicaRecord(site.context, "one", "127.0.0.1:1")
    began = site.clock[0]
    site.clock[0] += 10
    record.use(site.context.config.digest)
    assert (record._replica.since, record._replica.loaded) == (began, began + 10)
    record.use("another")
    assert record._replica.since == began + 10


@needs("redis-server")
def test_two_replicas_tell_what_each_has_loaded(servers: Servers) -> None:
    redis = servers.redis_server(appendonly=False)
    both = [servers.amproxy(FILE.replace("NAME", "x"), redis_url=redis.url) for _ in range(2)]
    clients = [Client(each.url) for each in both]

    def told() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = clients[0].json("/api/v1/replicas")
        return [each for each in found if each["alive"] and each["config_digest"]]

    until(lambda: len(told()) == 2)
    assert len({each["config_digest"] for each in told()}) == 1
    assert {each["pid"] for each in told()} == {each.pid for each in both}
    cluster = clients[0].json("/api/v2/status")["cluster"]
    ports = {each.url.rpartition(":")[2] for each in both}
    assert {peer["address"].rpartition(":")[2] for peer in cluster["peers"]} == ports
    assert cluster["name"] in {peer["name"] for peer in cluster["peers"]}
    assert "alertmanager_cluster_members 2.0" in clients[0].ask("/metrics").text
    assert both[1].config
    both[1].config.write_text(FILE.replace("NAME", "y"))
    assert clients[1].ask("/-/reload", "").status == 200
    until(lambda: len({each["config_digest"] for each in told()}) == 2)
    assert "have loaded different files" in clients[0].ask("/admin").text
    expected = clients[1].json("/api/v1/config")["digest"]
    [changed] = [each for each in told() if each["pid"] == both[1].pid]
    assert changed["config_digest"] == expected and changed["config_since"] == changed["loaded_at"]
    # One that ends in order is gone at once.
    both[1].terminate()
    until(lambda: len(told()) == 1)
