"""The outbox: a stream with a consumer group, messages that wait for a retry, and rate limits.

A message is one process's at a time. It says every second that it lives; the messages of one that
does not are taken over, and each send is permitted only to the process that has the message then.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from amproxy import metrics
from amproxy.log import EventLog
from amproxy.model import OutgoingMessage
from amproxy.store import keys
from amproxy.store.commit import Operations, commit
from amproxy.store.incidents import enqueue
from amproxy.store.wire import RedisRefused, Wire

log = EventLog(__name__)

_encode = msgspec.msgpack.Encoder().encode
_outgoing = msgspec.msgpack.Decoder(OutgoingMessage).decode

CONSUMER_GROUP = "deliver"
SCAN_LIMIT, CHUNK = 2000, 100  # messages that `longest_wait` reads, and how many of them at once
# Seconds of a consumer's lease. One that has not renewed it is dead: others get its messages.
ALIVE_SECONDS = 4
# No stream, no consumer group: nobody has delivered anything here yet.
NO_CONSUMERS = ("ERR no such key", "NOGROUP ")
OWN_AT_ONCE = 1000  # entries that `load_own` reads at once
MAX_UNREADABLE = 1000  # entries that are kept for a person to look at
LONGEST_GAP = 10.0  # seconds between messages to a destination that refuses again and again
GAP_SECONDS = 60.0  # seconds after a refusal in which gaps are kept


class OutboxMessage(NamedTuple):
    """A message that a process must deliver; `entry` is its id in the stream."""

    entry: str
    message: OutgoingMessage
    consumer: str  # the process


class RateLimit(NamedTuple):
    """The limits that a destination's messages fall under, by digests that show no secret."""

    names: tuple[str, ...] = ()  # narrowest first: a chat, then its bot; () = none is known
    gap: float = 0.0  # seconds between messages for a while after a refusal; 0 = none


class SendPermit(NamedTuple):
    """The response to a request to send one message now."""

    state: Literal["permitted", "throttled", "gone"]
    seconds: float = 0.0  # throttled: how long the destination wants no message
    repeated: bool = False  # permitted: another process had begun to send it before


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
    """New messages, oldest first; they are this consumer's until it finishes them or dies.

    Raises StoreUnavailable.
    """
    group = ("GROUP", CONSUMER_GROUP, consumer)
    answer = await wire.call("XREADGROUP", *group, "COUNT", limit, "STREAMS", keys.OUTBOX, ">")
    return await _parse_entries(wire, answer[0][1] if answer else (), consumer)


def take_operation(consumer: str, limit: int) -> Operations:
    """The operation that makes new messages this consumer's in the commit that stores them."""
    result = Operations()
    result.do("!take", CONSUMER_GROUP, consumer, limit)
    return result


def readable(entries: Iterable[Sequence[Any]], consumer: str) -> list[OutboxMessage]:
    """Those messages among entries of the stream that can be decoded."""
    messages = []
    for name, fields in entries:
        with contextlib.suppress(msgspec.DecodeError, IndexError):
            messages.append(OutboxMessage(name.decode(), _outgoing(fields[1]), consumer))
    return messages


async def load_own(wire: Wire, consumer: str) -> set[str]:
    """The entries that are this consumer's now. Raises StoreUnavailable."""
    own, after = set[str](), "-"
    while rows := await wire.call(
        "XPENDING", keys.OUTBOX, CONSUMER_GROUP, after, "+", OWN_AT_ONCE, consumer
    ):
        own.update(row[0].decode() for row in rows)
        after = f"({rows[-1][0].decode()}"
    return own


async def load(wire: Wire, consumer: str, entry: str) -> OutboxMessage | None:
    """One message that is this consumer's; None where it is gone. Raises StoreUnavailable."""
    found = await wire.call("XRANGE", keys.OUTBOX, entry, entry)
    messages = await _parse_entries(wire, found, consumer)
    return messages[0] if messages else None


async def keep_alive(wire: Wire, consumer: str) -> None:
    """Renew the lease of this consumer."""
    await wire.call("SET", keys.lease(f"consumer:{consumer}"), "1", "EX", ALIVE_SECONDS)


