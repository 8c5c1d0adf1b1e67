"""The outbox: a message is one process' at a time, and outlives that process."""

from __future__ import annotations

from amproxy.model import OutgoingMessage
from amproxy.store import incidents, keys, leases, outbox
from amproxy.store.commit import Operations, commit
from amproxy.store.wire import Wire
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


async def test_a_message_is_read_by_one_process_only(wire: Wire) -> None:
    await enqueue(wire, "m")
    [read] = await outbox.read(wire, "a", 10)
    assert (read.message.id, read.again) == ("m", False)
    assert await outbox.read(wire, "b", 10) == []


async def test_messages_of_a_live_process_are_left_to_it(wire: Wire) -> None:
    await enqueue(wire, "m")
    await outbox.keep_alive(wire, "a")
    await outbox.read(wire, "a", 10)
    assert await outbox.take_over(wire, "b") == []


async def test_messages_of_a_dead_process_are_taken_over_once_and_known_as_repeated(
    wire: Wire,
) -> None:
    await enqueue(wire, "m", "n")
    await outbox.keep_alive(wire, "a")
    await outbox.read(wire, "a", 10)
    await die(wire, "a")
    await outbox.keep_alive(wire, "b")
    taken = await outbox.take_over(wire, "b")
    assert [(one.message.id, one.again) for one in taken] == [("m", True), ("n", True)]
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
