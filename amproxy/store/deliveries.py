"""The log of deliveries: what became of each attempt, in a stream that is cut by number and by age; the newest comes first.

An entry is written in the commit of the outcome itself. Its place in the stream tells when that was; what is asked for by time
is looked for there, so an outcome that was written down late (Redis was away) may stand a little apart.

What became of the last delivery to each person over each channel.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal, NamedTuple

import msgspec

from amproxy.model import Outcome
from amproxy.store import keys
from amproxy.store.commit import Operations
from amproxy.store.wire import Wire

MAX_DELIVERIES = 100_000  # entries; Redis cuts whole blocks of some hundred, so a few more may be there
CHUNK = 500  # entries read at once
SCAN_LIMIT = 20_000  # entries that one call looks at
MAX_WRITE_DELAY = 3600.0  # seconds that an entry may have been written after its outcome and still be found by it

DeliveryKind = Literal["page", "reminder", "bundle", "notification", "notice", "update"]
DeliveryOutcome = Literal["sent", "failed", "skipped", "retry"]  # failed: for good. retry: it failed, and another attempt follows


class Delivery(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One attempt to deliver one message, and what became of it."""

    at: float  # Unix seconds: when that was known
    kind: DeliveryKind
    channel: str
    outcome: DeliveryOutcome
    user: str = ""
    receiver: str = ""  # instead of a user
    integration: str = ""  # of a receiver: "slack/0"
    incidents: tuple[tuple[str, int], ...] = ()  # id and number; many for a bundle
    subject: str = ""  # what it was about, from outside, cut
    attempt: int = 1
    error: str = ""  # of a failure, or why it was not sent
    ms: int | None = None  # how long the channel took; None = it was not called


class DeliveryListItem(NamedTuple):
    """An entry and its place in the stream."""

    id: str
    delivery: Delivery


class DeliveryList(NamedTuple):
    """Part of what was asked for."""

    found: list[DeliveryListItem]
    next: str  # cursor of what is older; "" = there is nothing more


_encode = msgspec.msgpack.Encoder().encode
_delivery = msgspec.msgpack.Decoder(Delivery).decode


def add(result: Operations, delivery: Delivery) -> None:
    """Write an entry down with these operations."""
    data = _encode(delivery)
    result.do("XADD", keys.DELIVERIES, "MAXLEN", "~", MAX_DELIVERIES, "*", "m", data)
    if delivery.outcome != "skipped":
        # an attempt that will be repeated has failed, too
        result.do("HSET", keys.CHANNELS, f"{'sent' if delivery.outcome == 'sent' else 'failed'} {delivery.channel}", data)


async def list_deliveries(
    wire: Wire,
    keep: Callable[[Delivery], bool],
    *,
    since: float | None = None,
    until: float | None = None,
    limit: int = 100,
    before: str = "",
) -> DeliveryList:
    """Entries from `since` to before `until` (Unix seconds) that `keep` keeps, newest first.

    before: cursor of an earlier call. At most LOOKED_AT entries are looked at, so a page may be short, even empty, and have a next one.
    Raises StoreUnavailable.
    """
    found = list[DeliveryListItem]()
    newest = f"({before}" if before else "+" if until is None else str(max(0, int((until + MAX_WRITE_DELAY) * 1000)))
    oldest = "-" if since is None else str(max(0, int(since * 1000)))
    for _ in range(SCAN_LIMIT // CHUNK):
        entries = await wire.call("XREVRANGE", keys.DELIVERIES, newest, oldest, "COUNT", CHUNK)
        for name, fields in entries:
            delivery = _delivery(fields[1])
            if (since is None or delivery.at >= since) and (until is None or delivery.at < until) and keep(delivery):
                if len(found) == limit:
                    return DeliveryList(found, found[-1].id)
                found.append(DeliveryListItem(name.decode(), delivery))
        if len(entries) < CHUNK:
            return DeliveryList(found, "")
        newest = f"({entries[-1][0].decode()}"
        await asyncio.sleep(0)  # a push that comes in goes first
    return DeliveryList(found, newest.removeprefix("("))


class _DeliveryHead(msgspec.Struct):
    """What is counted of an entry."""

    channel: str
    outcome: DeliveryOutcome


_delivery_head = msgspec.msgpack.Decoder(_DeliveryHead).decode

RATE_SAMPLE = 5_000  # entries that `rates` looks at


class DeliveryRate(msgspec.Struct):
    """Attempts over one channel."""

    attempts: int = 0
    failed: int = 0  # for good, or to be repeated


async def load_rates(wire: Wire, since: float) -> dict[str, DeliveryRate]:
    """Channel → its attempts since `since` (Unix seconds), of the last COUNTED entries at most. Raises StoreUnavailable."""
    counted = dict[str, DeliveryRate]()
    for _, fields in await wire.call("XREVRANGE", keys.DELIVERIES, "+", str(int(since * 1000)), "COUNT", RATE_SAMPLE):
        head = _delivery_head(fields[1])
        if head.outcome != "skipped":
            rate = counted.setdefault(head.channel, DeliveryRate())
            rate.attempts += 1
            rate.failed += head.outcome != "sent"
    return counted


async def load_last(wire: Wire) -> dict[str, dict[str, Delivery]]:
    """Channel → "sent" and "failed" → the last such delivery. Raises StoreUnavailable."""
    flat = await wire.call("HGETALL", keys.CHANNELS)
    found = dict[str, dict[str, Delivery]]()
    for name, data in zip(flat[::2], flat[1::2], strict=True):
        outcome, _, channel = name.decode().partition(" ")
        found.setdefault(channel, {})[outcome] = _delivery(data)
    return found


async def trim(wire: Wire, before: float) -> int:
    """Forget what was written before `before` (Unix seconds); returns how many entries. Raises StoreUnavailable."""
    return int(await wire.call("XTRIM", keys.DELIVERIES, "MINID", str(max(0, int(before * 1000)))))


_outcome = msgspec.msgpack.Decoder(Outcome).decode

OUTCOME_REFRESH_INTERVAL = 3600.0  # seconds within which an equal outcome is not written again

ContactOutcomes = dict[tuple[str, str], Outcome]  # (user, channel) → outcome


async def load_contact_outcomes(wire: Wire) -> ContactOutcomes:
    """Raises StoreUnavailable."""
    flat = await wire.call("HGETALL", keys.CONTACTS)
    found: ContactOutcomes = {}
    for name, data in zip(flat[::2], flat[1::2], strict=True):
        channel, _, user = name.decode().partition(" ")
        found[user, channel] = _outcome(data)
    return found


async def load_contact_outcome(wire: Wire, user: str, channel: str) -> Outcome | None:
    """Raises StoreUnavailable."""
    data = await wire.call("HGET", keys.CONTACTS, _contact_field(user, channel))
    return None if data is None else _outcome(data)


def save_contact_outcome(result: Operations, user: str, channel: str, before: Outcome | None, outcome: Outcome) -> None:
    """Remember an outcome, unless it says nothing new. before: what was remembered when the delivery began."""
    if before and before.at > outcome.at - OUTCOME_REFRESH_INTERVAL and msgspec.structs.replace(before, at=outcome.at) == outcome:
        return
    result.do("HSET", keys.CONTACTS, _contact_field(user, channel), _encode(outcome))


def _contact_field(user: str, channel: str) -> str:
    return f"{channel} {user}"  # names of channels hold no spaces
