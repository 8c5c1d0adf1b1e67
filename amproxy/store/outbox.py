"""The outbox: a stream with a consumer group, messages that wait for a retry, and storms.

A page that a storm holds back is out of the stream and in a backlog, until one script turns the
backlog into messages of the stream: it is always in one of the two.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from amproxy.config.structs import Storm
from amproxy.model import OutgoingMessage
from amproxy.store import keys
from amproxy.store.commit import Operations
from amproxy.store.incidents import enqueue
from amproxy.store.wire import RedisRefused, Wire

_encode = msgspec.msgpack.Encoder().encode
_outgoing = msgspec.msgpack.Decoder(OutgoingMessage).decode

CONSUMER_GROUP = "deliver"
SCAN_LIMIT, CHUNK = 2000, 100  # messages that `longest_wait` reads, and how many of them at once
# Seconds of a consumer's lease. One that has not renewed it is dead: others get its messages.
ALIVE_SECONDS = 5
LONGEST_WAIT = 30.0  # seconds that a held page waits for others at most
BUNDLE_TTL = 7 * 86400  # seconds: how long the button of a bundle works


class OutboxMessage(NamedTuple):
    """A message that this process must deliver; `entry` is its id in the stream."""

    entry: str
    message: OutgoingMessage
    again: bool  # another process, now dead, had it: it may have been sent already


class Consumer(NamedTuple):
    """A process that delivers, or a dead one whose messages no other process has yet."""

    name: str
    alive: bool
    pending: int  # messages that it has read and not finished
    idle: float  # seconds since it last read messages


class _OutboxHead(msgspec.Struct):
    """The fields that `longest_wait` looks at; the rest of a message may be large."""

    kind: str
    due: float
    attempt: int = 1


_outbox_head = msgspec.msgpack.Decoder(_OutboxHead).decode


async def join(wire: Wire) -> None:
    """Make the consumer group if there is none. Raises StoreUnavailable."""
    try:
        await wire.call("XGROUP", "CREATE", keys.OUTBOX, CONSUMER_GROUP, "0", "MKSTREAM")
    except RedisRefused as error:
        if not str(error).startswith("BUSYGROUP"):
            raise


async def read(wire: Wire, consumer: str, limit: int) -> list[OutboxMessage]:
    """New messages, oldest first; they are this consumer's until it finishes them or dies."""
    group = ("GROUP", CONSUMER_GROUP, consumer)
    answer = await wire.call("XREADGROUP", *group, "COUNT", limit, "STREAMS", keys.OUTBOX, ">")
    return [_parse_entry(entry, again=False) for entry in (answer[0][1] if answer else [])]


async def keep_alive(wire: Wire, consumer: str) -> None:
    """Renew the lease of this consumer."""
    await wire.call("SET", keys.lease(f"consumer:{consumer}"), "1", "EX", ALIVE_SECONDS)


async def load_consumers(wire: Wire) -> list[Consumer]:
    """The consumers that are alive or have left messages, by name. Raises StoreUnavailable."""
    try:
        answer = await wire.call("XINFO", "CONSUMERS", keys.OUTBOX, CONSUMER_GROUP)
    except RedisRefused:  # no consumer group: nobody has delivered anything here yet
        return []
    consumers = []
    for row in answer:
        fields = dict(zip(row[::2], row[1::2], strict=True))
        name = fields[b"name"].decode()
        alive = bool(await wire.call("EXISTS", keys.lease(f"consumer:{name}")))
        if alive or fields[b"pending"]:
            idle = fields[b"idle"] / 1000
            consumers.append(Consumer(name, alive, int(fields[b"pending"]), idle))
    return sorted(consumers)


async def take_over(wire: Wire, consumer: str, limit: int = 1000) -> list[OutboxMessage]:
    """Make the messages of dead consumers this one's, `limit` of each; raises StoreUnavailable."""
    messages: list[OutboxMessage] = []
    for fields in await wire.call("XINFO", "CONSUMERS", keys.OUTBOX, CONSUMER_GROUP):
        name = dict(zip(fields[::2], fields[1::2], strict=True))[b"name"].decode()
        if name == consumer or await wire.call("EXISTS", keys.lease(f"consumer:{name}")):
            continue
        pending = await wire.call("XPENDING", keys.OUTBOX, CONSUMER_GROUP, "-", "+", limit, name)
        if not pending:
            # only now: with its consumer, a message that is pending would be lost
            await wire.call("XGROUP", "DELCONSUMER", keys.OUTBOX, CONSUMER_GROUP, name)
            continue
        ids = [row[0] for row in pending]
        entries = await wire.call("XCLAIM", keys.OUTBOX, CONSUMER_GROUP, consumer, 0, *ids)
        # an entry that was deleted since comes back empty
        messages += [_parse_entry(entry, again=True) for entry in entries if entry]
    return messages


def finish(queued: OutboxMessage) -> Operations:
    """The operations that remove a message from the outbox."""
    result = _remove(queued)
    result.do("HINCRBY", keys.DEPTH, queued.message.channel, -1)
    return result