async def leave(wire: Wire, consumer: str) -> None:
    """Give up the lease of this consumer: others take over what it has. Raises StoreUnavailable."""
    await wire.call("DEL", keys.lease(f"consumer:{consumer}"))


async def load_consumers(wire: Wire) -> list[Consumer]:
    """The consumers that are alive or have left messages, by name. Raises StoreUnavailable."""
    try:
        answer = await wire.call("XINFO", "CONSUMERS", keys.OUTBOX, CONSUMER_GROUP)
    except RedisRefused as error:
        if not str(error).startswith(NO_CONSUMERS):
            raise
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
    entries = await wire.script("take_over", keys.P, CONSUMER_GROUP, consumer, limit)
    return await _parse_entries(wire, entries, consumer)


async def restore_strays(wire: Wire, after: str, limit: int = 500) -> tuple[int, str]:
    """Put messages back that were read and that no consumer has, so that nobody works on them.

    Looks at `limit` messages after an id of the stream ("" = from the first). Returns how many
    were put back, and where to go on ("" = all were looked at). Raises StoreUnavailable.
    """
    first = f"({after}" if after else "-"
    found, last = await wire.script("strays", keys.P, CONSUMER_GROUP, first, limit)
    return int(found), last.decode()


async def permit(wire: Wire, queued: OutboxMessage, limit: RateLimit) -> SendPermit:
    """Ask, in one trip, whether this process may send the message now. Raises StoreUnavailable."""
    words = (CONSUMER_GROUP, queued.consumer, queued.entry, *limit.names)
    state, detail = await wire.script("permit", keys.P, *words)
    if state == b"gone":
        return SendPermit("gone")
    if state == b"throttled":
        return SendPermit("throttled", seconds=int(detail) / 1000)
    # our own: the response to an earlier request was lost, and nothing was sent then
    return SendPermit("permitted", repeated=detail.decode() not in ("", queued.consumer))


async def throttle(wire: Wire, limit: RateLimit, seconds: float, now: float) -> None:
    """Send nothing to a destination for so long, from any replica. Raises StoreUnavailable."""
    times = [int(1000 * one) for one in (now, seconds, limit.gap, LONGEST_GAP, GAP_SECONDS)]
    await wire.script("throttle", keys.P, *times, *limit.names)


def finish(queued: OutboxMessage) -> Operations:
    """The operations that remove a message from the outbox."""
    result = Operations()
    result.do("!finish", CONSUMER_GROUP, queued.entry, queued.message.channel)
    return result


def finish_once(queued: OutboxMessage) -> Operations:
    """As `finish`, and all that is committed with it only if no process has finished it before."""
    result = finish(queued)
    result.guard_unfinished(CONSUMER_GROUP, queued.entry)
    return result


def postpone(queued: OutboxMessage, message: OutgoingMessage, at: float) -> Operations:
    """The operations that put a message off until `at` (Unix seconds).

    It goes on counting as waiting: the depth stays.
    """
    due, result = int(at * 1000), Operations()
    result.do("!postpone", CONSUMER_GROUP, queued.entry, message.id, _encode(message), due)
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


async def _parse_entries(
    wire: Wire, entries: Iterable[Sequence[Any]], consumer: str
) -> list[OutboxMessage]:
    """The messages of a stream's entries; raises StoreUnavailable.

    One that cannot be decoded must not keep the others from going out: it is set aside.
    """
    messages = []
    for name, fields in entries:
        if fields is None:  # deleted since
            continue
        entry = name.decode()
        try:
            messages.append(OutboxMessage(entry, _outgoing(fields[1]), consumer))
        except (msgspec.DecodeError, IndexError):
            metrics.unexpected_errors.labels("deliver").inc()
            log.error("a message cannot be read and is set aside", entry=entry, key=keys.UNREADABLE)
            removal = Operations()
            removal.do("LPUSH", keys.UNREADABLE, b"".join(fields))
            removal.do("LTRIM", keys.UNREADABLE, 0, MAX_UNREADABLE - 1)
            removal.do("XACK", keys.OUTBOX, CONSUMER_GROUP, entry)
            removal.do("XDEL", keys.OUTBOX, entry)
            await commit(wire, removal)
    return messages
