"""Recorded shifts: who was on call by each schedule, and the log of its notices.

Guarded by a version for each schedule.
"""

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
_notice_log = msgspec.msgpack.Decoder(NoticeLog).decode


class ScheduleProgress(NamedTuple):
    """The state of one schedule's record."""

    version: int = 0
    until: float | None = None  # recorded up to, Unix seconds; None = nothing is recorded yet
    zone: str = "UTC"  # of the schedule
    over: bool = False  # the schedule has left the file: nothing is recorded until it comes back
    notices: NoticeLog | None = None  # None = not checked yet
    last: bytes = b""  # the last recorded shift as it is stored


async def load_progress(wire: Wire, schedule: str) -> ScheduleProgress:
    """The state of a schedule's record. Raises StoreUnavailable."""
    fields = wire.call("HMGET", keys.shifts(schedule), "v", "until", "zone", "over", "told")
    last = wire.call("ZRANGE", keys.facts(schedule), 0, 0, "REV")
    version, until, zone, over, notices = await fields
    rows = await last
    if version is None:
        return ScheduleProgress()
    return ScheduleProgress(
        int(version),
        float(until),
        zone.decode(),
        over == b"1",
        notices and _notice_log(notices),
        rows[0] if rows else b"",
    )


def write_facts(
    progress: ScheduleProgress,
    schedule: str,
    facts: Sequence[RecordedShift],
    *,
    until: float,
    zone: str,
    over: bool = False,
    notices: NoticeLog | None = None,
) -> Operations:
    """The operations that record the time up to `until` (Unix seconds).

    Guarded: another process must not have recorded since `progress` was loaded. facts: one after
    the other from where `progress` ends. over: the schedule has left the file. notices: None = as
    they were.
    """
    result, key = Operations(), keys.shifts(schedule)
    version = progress.version
    result.guard(key, "v", str(version) if version else "")
    result.do("SADD", keys.SHIFTS, schedule)
    state = ("until", repr(until), "zone", zone, "over", int(over))
    result.do("HSET", key, "v", version + 1, *state)
    if notices is not None:
        result.do("HSET", key, "told", _encode(notices))
    rows = list[RecordedShift]()
    for fact in facts:  # a shift that goes on stays one
        if rows and _continues(rows[-1], fact):
            rows[-1] = msgspec.structs.replace(rows[-1], end=fact.end)
        else:
            rows.append(fact)
    if rows and progress.last and _continues(last := _fact(progress.last), rows[0]):
        result.do("ZREM", keys.facts(schedule), progress.last)
        rows[0] = msgspec.structs.replace(rows[0], start=last.start)
    for fact in rows:
        result.do("ZADD", keys.facts(schedule), repr(fact.end), _encode(fact))
    return result


def set_timer(result: Operations, schedule: str, due: float) -> None:
    """Set the next check of a schedule (Unix seconds)."""
    result.do("ZADD", keys.TIMERS, ceil(due * 1000), f"shifts:{schedule}")


async def schedule_check(wire: Wire, schedules: Sequence[str], due: float) -> None:
    """Set the next check of schedules (Unix seconds), unless an earlier one is set.

    Raises StoreUnavailable.
    """
    if schedules:
        words = [word for name in schedules for word in (ceil(due * 1000), f"shifts:{name}")]
        await wire.call("ZADD", keys.TIMERS, "LT", *words)


def delete_timer(result: Operations, schedule: str) -> None:
    result.do("ZREM", keys.TIMERS, f"shifts:{schedule}")


async def load_facts(wire: Wire, schedule: str, start: float, end: float) -> list[RecordedShift]:
    """Shifts that overlap a period (Unix seconds), in order, whole. Raises StoreUnavailable."""
    found = await wire.call("ZRANGE", keys.facts(schedule), f"({start!r}", "+inf", "BYSCORE")
    return [fact for data in found if (fact := _fact(data)).start < end]


async def trim_facts(wire: Wire, before: float) -> int:
    """Delete shifts that ended before a time (Unix seconds); return how many.

    A schedule that has left the file goes with its last shift. Raises StoreUnavailable.
    """
    deleted = 0
    for name in [name.decode() for name in await wire.call("SMEMBERS", keys.SHIFTS)]:
        deleted += await wire.call("ZREMRANGEBYSCORE", keys.facts(name), "-inf", f"({before!r}")
        progress = await load_progress(wire, name)
        if progress.over and not progress.last:
            operations = Operations()
            # it may come back into the file, and be recorded anew, at this very moment
            operations.guard(keys.shifts(name), "v", str(progress.version))
            operations.do("DEL", keys.shifts(name))
            operations.do("SREM", keys.SHIFTS, name)
            await commit(wire, operations)
    return deleted


def _continues(one: RecordedShift, other: RecordedShift) -> bool:
    """Decide whether a shift goes on where one ends, with the same people for the same reason."""
    return (
        one.end == other.start
        and msgspec.structs.replace(one, start=other.start, end=other.end) == other
    )