def postpone(queued: OutboxMessage, message: OutgoingMessage, at: float) -> Operations:
    """The operations that put a message off until `at` (Unix seconds).

    It goes on counting as waiting: the depth stays.
    """
    result = _remove(queued)
    result.do("HSET", keys.RETRIES, message.id, _encode(message))
    result.do("ZADD", keys.TIMERS, int(at * 1000), f"retry:{message.id}")
    return result


async def requeue(wire: Wire, message_id: str) -> Operations | None:
    """The operations that put a due retry back into the outbox; None when it waits no more."""
    data = await wire.call("HGET", keys.RETRIES, message_id)
    if data is None:
        return None
    result, message = Operations(), _outgoing(data)
    # another process may have put it back already, while this one's lease of the timer ran out
    result.guard(keys.RETRIES, message_id, data)
    enqueue(result, message)
    result.do("HINCRBY", keys.DEPTH, message.channel, -1)  # it counted while it waited
    result.do("HDEL", keys.RETRIES, message_id)
    result.do("ZREM", keys.TIMERS, f"retry:{message_id}")
    return result


async def longest_wait(wire: Wire, now: float) -> float:
    """Seconds that the page which waits longest has waited without any attempt; 0 = none waits.

    Looks at the oldest SCAN_LIMIT messages. Raises StoreUnavailable.
    """
    longest, after = 0.0, "-"
    for _ in range(SCAN_LIMIT // CHUNK):
        entries = await wire.call("XRANGE", keys.OUTBOX, after, "+", "COUNT", CHUNK)
        heads = [_outbox_head(fields[1]) for _, fields in entries]
        waiting = [now - head.due for head in heads if head.kind == "page" and head.attempt == 1]
        longest = max([longest, *waiting])
        if len(entries) < CHUNK:
            break
        after = f"({entries[-1][0].decode()}"
    return longest


async def load_depths(wire: Wire) -> dict[str, int]:
    """Channel → messages that wait."""
    flat = await wire.call("HGETALL", keys.DEPTH)
    return {name.decode(): int(number) for name, number in zip(flat[::2], flat[1::2], strict=True)}


def _parse_entry(entry: list[object], *, again: bool) -> OutboxMessage:
    name, fields = entry
    assert isinstance(name, bytes) and isinstance(fields, list)
    return OutboxMessage(name.decode(), _outgoing(fields[1]), again)


def _remove(queued: OutboxMessage) -> Operations:
    result = Operations()
    result.do("XACK", keys.OUTBOX, CONSUMER_GROUP, queued.entry)
    result.do("XDEL", keys.OUTBOX, queued.entry)
    return result


def storm_key(policy: str, user: str, channel: str) -> str:
    """The name of a storm in Redis and in its timer."""
    return hashlib.sha256("\0".join((policy, user, channel)).encode()).hexdigest()[:16]


async def hold_page(wire: Wire, storm: Storm, key: str, queued: OutboxMessage, now: float) -> bool:
    """Hold a page where too many came before it; return True where it is held.

    Then it has left the outbox, and its timer is set. One script: a page is always either in the
    outbox or among the held ones. Raises StoreUnavailable.
    """
    words = (
        int(now * 1000),
        int(storm.within * 1000),
        storm.more_than,
        int(LONGEST_WAIT * 1000),
        CONSUMER_GROUP,
        queued.entry,
    )
    page, data = queued.message.page, _encode(queued.message)
    return bool(await wire.script("hold", keys.P, key, page, *words, data))


class StormBacklog:
    """The held pages of one storm when they were read, oldest first."""

    def __init__(self, key: str, data: Sequence[bytes]) -> None:
        self._key, self._first = key, data[0] if data else b""
        self.messages = [_outgoing(one) for one in data]

    async def release(self, wire: Wire, messages: Sequence[OutgoingMessage], now: float) -> bool:
        """Replace these pages by messages in the outbox; False when another process was quicker.

        Pages that came in meanwhile wait for the timer, which is set anew. Raises StoreUnavailable.
        """
        channel = messages[0].channel if messages else ""
        words = (
            self._key,
            self._first,
            len(self.messages),
            int(now * 1000),
            int(LONGEST_WAIT * 1000),
            channel,
        )
        return bool(await wire.script("release", keys.P, *words, *map(_encode, messages)))


async def load_backlog(wire: Wire, key: str) -> StormBacklog:
    """The held pages of a storm. Raises StoreUnavailable."""
    return StormBacklog(key, await wire.call("LRANGE", keys.storm_pages(key), 0, -1))


async def save_bundle_epochs(wire: Wire, bundle_id: str, epochs: Mapping[str, int]) -> None:
    """Store incident → epoch as one message of a bundle shows them, besides its other messages'.

    Raises StoreUnavailable.
    """
    words = [word for pair in epochs.items() for word in pair]
    added = wire.call("HSET", keys.bundle(bundle_id), *words)
    prolonged = wire.call("EXPIRE", keys.bundle(bundle_id), BUNDLE_TTL)
    await added
    await prolonged


async def load_bundle_epochs(wire: Wire, bundle_id: str) -> dict[str, int]:
    """Incident → epoch that a bundle showed; {} for one that has expired, or never was."""
    flat = await wire.call("HGETALL", keys.bundle(bundle_id))
    return {name.decode(): int(epoch) for name, epoch in zip(flat[::2], flat[1::2], strict=True)}
