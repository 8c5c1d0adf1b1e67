"""Storms: pages that wait to become one message, and what each such message showed.

A page that a storm holds back is out of the outbox and in a backlog, until one script turns the
backlog into messages of the outbox: it is always in one of the two.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import msgspec

from amproxy.config.structs import Storm
from amproxy.model import OutgoingMessage
from amproxy.store import keys
from amproxy.store.commit import Operations, commit
from amproxy.store.outbox import CONSUMER_GROUP, OutboxMessage
from amproxy.store.wire import Wire

LONGEST_WAIT = 30.0  # seconds that a held page waits for others at most
BUNDLE_TTL = 7 * 86400  # seconds: how long the button of a bundle works

_encode = msgspec.msgpack.Encoder().encode
_outgoing = msgspec.msgpack.Decoder(OutgoingMessage).decode


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
    held = await wire.script("hold", keys.P, key, page, *words, data, queued.consumer)
    return bool(held)


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
    operations, key = Operations(), keys.bundle(bundle_id)
    for incident_id, epoch in epochs.items():
        operations.do("HSET", key, incident_id, epoch)
    operations.do("EXPIRE", key, BUNDLE_TTL)
    await commit(wire, operations)


async def load_bundle_epochs(wire: Wire, bundle_id: str) -> dict[str, int]:
    """Incident → epoch that a bundle showed; {} for one that has expired, or never was."""
    flat = await wire.call("HGETALL", keys.bundle(bundle_id))
    return {name.decode(): int(epoch) for name, epoch in zip(flat[::2], flat[1::2], strict=True)}
