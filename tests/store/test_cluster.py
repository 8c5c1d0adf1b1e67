"""A cluster whose slot moves and whose nodes fail: the keys are found, and nothing is half done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from amproxy.errors import StoreUnavailable
from amproxy.store import keys, leases
from amproxy.store.commit import Operations, commit
from amproxy.store.wire import RedisRefused, Wire
from tests.support.redis_cluster import KEYS_AT_ONCE, Cluster, running_cluster
from tests.support.servers import free_port
from tests.support.waiting import soon, until


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with running_cluster() as started:
        yield started


@pytest.fixture
async def wire(cluster: Cluster) -> AsyncIterator[Wire]:
    cluster.owner.ask("FLUSHALL")
    wire = Wire(cluster.url)
    wire.open()
    await wire.connected()
    yield wire
    await wire.close()


async def reached(wire: Wire) -> bool:
    """The keys are found."""
    try:
        return bool(await wire.call("HGETALL", keys.COUNTS) is not None)
    except StoreUnavailable:
        return False


async def test_any_node_says_where_the_keys_are(cluster: Cluster) -> None:
    for node in cluster.nodes:
        wire = Wire(f"redis+cluster://127.0.0.1:{free_port()},127.0.0.1:{node.port}")
        wire.open()
        async with asyncio.timeout(60):
            await wire.connected()
        assert await wire.call("INCR", keys.NUMBER)
        assert wire.connections == 1
        await wire.close()


async def test_the_address_of_a_single_redis_that_is_a_node_is_refused_with_the_reason(
    cluster: Cluster,
) -> None:
    wire = Wire(f"redis://127.0.0.1:{cluster.other.port}")
    wire.open()
    await soon(lambda: wire.reason)
    assert "a node of a Redis Cluster, whose address begins with redis+cluster://" in str(
        wire.reason
    )
    assert not wire.up
    await wire.close()


async def test_what_a_script_would_change_of_a_slot_that_moves_waits_for_the_end_of_the_move(
    cluster: Cluster, wire: Wire
) -> None:
    source, target = cluster.owner, cluster.other
    names = [f"flush:{number}" for number in range(3 * KEYS_AT_ONCE)]
    for name in names:
        await wire.call("SET", keys.group(name), name)
    change = Operations()
    for name in names:
        change.do("APPEND", keys.group(name), " changed")
    change.do("ZADD", keys.TIMERS, 1000, "flush:g")
    cluster.begin_move(source, target)
    for _ in range(3):
        with pytest.raises(RedisRefused, match=r"^ASK "):
            await commit(wire, change)
        cluster.move_keys(source, target)
    cluster.end_move(source, target)
    await soon(lambda: reached(wire))
    assert [await wire.call("GET", keys.group(name)) for name in names] == [
        name.encode() for name in names
    ]
    assert await commit(wire, change)
    assert await wire.call("GET", keys.group(names[-1])) == f"{names[-1]} changed".encode()
    assert await leases.next_due(wire) == 1.0
    cluster.begin_move(target, source)
    cluster.end_move(target, source)
    await soon(lambda: reached(wire))
    assert await leases.next_due(wire) == 1.0


async def test_a_replica_that_takes_over_is_followed(cluster: Cluster, wire: Wire) -> None:
    await wire.call("SET", keys.SECRET, "before")
    before = cluster.owner
    cluster.fail_over()
    await soon(lambda: reached(wire))
    assert cluster.owner is not before
    assert await wire.call("GET", keys.SECRET) == b"before"


async def test_a_node_that_dies_is_replaced_by_its_replica_and_may_come_back_as_one(
    cluster: Cluster, wire: Wire
) -> None:
    heard: list[str] = []
    subscribed = asyncio.Event()
    hearing = asyncio.create_task(wire.subscribe(keys.CHANGES, heard.append, subscribed.set))
    await subscribed.wait()
    await wire.call("SET", keys.SECRET, "before")
    dead = cluster.owner
    subscribed.clear()
    dead.kill()
    await soon(lambda: reached(wire))
    assert await wire.call("GET", keys.SECRET) == b"before"
    await subscribed.wait()
    await wire.call("PUBLISH", keys.CHANGES, "silences")
    await soon(lambda: heard)
    dead.start()
    until(lambda: dead.follows)
    assert await wire.call("GET", keys.SECRET) == b"before"
    hearing.cancel()


async def test_a_cluster_that_is_down_is_away_until_it_works_again(
    cluster: Cluster, wire: Wire
) -> None:
    dead = cluster.other  # a master without a replica: its slots are nobody's
    dead.kill()

    async def told() -> bool:
        return not await reached(wire) and "the cluster is down" in str(wire.reason)

    await soon(told)
    assert not wire.up
    dead.start()
    await soon(lambda: reached(wire))


async def test_the_password_of_the_url_is_shown_to_every_node(cluster: Cluster) -> None:
    for node in cluster.nodes:
        node.ask("CONFIG SET", "masterauth", "pw-x")
        node.ask("CONFIG SET", "requirepass", "pw-x")
    try:
        for password, said in (("pw-x", ""), ("pw-y", "WRONGPASS")):
            wire = Wire(cluster.url.replace("//", f"//:{password}@"))
            wire.open()
            await soon(lambda wire=wire: wire.up or wire.reason)
            assert wire.up is not bool(said) and said in str(wire.reason)
            assert "pw-" not in str(wire.reason)
            await wire.close()
    finally:
        for node in cluster.nodes:
            node.ask("CONFIG SET", "requirepass", "")
