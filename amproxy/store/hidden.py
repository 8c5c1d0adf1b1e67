"""What silences and maintenance windows held back: a bounded record of each, kept for a month after its last change."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from amproxy.model import Following
from amproxy.store import groups, keys
from amproxy.store.commit import Operations
from amproxy.store.wire import Wire

MOST = 1000  # alerts of one silence or window
KEPT = 30 * 86400  # seconds


class Hidden(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One alert of one group that was held back."""

    fingerprint: str
    labels: dict[str, str]
    group: str  # Group.id
    receiver: str
    first: float  # Unix seconds
    last: float  # written at most once an hour while nothing else changes
    told: float | None = None  # when it was told after the end; None = not


class Seen(NamedTuple):
    """What a flush found: an alert that is held back, or that was and is told now."""

    by: str  # "silence:ID", "maintenance:ID"
    hidden: Hidden


_encode = msgspec.msgpack.Encoder().encode
_hidden = msgspec.msgpack.Decoder(Hidden).decode


async def remember(wire: Wire, result: Operations, seen: Iterable[Seen]) -> None:
    """Add to the operations of a group's flush what it found; the first sight of what is known already stays. Raises StoreUnavailable.

    A record belongs to one group, whose flushes follow each other, so nothing is lost between reading and writing. Flushes of
    several groups at the same moment may each fill the last free places.
    """
    by_cause: dict[str, dict[str, Hidden]] = {}
    for by, hidden in seen:
        by_cause.setdefault(by, {})[f"{hidden.group} {hidden.fingerprint}"] = hidden
    for by, wanted in by_cause.items():
        key = keys.hidden(by)
        size, known = wire.call("HLEN", key), wire.call("HMGET", key, *wanted)
        free, words = MOST - await size, list[str | bytes]()
        for (name, hidden), old in zip(wanted.items(), await known, strict=True):
            if old is not None:
                words += (name, _encode(msgspec.structs.replace(hidden, first=_hidden(old).first)))
            elif free > 0:
                free -= 1
                words += (name, _encode(hidden))
        if words:
            result.do("HSET", key, *words)
            result.do("EXPIRE", key, KEPT)


def follow(result: Operations, group_id: str, following: Following) -> None:
    """Remember what is held back, for the next flush to compare with."""
    if following.by:
        result.do("HSET", keys.group(group_id), "hidden", _encode(following))
    else:
        result.do("HDEL", keys.group(group_id), "hidden")


async def load(wire: Wire, by: str) -> list[Hidden]:
    """Newest first. Raises StoreUnavailable."""
    return sorted(map(_hidden, await wire.call("HVALS", keys.hidden(by))), key=lambda one: (-one.first, one.fingerprint))


async def fires(wire: Wire, hidden: list[Hidden], now_ns: int) -> list[bool]:
    """Whether each of these alerts fires at `now_ns`, in their order. Raises StoreUnavailable."""
    leases = [wire.call("HGET", keys.leases(one.group), one.fingerprint) for one in hidden]
    return [data is not None and groups.unpack_lease(data).fires(now_ns) for data in [await lease for lease in leases]]
