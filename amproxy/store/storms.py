"""Storms: the pages that are held to become one message, and what the button of such a message acknowledges."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import msgspec

from amproxy.config.structs import Storm
from amproxy.model import OutgoingMessage
from amproxy.store import keys
from amproxy.store.outbox import CONSUMER_GROUP, OutboxMessage
from amproxy.store.wire import Wire

_encode = msgspec.msgpack.Encoder().encode
_outgoing = msgspec.msgpack.Decoder(OutgoingMessage).decode

LONGEST_WAIT = 30.0  # seconds that a held page waits for others
BUNDLE_TTL = 7 * 86400  # seconds: how long the button of a bundle works


def storm_key(policy: str, user: str, channel: str) -> str:
    """What names a storm in Redis and in its timer."""
    return hashlib.sha256("\0".join((policy, user, channel)).encode()).hexdigest()[:16]


async def hold_page(wire: Wire, storm: Storm, key: str, taken: OutboxMessage, now: float) -> bool:
    """Whether a page is held, because too many came before it. Then it has left the outbox, and its timer is set."""
    words = (int(now * 1000), int(storm.within * 1000), storm.more_than, int(LONGEST_WAIT * 1000), CONSUMER_GROUP, taken.entry)
    return bool(await wire.script("hold", keys.P, key, taken.message.page, *words, _encode(taken.message)))


class StormBacklog:
    """What was held of one storm when it was read, oldest first."""

    def __init__(self, key: str, data: Sequence[bytes]) -> None:
        self._key, self._first, self.messages = key, data[0] if data else b"", [_outgoing(one) for one in data]

    async def release(self, wire: Wire, messages: Sequence[OutgoingMessage], now: float) -> bool:
        """Put messages into the outbox in the place of these pages, in one commit; False when another process was quicker.

        Pages that came in meanwhile wait for the timer, which is set anew.
        """
        channel = messages[0].channel if messages else ""
        words = (self._key, self._first, len(self.messages), int(now * 1000), int(LONGEST_WAIT * 1000), channel)
        return bool(await wire.script("release", keys.P, *words, *map(_encode, messages)))


async def load_backlog(wire: Wire, key: str) -> StormBacklog:
    return StormBacklog(key, await wire.call("LRANGE", keys.storm_pages(key), 0, -1))


async def save_bundle_epochs(wire: Wire, bundle_id: str, epochs: Mapping[str, int]) -> None:
    """Incident → epoch that a bundle is about to show, beside those of its other parts."""
    words = [word for pair in epochs.items() for word in pair]
    added, kept = wire.call("HSET", keys.bundle(bundle_id), *words), wire.call("EXPIRE", keys.bundle(bundle_id), BUNDLE_TTL)
    await added
    await kept


async def load_bundle_epochs(wire: Wire, bundle_id: str) -> dict[str, int]:
    """Incident → epoch that a bundle showed; {} for one that is too old, or never was."""
    flat = await wire.call("HGETALL", keys.bundle(bundle_id))
    return {name.decode(): int(epoch) for name, epoch in zip(flat[::2], flat[1::2], strict=True)}
