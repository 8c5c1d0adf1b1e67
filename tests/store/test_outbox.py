"""The outbox: a message is one process' at a time, and outlives that process."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from amproxy.model import OutgoingMessage
from amproxy.store import incidents, keys, leases, outbox
from amproxy.store.commit import Operations, commit
from amproxy.store.outbox import RateLimit
from amproxy.store.wire import RedisRefused, Wire
from tests.support.waiting import soon


async def enqueue(wire: Wire, *ids: str) -> None:
    await outbox.join(wire)
    operations = Operations()
    for id_ in ids:
        incidents.enqueue(operations, OutgoingMessage(id=id_, kind="page", channel="chat", due=0))
    assert await commit(wire, operations)


async def die(wire: Wire, consumer: str) -> None:
    """Let the lease of a consumer run out, without its five seconds."""
    await wire.call("PEXPIRE", keys.lease(f"consumer:{consumer}"), 1)

    async def over() -> bool:
        return not await wire.call("EXISTS", keys.lease(f"consumer:{consumer}"))

    await soon(over)


class Deliverer:
    """One that takes messages as they are committed."""

    def __init__(self, limit: int = 10) -> None:
        self.limit, self.entries, self.missed = limit, list[Any](), 0

    def take_operation(self) -> list[list[str | msgspec.Raw]]:
        return outbox.take_operation("a", self.limit).ops if self.limit else []

    def accept_entries(self, entries: Sequence[Any]) -> None:
        self.entries += entries

    def miss(self) -> None:
        self.missed += 1

    @property
    def taken(self) -> list[str]:
        return [one.message.id for one in outbox.readable(self.entries, "a")]


async def test_a_commit_takes_messages_for_its_own_process(wire: Wire) -> None:
    await enqueue(wire, "old")
    wire.taker = deliverer = Deliverer()
    await enqueue(wire, "m", "n")
    assert deliverer.taken == ["old", "m", "n"], "who has waited longest comes first"
    assert await outbox.read(wire, "b", 10) == []
    assert len(await outbox.load_own(wire, "a")) == 3
    wire.taker = None
    await die(wire, "a")
    await outbox.keep_alive(wire, "b")
    assert [one.message.id for one in await outbox.take_over(wire, "b")] == ["old", "m", "n"]


async def test_what_a_commit_may_not_take_is_read_as_ever(wire: Wire) -> None:
    wire.taker = deliverer = Deliverer(limit=0)
    await enqueue(wire, "m")
    assert [one.message.id for one in await outbox.read(wire, "b", 10)] == ["m"]
    wire.taker = deliverer = Deliverer()
    operations = Operations()
    incidents.enqueue(operations, OutgoingMessage(id="n", kind="page", channel="chat", due=0))
    await wire.call("XGROUP", "DESTROY", keys.OUTBOX, outbox.CONSUMER_GROUP)
    assert await commit(wire, operations), "it is stored where nobody can take it"
    assert deliverer.taken == []
    await outbox.join(wire)
    assert [one.message.id for one in await outbox.read(wire, "b", 10)] == ["m", "n"]


async def test_a_refused_commit_takes_nothing_and_one_that_is_cut_off_has_it_looked_for(
    wire: Wire,
) -> None:
    await enqueue(wire, "m")
    wire.taker = deliverer = Deliverer()
    operations = Operations()
    operations.guard(keys.group("g"), "v", "another")
    incidents.enqueue(operations, OutgoingMessage(id="n", kind="page", channel="chat", due=0))
    assert not await commit(wire, operations)
    assert (deliverer.taken, deliverer.missed) == ([], 0)
    operations.guards.clear()
    cut_off = asyncio.create_task(commit(wire, operations))
    await asyncio.sleep(0)
    cut_off.cancel()
    await asyncio.wait([cut_off])
    assert (deliverer.taken, deliverer.missed) == ([], 1)


async def test_a_message_is_read_by_one_process_only(wire: Wire) -> None:
    await enqueue(wire, "m")
    [read] = await outbox.read(wire, "a", 10)
    assert (read.message.id, read.consumer) == ("m", "a")
    assert await outbox.read(wire, "b", 10) == []


async def test_messages_of_a_live_process_are_left_to_it(wire: Wire) -> None:
    await enqueue(wire, "m")
    await outbox.keep_alive(wire, "a")
    await outbox.read(wire, "a", 10)
    assert await outbox.take_over(wire, "b") == []


async def test_messages_of_a_dead_process_are_taken_over_once(
    wire: Wire,
) -> None:
    await enqueue(wire, "m", "n")
    await outbox.keep_alive(wire, "a")
    await outbox.read(wire, "a", 10)
    await die(wire, "a")
    await outbox.keep_alive(wire, "b")
    taken = await outbox.take_over(wire, "b")
    assert [(one.message.id, one.consumer) for one in taken] == [("m", "b"), ("n", "b")]
    assert await outbox.take_over(wire, "c") == [], "b is alive"


async def test_a_dead_process_that_left_nothing_is_listed_no_more(wire: Wire) -> None:
    await enqueue(wire, "m")
    await outbox.keep_alive(wire, "a")
    [read] = await outbox.read(wire, "a", 10)
    await die(wire, "a")
    [consumer] = await outbox.load_consumers(wire)
    assert (consumer.name, consumer.alive, consumer.pending) == ("a", False, 1)
    assert await commit(wire, outbox.finish(read))
    await outbox.take_over(wire, "b")
    assert await outbox.load_consumers(wire) == []


async def test_a_finished_message_is_gone_and_counts_no_more(wire: Wire) -> None:
    await enqueue(wire, "m")
    [read] = await outbox.read(wire, "a", 10)
    assert await outbox.load_depths(wire) == {"chat": 1}
    assert await commit(wire, outbox.finish(read))
    assert await outbox.load_depths(wire) == {"chat": 0}
    assert await outbox.take_over(wire, "b") == []


async def test_a_message_that_waits_for_its_retry_counts_as_waiting_and_comes_back_once(
    wire: Wire,
) -> None:
    await enqueue(wire, "m")
    [read] = await outbox.read(wire, "a", 10)
    assert await commit(wire, outbox.postpone(read, read.message, at=100.0))
    assert await outbox.load_depths(wire) == {"chat": 1}
    assert await outbox.read(wire, "a", 10) == []
    assert await leases.next_due(wire) == 100.0
    first, second = await outbox.requeue(wire, "m"), await outbox.requeue(wire, "m")
    assert first and second
    assert await commit(wire, first)
    assert not await commit(wire, second), "two workers had its timer"
    assert [one.message.id for one in await outbox.read(wire, "a", 10)] == ["m"]
    assert await outbox.load_depths(wire) == {"chat": 1}
    assert await outbox.requeue(wire, "m") is None


async def test_a_bot_is_held_where_two_of_its_chats_are_refused_at_a_time(wire: Wire) -> None:
    await enqueue(wire, "0", "1", "2")
    await outbox.keep_alive(wire, "me")
    messages = await outbox.read(wire, "me", 10)
    chats = [RateLimit((f"chat:{number}", "bot"), 1.0) for number in range(3)]
    await outbox.throttle(wire, chats[0], 30, now=1000)
    assert (await outbox.permit(wire, messages[0], chats[0])).state == "throttled"
    assert (await outbox.permit(wire, messages[1], chats[1])).state == "permitted"
    await outbox.throttle(wire, chats[1], 20, now=1000)
    held = await outbox.permit(wire, messages[2], chats[2])
    assert held.state == "throttled" and 15 < held.seconds <= 20
    await outbox.throttle(wire, chats[0], 5, now=1000)
    held = await outbox.permit(wire, messages[0], chats[0])
    assert held.seconds > 25, "an earlier answer asked for more patience"


async def test_after_a_refusal_messages_to_the_chat_keep_a_distance_for_all_processes(
    wire: Wire,
) -> None:
    await enqueue(wire, "0", "1")
    [first] = await outbox.read(wire, "a", 1)
    [second] = await outbox.read(wire, "b", 1)
    limit = RateLimit(("chat:1", "bot"), 5.0)
    await outbox.throttle(wire, limit, 0.001, now=1000)

    async def free() -> bool:
        return (await outbox.permit(wire, first, limit)).state == "permitted"

    await soon(free)
    held = await outbox.permit(wire, second, limit)
    assert held.state == "throttled" and held.seconds > 4


async def test_only_who_has_a_message_may_send_it_and_a_begun_one_counts_as_repeated(
    wire: Wire,
) -> None:
    await enqueue(wire, "begun", "waiting")
    await outbox.keep_alive(wire, "stopped")
    begun, waiting = await outbox.read(wire, "stopped", 10)
    none = RateLimit()
    assert await outbox.permit(wire, begun, none) == outbox.SendPermit("permitted")
    assert await outbox.permit(wire, begun, none) == outbox.SendPermit("permitted"), (
        "asked again because the response was lost: nothing was sent in between"
    )
    await wire.call("DEL", keys.lease("consumer:stopped"))
    await outbox.keep_alive(wire, "other")
    taken = await outbox.take_over(wire, "other")
    assert (await outbox.permit(wire, waiting, none)).state == "gone"
    permits = {one.message.id: await outbox.permit(wire, one, none) for one in taken}
    assert permits["begun"].repeated and not permits["waiting"].repeated
    for one in taken:
        assert await commit(wire, outbox.finish(one))
    assert await commit(wire, outbox.finish(begun)), "the stopped one comes back, too late"
    assert await outbox.load_depths(wire) == {"chat": 0}, "each message counts once"
    assert await wire.call("HLEN", keys.P + "begun") == 0


async def test_consumers_that_redis_does_not_tell_are_not_none(wire: Wire) -> None:
    assert await outbox.load_consumers(wire) == [], "there is no outbox yet"
    await wire.call("XADD", keys.OUTBOX, "*", "m", "m")
    assert await outbox.load_consumers(wire) == [], "there is no consumer group yet"
    await wire.call("ACL", "SETUSER", "default", "-xinfo")
    try:
        with pytest.raises(RedisRefused, match="NOPERM"):
            await outbox.load_consumers(wire)
    finally:
        await wire.call("ACL", "SETUSER", "default", "+xinfo")
