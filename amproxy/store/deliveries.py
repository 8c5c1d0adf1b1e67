"""The log of delivery attempts, a stream bounded by number and age, and the last outcomes.

An entry is written in the commit of the outcome itself. Its id in the stream is the time of that;
searches by time go by it, so an outcome that was written late (Redis was away) may be a little
out of order.
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
from amproxy.text import Words

# Entries; Redis trims whole blocks of some hundred, so a few more may be there.
MAX_DELIVERIES = 100_000
CHUNK = 500  # entries read at once
SCAN_LIMIT = 20_000  # entries that one call looks at
RATE_SAMPLE = 5_000  # entries that `load_rates` looks at
# Seconds that an entry may be written after its outcome and still be found by the latter's time.
MAX_WRITE_DELAY = 3600.0
OUTCOME_REFRESH_INTERVAL = 3600.0  # seconds within which an equal outcome is not written again

DeliveryKind = Literal["page", "reminder", "bundle", "notification", "notice", "update"]
# failed: for good. retry: it failed, and another attempt follows.
DeliveryOutcome = Literal["sent", "failed", "skipped", "retry"]
ContactOutcomes = dict[tuple[str, str], Outcome]  # (user, channel) → outcome


class Delivery(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One attempt to deliver one message, and its outcome."""

    at: float  # of the outcome, Unix seconds
    kind: DeliveryKind
    channel: str
    outcome: DeliveryOutcome
    user: str = ""
    receiver: str = ""  # instead of a user
    integration: str = ""  # of a receiver: "slack/0"
    incidents: tuple[tuple[str, int], ...] = ()  # id and number; many for a bundle
    subject: Words = ""  # text from outside, cut; of a notice a phrase
    attempt: int = 1
    error: Words = ""  # of a failure, or why it was not sent
    ms: int | None = None  # duration of the channel's call; None = it was not called


class DeliveryListItem(NamedTuple):
    """An entry and its id in the stream."""

    id: str
    delivery: Delivery


class DeliveryList(NamedTuple):
    """One page of the log."""

    items: list[DeliveryListItem]
    next: str  # cursor of older ones; "" = there are none


class DeliveryRate(msgspec.Struct):
    """The attempts over one channel."""

    attempts: int = 0
    failed: int = 0  # for good, or to be repeated


class _DeliveryHead(msgspec.Struct):
    """The fields that rates count by."""

    channel: str
    outcome: DeliveryOutcome


_encode = msgspec.msgpack.Encoder().encode
_delivery = msgspec.msgpack.Decoder(Delivery).decode
_delivery_head = msgspec.msgpack.Decoder(_DeliveryHead).decode
_outcome = msgspec.msgpack.Decoder(Outcome).decode


def add(result: Operations, delivery: Delivery) -> None:
    """Log an entry with these operations."""
    data = _encode(delivery)
    result.do("XADD", keys.DELIVERIES, "MAXLEN", "~", MAX_DELIVERIES, "*", "m", data)
    if delivery.outcome != "skipped":
        # an attempt that will be repeated has failed, too
        outcome = "sent" if delivery.outcome == "sent" else "failed"
        result.do("HSET", keys.CHANNELS, f"{outcome} {delivery.channel}", data)


