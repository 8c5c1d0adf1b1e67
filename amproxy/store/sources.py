"""Pushes of each source, accepted and refused: for people, kept without promises.

Processes add up what they have seen and write it every second, so that a flood of refusals costs
Redis no more than one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from amproxy.store import keys
from amproxy.store.wire import Wire, Word
from amproxy.text import Words

MAX_SOURCES: Final = 200  # that are kept: where the file names none, senders choose their names
KEPT_SECONDS: Final = 90 * 86400  # without a push


class Refusal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One push that was refused, in whole or in part."""

    at: float  # Unix seconds
    status: int  # of HTTP
    reason: Words
    client: str = ""  # address
    body: str = ""  # its beginning, without secrets; "" where it was not read


class SourceNews(msgspec.Struct, kw_only=True):
    """All that one process has seen of a source since it wrote last."""

    pushes: int = 0  # accepted
    alerts: int = 0  # in them
    last_push: float = 0.0  # Unix seconds; 0 = none
    last_alerts: int = 0  # in the last push
    refused: int = 0
    refusal: Refusal | None = None  # the last
    clock_behind: float | None = None  # seconds; 0 = its clock is right again, None = no news


class SourceRecord(SourceNews, kw_only=True):
    """All that is known of a source. clock_behind: None = it was never wrong."""

    name: str  # "" = pushes that named none


_encode = msgspec.msgpack.Encoder().encode
_decode_refusal = msgspec.msgpack.Decoder(Refusal).decode


async def save_news(wire: Wire, news: Mapping[str, SourceNews], now: float) -> None:
    """Add news by name to what is stored. Raises StoreUnavailable."""
    calls: list[Iterable[Word]] = []
    for name, one in news.items():
        key = keys.sender(name)
        fields: list[Word] = []
        for field, number in (("pushes", one.pushes), ("alerts", one.alerts)):
            if number:
                calls.append(("HINCRBY", key, field, number))
        if one.last_push:
            fields += ["last_push", repr(one.last_push), "last_alerts", one.last_alerts]
        if one.refusal:
            calls.append(("HINCRBY", key, "refused", one.refused))
            fields += ["refusal", _encode(one.refusal)]
        if one.clock_behind is not None:
            fields += ["clock_behind", repr(one.clock_behind)]
        if fields:
            calls.append(("HSET", key, *fields))
        calls += [
            ("EXPIRE", key, KEPT_SECONDS),
            ("ZADD", keys.SENDERS, repr(now), name),
        ]
    calls.append(("ZREMRANGEBYRANK", keys.SENDERS, 0, -MAX_SOURCES - 1))
    calls.append(("ZREMRANGEBYSCORE", keys.SENDERS, "-inf", repr(now - KEPT_SECONDS)))
    await asyncio.gather(*(wire.call(*words) for words in calls))


async def load_sources(wire: Wire) -> list[SourceRecord]:
    """All that is known, by name. Raises StoreUnavailable."""
    names = [name.decode() for name in await wire.call("ZRANGE", keys.SENDERS, 0, -1)]
    stored = await asyncio.gather(*(wire.call("HGETALL", keys.sender(name)) for name in names))
    return sorted(map(_record, names, stored), key=lambda one: one.name)


def _record(name: str, stored: list[bytes]) -> SourceRecord:
    found = {field.decode(): value for field, value in zip(stored[::2], stored[1::2], strict=True)}
    refusal, behind = found.get("refusal"), found.get("clock_behind")
    return SourceRecord(
        name=name,
        pushes=int(found.get("pushes", 0)),
        alerts=int(found.get("alerts", 0)),
        last_push=float(found.get("last_push", 0)),
        last_alerts=int(found.get("last_alerts", 0)),
        refused=int(found.get("refused", 0)),
        refusal=_decode_refusal(refusal) if refusal else None,
        clock_behind=float(behind) if behind else None,
    )
