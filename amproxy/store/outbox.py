"""The outbox: a stream with a consumer group, and the messages that wait for a retry."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from amproxy.model import OutgoingMessage
from amproxy.store import keys
from amproxy.store.commit import Operations
from amproxy.store.incidents import enqueue
from amproxy.store.wire import RedisRefused, Wire

_encode = msgspec.msgpack.Encoder().encode
_outgoing = msgspec.msgpack.Decoder(OutgoingMessage).decode

CONSUMER_GROUP = "deliver"
SCAN_LIMIT, CHUNK = 2000, 100  # messages that `longest_wait` reads, and how many of them at once
ALIVE_SECONDS = 5  # seconds: a consumer that has not said so for longer is dead, its messages are taken over


class OutboxMessage(NamedTuple):
    """A message this process must deliver; `entry` is its place in the stream."""

    entry: str
    message: OutgoingMessage
    again: bool  # another process, now dead, had it: it may have been sent already


async def join(wire: Wire) -> None:
    """Make the consumer group if there is none."""
    try:
        await wire.call("XGROUP", "CREATE", keys.OUTBOX, CONSUMER_GROUP, "0", "MKSTREAM")
    except RedisRefused as error:
        if not str(error).startswith("BUSYGROUP"):
            raise


async def read(wire: Wire, consumer: str, most: int) -> list[OutboxMessage]:
    """New messages, oldest first."""
    answer = await wire.call("XREADGROUP", "GROUP", CONSUMER_GROUP, consumer, "COUNT", most, "STREAMS", keys.OUTBOX, ">")
    return [_parse_entry(entry, again=False) for entry in (answer[0][1] if answer else [])]


async def keep_alive(wire: Wire, consumer: str) -> None:
    """Say that this consumer lives."""
    await wire.call("SET", keys.lease(f"consumer:{consumer}"), "1", "EX", ALIVE_SECONDS)


class Consumer(NamedTuple):
    """A process that delivers, or one that is gone and whose messages nobody has taken over yet."""

    name: str
    alive: bool
    pending: int  # messages that it has taken and not finished
    idle: float  # seconds since it last asked for messages


async def load_consumers(wire: Wire) -> list[Consumer]:
    """Those that live, and those that have left something, by name. Raises StoreUnavailable."""
    try:
        answer = await wire.call("XINFO", "CONSUMERS", keys.OUTBOX, CONSUMER_GROUP)
    except RedisRefused:  # nobody has delivered anything here yet
        return []
    found = []
    for row in answer:
        fields = dict(zip(row[::2], row[1::2], strict=True))
        name = fields[b"name"].decode()
        alive = bool(await wire.call("EXISTS", keys.lease(f"consumer:{name}")))
        if alive or fields[b"pending"]:
            found.append(Consumer(name, alive, int(fields[b"pending"]), fields[b"idle"] / 1000))
    return sorted(found)


async def take_over(wire: Wire, consumer: str, most: int = 1000) -> list[OutboxMessage]:
    """Messages of consumers that are dead."""
    taken: list[OutboxMessage] = []
    for fields in await wire.call("XINFO", "CONSUMERS", keys.OUTBOX, CONSUMER_GROUP):
        name = dict(zip(fields[::2], fields[1::2], strict=True))[b"name"].decode()
        if name == consumer or await wire.call("EXISTS", keys.lease(f"consumer:{name}")):
            continue
        pending = await wire.call("XPENDING", keys.OUTBOX, CONSUMER_GROUP, "-", "+", most, name)
        if not pending:
            await wire.call("XGROUP", "DELCONSUMER", keys.OUTBOX, CONSUMER_GROUP, name)
            continue
        ids = [row[0] for row in pending]
        claimed = await wire.call("XCLAIM", keys.OUTBOX, CONSUMER_GROUP, consumer, 0, *ids)
        taken += [_parse_entry(entry, again=True) for entry in claimed if entry]
    return taken


def _parse_entry(entry: list[object], *, again: bool) -> OutboxMessage:
    name, fields = entry
    assert isinstance(name, bytes) and isinstance(fields, list)
    return OutboxMessage(name.decode(), _outgoing(fields[1]), again)


def finish(taken: OutboxMessage) -> Operations:
    """A message leaves the outbox."""
    result = Operations()
    result.do("XACK", keys.OUTBOX, CONSUMER_GROUP, taken.entry)
    result.do("XDEL", keys.OUTBOX, taken.entry)
    result.do("HINCRBY", keys.DEPTH, taken.message.channel, -1)
    return result


def postpone(taken: OutboxMessage, message: OutgoingMessage, at: float) -> Operations:
    """A message waits until `at` (Unix seconds) for its next attempt; it counts as waiting all the time."""
    result = Operations()
    result.do("XACK", keys.OUTBOX, CONSUMER_GROUP, taken.entry)
    result.do("XDEL", keys.OUTBOX, taken.entry)
    result.do("HSET", keys.RETRIES, message.id, _encode(message))
    result.do("ZADD", keys.TIMERS, int(at * 1000), f"retry:{message.id}")
    return result


async def requeue(wire: Wire, message_id: str) -> Operations | None:
    """A retry is due: the operations that put it back into the outbox; None when it is not waiting any more."""
    data = await wire.call("HGET", keys.RETRIES, message_id)
    if data is None:
        return None
    result, message = Operations(), _outgoing(data)
    result.guard(keys.RETRIES, message_id, data)
    enqueue(result, message)
    result.do("HINCRBY", keys.DEPTH, message.channel, -1)  # it counted while it waited
    result.do("HDEL", keys.RETRIES, message_id)
    result.do("ZREM", keys.TIMERS, f"retry:{message_id}")
    return result


class _OutboxHead(msgspec.Struct):
    """What is looked at of a message that waits; the rest may be large."""

    kind: str
    due: float
    attempt: int = 1


_outbox_head = msgspec.msgpack.Decoder(_OutboxHead).decode


async def longest_wait(wire: Wire, now: float) -> float:
    """For how many seconds at most a page waits without any attempt; 0 = none does. Looks at the oldest messages, LOOKED_AT of them."""
    longest, after = 0.0, "-"
    for _ in range(SCAN_LIMIT // CHUNK):
        entries = await wire.call("XRANGE", keys.OUTBOX, after, "+", "COUNT", CHUNK)
        heads = [_outbox_head(fields[1]) for _, fields in entries]
        longest = max([longest, *(now - head.due for head in heads if head.kind == "page" and head.attempt == 1)])
        if len(entries) < CHUNK:
            break
        after = f"({entries[-1][0].decode()}"
    return longest


async def load_depths(wire: Wire) -> dict[str, int]:
    """Channel → messages that wait."""
    flat = await wire.call("HGETALL", keys.DEPTH)
    return {name.decode(): int(number) for name, number in zip(flat[::2], flat[1::2], strict=True)}
