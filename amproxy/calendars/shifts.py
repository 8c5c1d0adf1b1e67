"""The shifts that our own calendars show, each from its true beginning to its true end."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from amproxy.context import Context
from amproxy.oncall.roster import Shift
from amproxy.shifts import final
from amproxy.shifts.final import FinalShift

_FURTHER = (timedelta(days=8), timedelta(days=64), timedelta(days=400))  # how far a shift at the edge is followed


class ShiftsOf(Protocol):
    async def __call__(self, schedule: str, start: datetime, end: datetime) -> list[Shift]:
        """As Roster.shifts."""


def final_shifts(context: Context) -> ShiftsOf:
    """Where the shifts of all calendars of ours come from."""

    async def shifts(schedule: str, start: datetime, end: datetime) -> list[Shift]:
        await asyncio.sleep(0)  # it may take milliseconds, and a push that came in meanwhile goes first
        return [_plain(one) for one in await final.final_shifts(context, schedule, start, end)]

    return shifts


def _plain(one: FinalShift) -> Shift:
    users = tuple(person.user for person in one.people)
    return Shift(start=one.start, end=one.end, users=users, reason=one.reason, layer=one.layer, override=one.override)


async def whole_shifts(shifts: ShiftsOf, schedule: str, start: datetime, end: datetime) -> list[Shift]:
    """All shifts with people that touch the time from `start` to `end`, not cut off at these.

    One that goes on for more than a year before or after is cut off where this search ends.
    """
    found = await shifts(schedule, start, end)
    if found:
        first, last = found[0], found[-1]
        found[0] = msgspec.structs.replace(found[0], start=await _beginning(shifts, schedule, first))
        found[-1] = msgspec.structs.replace(found[-1], end=await _ending(shifts, schedule, last))
    return [shift for shift in found if shift.users]


async def _beginning(shifts: ShiftsOf, schedule: str, cut: Shift) -> datetime:
    for further in _FURTHER:
        begins = (await shifts(schedule, cut.start - further, cut.end))[-1].start
        if begins > cut.start - further:
            break
    return begins


async def _ending(shifts: ShiftsOf, schedule: str, cut: Shift) -> datetime:
    for further in _FURTHER:
        ends = (await shifts(schedule, cut.start, cut.end + further))[0].end
        if ends < cut.end + further:
            break
    return ends