async def list_deliveries(
    wire: Wire,
    keep: Callable[[Delivery], bool],
    *,
    since: float | None = None,
    until: float | None = None,
    limit: int = 100,
    before: str = "",
) -> DeliveryList:
    """Entries from `since` to before `until` (Unix seconds) that `keep` accepts, newest first.

    before: cursor of an earlier call. At most SCAN_LIMIT entries are looked at, so a page may be
    short, even empty, and have a next one. Raises StoreUnavailable.
    """
    found = list[DeliveryListItem]()
    oldest = "-" if since is None else _stream_id(since)
    newest = "+" if until is None else _stream_id(until + MAX_WRITE_DELAY)
    if before:
        newest = f"({before}"
    for _ in range(SCAN_LIMIT // CHUNK):
        entries = await wire.call("XREVRANGE", keys.DELIVERIES, newest, oldest, "COUNT", CHUNK)
        for name, fields in entries:
            delivery = _delivery(fields[1])
            late_enough = since is None or delivery.at >= since
            early_enough = until is None or delivery.at < until
            if late_enough and early_enough and keep(delivery):
                if len(found) == limit:
                    return DeliveryList(found, found[-1].id)
                found.append(DeliveryListItem(name.decode(), delivery))
        if len(entries) < CHUNK:
            return DeliveryList(found, "")
        newest = f"({entries[-1][0].decode()}"
        await asyncio.sleep(0)  # a push that comes in goes first
    return DeliveryList(found, newest.removeprefix("("))


async def remove_of_incident(
    wire: Wire, result: Operations, incident_id: str, since: float
) -> None:
    """Remove with these operations what the log has of one incident, which began at `since`.

    Of a channel's last outcome, which says how the channel is, only the incident goes. Entries
    about several incidents stay: a stream has no other way. Raises StoreUnavailable.
    """
    newest, oldest = "+", _stream_id(since - MAX_WRITE_DELAY)
    while True:
        entries = await wire.call("XREVRANGE", keys.DELIVERIES, newest, oldest, "COUNT", CHUNK)
        own = [
            name for name, fields in entries if _is_only_about(_delivery(fields[1]), incident_id)
        ]
        if own:
            result.do("XDEL", keys.DELIVERIES, *own)
        if len(entries) < CHUNK:
            break
        newest = f"({entries[-1][0].decode()}"
        await asyncio.sleep(0)  # a push that comes in goes first
    for channel, outcomes in (await load_last(wire)).items():
        for outcome, delivery in outcomes.items():
            if _is_only_about(delivery, incident_id):
                blank = msgspec.structs.replace(delivery, incidents=(), subject="")
                result.do("HSET", keys.CHANNELS, f"{outcome} {channel}", _encode(blank))


def _is_only_about(delivery: Delivery, incident_id: str) -> bool:
    return [name for name, _ in delivery.incidents] == [incident_id]


async def load_rates(wire: Wire, since: float) -> dict[str, DeliveryRate]:
    """Channel → its attempts since a time (Unix seconds), of the last RATE_SAMPLE entries at most.

    Raises StoreUnavailable.
    """
    rates, limit = dict[str, DeliveryRate](), ("COUNT", RATE_SAMPLE)
    entries = await wire.call("XREVRANGE", keys.DELIVERIES, "+", _stream_id(since), *limit)
    for _, fields in entries:
        head = _delivery_head(fields[1])
        if head.outcome != "skipped":
            rate = rates.setdefault(head.channel, DeliveryRate())
            rate.attempts += 1
            rate.failed += head.outcome != "sent"
    return rates


async def load_last(wire: Wire) -> dict[str, dict[str, Delivery]]:
    """Channel → "sent" and "failed" → the last such delivery. Raises StoreUnavailable."""
    flat = await wire.call("HGETALL", keys.CHANNELS)
    found = dict[str, dict[str, Delivery]]()
    for name, data in zip(flat[::2], flat[1::2], strict=True):
        outcome, _, channel = name.decode().partition(" ")
        found.setdefault(channel, {})[outcome] = _delivery(data)
    return found


async def trim(wire: Wire, before: float) -> int:
    """Delete entries written before a time (Unix seconds); return how many.

    Raises StoreUnavailable.
    """
    return int(await wire.call("XTRIM", keys.DELIVERIES, "MINID", _stream_id(before)))


def _stream_id(at: float) -> str:
    """The first id of a stream at a time (Unix seconds)."""
    return str(max(0, int(at * 1000)))


async def load_contact_outcomes(wire: Wire) -> ContactOutcomes:
    """The outcome of the last delivery to each person over each channel.

    Raises StoreUnavailable.
    """
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


def save_contact_outcome(
    result: Operations, user: str, channel: str, before: Outcome | None, outcome: Outcome
) -> None:
    """Store an outcome, unless it says nothing new. before: the one when the delivery began."""
    if (
        before
        and before.at > outcome.at - OUTCOME_REFRESH_INTERVAL
        and msgspec.structs.replace(before, at=outcome.at) == outcome
    ):
        return
    result.do("HSET", keys.CONTACTS, _contact_field(user, channel), _encode(outcome))


def _contact_field(user: str, channel: str) -> str:
    return f"{channel} {user}"  # names of channels hold no spaces
