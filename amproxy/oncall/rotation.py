"""Turns on the wall clock: which turn of a rotation a moment belongs to, and when that turn ends.

Turns are counted from the rotation's start on the wall clock of the schedule's zone, so a handoff at 09:00 stays at 09:00
over clock changes. Each turn begins once, where zones.moment says that its wall-clock time happens. For turns shorter than
a clock change this means: turns that begin within a skipped hour all begin at the jump, so only the last of them takes
place; a repeated hour hands off in its first pass only, and the turn that was reached there goes on through the second.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from amproxy.config.structs import Rotation
from amproxy.zones import LATEST, moment, reached

_NEVER = LATEST.replace(tzinfo=None)


def turn_at(rotation: Rotation, zone: ZoneInfo, at: datetime) -> tuple[int, datetime]:
    """The turn at a moment (UTC): its number, from 0, and the moment (UTC) at which it ends.

    Before the rotation's start the number is -1, and the end is the start.
    """
    number = max(-1, _number(rotation, reached(at, zone)))
    return number, moment(handoff(rotation, number + 1), zone)


def handoff(rotation: Rotation, number: int) -> datetime:
    """The wall-clock time (naive) at which turn `number` begins; the year 9998 where it lies beyond that."""
    if not rotation.months:
        try:
            return rotation.start + timedelta(seconds=rotation.seconds * number)
        except OverflowError:
            return _NEVER
    year, month = divmod(rotation.start.year * 12 + rotation.start.month - 1 + rotation.months * number, 12)
    if year > _NEVER.year:
        return _NEVER
    # Always from the start's day, so that a turn from the 31st comes back to it after a shorter month.
    return rotation.start.replace(year=year, month=month + 1, day=min(rotation.start.day, monthrange(year, month + 1)[1]))


def _number(rotation: Rotation, wall: datetime) -> int:
    """The last turn that has begun at a wall-clock time; negative before the start."""
    start = rotation.start
    if not rotation.months:
        return (wall - start) // timedelta(seconds=rotation.seconds)
    number = ((wall.year - start.year) * 12 + wall.month - start.month) // rotation.months
    # The month of a handoff may be reached and its day not yet.
    return number if number < 0 or handoff(rotation, number) <= wall else number - 1
