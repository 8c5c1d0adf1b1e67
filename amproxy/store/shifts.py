"""Who was on call, written down: facts of each schedule, and what people were told of it. Guarded by a version for each schedule."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import NamedTuple

import msgspec

from amproxy.model import NoticeLog, RecordedShift
from amproxy.store import keys
from amproxy.store.commit import Operations, commit
from amproxy.store.wire import Wire

_encode = msgspec.msgpack.Encoder().encode
_fact = msgspec.msgpack.Decoder(RecordedShift).decode
_last_notice = msgspec.msgpack.Decoder(NoticeLog).decode


class ScheduleProgress(NamedTuple):
    """How far one schedule is written down."""

    version: int = 0
    until: float | None = None  # Unix seconds; None = nothing is written yet
    zone: str = "UTC"  # of the schedule
    over: bool = False  # the schedule has left the file: nothing is written until it comes back
    told: NoticeLog | None = None  # None = nothing was looked at yet
    last: bytes = b""  # the last fact as it is stored


async def load_progress(wire: Wire, schedule: str) -> ScheduleProgress:
    """Raises StoreUnavailable."""
    fields = wire.call("HMGET", keys.shifts(schedule), "v", "until", "zone", "over", "told")
    last = wire.call("ZRANGE", keys.facts(schedule), 0, 0, "REV")
    version, until, zone, over, told = await fields
    found = await last
    if version is None:
        return ScheduleProgress()
    return ScheduleProgress(
        int(version), float(until), zone.decode(), over == b"1", told and _last_notice(told), found[0] if found else b""
    )


def write_facts(
    kept: ScheduleProgress,
    schedule: str,
    facts: Sequence[RecordedShift],
    *,
    until: float,
    zone: str,
    over: bool = False,
    told: NoticeLog | None = None,
) -> Operations:
    """What writes the time up to `until`; it holds only while nobody else has written since `kept` was loaded.

    facts: one after the other from where `kept` ends. over: the schedule has left the file. told: None = as it was.
    """
    result, key = Operations(), keys.shifts(schedule)
    result.guard(key, "v", str(kept.version) if kept.version else "")
    result.do("SADD", keys.SHIFTS, schedule)
    result.do("HSET", key, "v", kept.version + 1, "until", repr(until), "zone", zone, "over", int(over))
    if told is not None:
        result.do("HSET", key, "told", _encode(told))
    rows = list[RecordedShift]()
    for fact in facts:  # a shift that goes on stays one
        if rows and _continues(rows[-1], fact):
            rows[-1] = msgspec.structs.replace(rows[-1], end=fact.end)
        else:
            rows.append(fact)
    if rows and kept.last and _continues(last := _fact(kept.last), rows[0]):
        result.do("ZREM", keys.facts(schedule), kept.last)
        rows[0] = msgspec.structs.replace(rows[0], start=last.start)
    for fact in rows:
        result.do("ZADD", keys.facts(schedule), repr(fact.end), _encode(fact))
    return result


def set_timer(result: Operations, schedule: str, due: float) -> None:
    """Look at the schedule then (Unix seconds), and not before."""
    result.do("ZADD", keys.TIMERS, ceil(due * 1000), f"shifts:{schedule}")


async def schedule_check(wire: Wire, schedules: Sequence[str], due: float) -> None:
    """Look at the schedules then (Unix seconds), or earlier where that is set already. Raises StoreUnavailable."""
    if schedules:
        words = [word for name in schedules for word in (ceil(due * 1000), f"shifts:{name}")]
        await wire.call("ZADD", keys.TIMERS, "LT", *words)


def delete_timer(result: Operations, schedule: str) -> None:
    result.do("ZREM", keys.TIMERS, f"shifts:{schedule}")


async def load_facts(wire: Wire, schedule: str, start: float, end: float) -> list[RecordedShift]:
    """Facts that touch the time between two moments (Unix seconds), in order, not clipped. Raises StoreUnavailable."""
    found = await wire.call("ZRANGE", keys.facts(schedule), f"({start!r}", "+inf", "BYSCORE")
    return [fact for data in found if (fact := _fact(data)).start < end]


async def trim_facts(wire: Wire, before: float) -> int:
    """Forget facts that were over before a time (Unix seconds), and schedules of which nothing is left; returns how many facts."""
    forgotten = 0
    for name in [name.decode() for name in await wire.call("SMEMBERS", keys.SHIFTS)]:
        forgotten += await wire.call("ZREMRANGEBYSCORE", keys.facts(name), "-inf", f"({before!r}")
        kept = await load_progress(wire, name)
        if kept.over and not kept.last:
            gone = Operations()
            gone.guard(keys.shifts(name), "v", str(kept.version))
            gone.do("DEL", keys.shifts(name))
            gone.do("SREM", keys.SHIFTS, name)
            await commit(wire, gone)
    return forgotten


def _continues(one: RecordedShift, other: RecordedShift) -> bool:
    """Whether the other goes on where the one ends, and with the same people for the same reason."""
    return one.end == other.start and msgspec.structs.replace(one, start=other.start, end=other.end) == other
