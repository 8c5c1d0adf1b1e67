"""Turns that are counted over active days: a rotation with `advance: active_days`.

A day runs from handoff to handoff, at the time of day of the rotation's start, on the wall clock of the schedule's zone. It is
an active day if the layer's time intervals let the layer be active at some moment of it. Turns take their days from the active
ones alone, so with weekdays and `every: 1d` the person of Friday is followed on Monday by the next in order.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from heapq import merge
from itertools import pairwise
from zoneinfo import ZoneInfo

import msgspec

from amproxy.config.structs import Rotation
from amproxy.labels.intervals import TimeInterval
from amproxy.oncall.rotation import handoff, turn_at
from amproxy.zones import LATEST, moment

_DAY = 86400  # seconds, of the wall clock
_BLOCK = 128  # days that are looked at together
_MOST = 36525  # days: a hundred years after the start the last turn stays, so that no question takes long


class ActiveDays:
    """The active days of one rotation, remembered from its start on as far as anybody asked.

    Days without activity belong to the turn that went before: nobody is asked for then, because the layer is not active. Over a
    clock change a day has 23 or 25 hours, as handoffs have it everywhere: one in a skipped hour happens at the jump, one in a
    repeated hour at its first pass. An interval that lies within a skipped hour does not hold on that day, and a day that is
    skipped as a whole has no moment; neither counts. A repeated hour makes no day count twice.
    """

    def __init__(self, rotation: Rotation, zone: ZoneInfo, active: Sequence[TimeInterval], mute: Sequence[TimeInterval]) -> None:
        self._daily, self._zone, self._active, self._mute = msgspec.structs.replace(rotation, seconds=_DAY), zone, active, mute
        self._each = rotation.seconds // _DAY  # days of a turn
        self._found: list[int] = []  # numbers of the active days, in order; the day of the rotation's start is 0
        self._looked = 0  # days before this number were looked at

    def turn_at(self, at: datetime) -> tuple[int, datetime]:
        """The turn at a moment (UTC): its number, from 0, and the moment (UTC) up to which this is good; that is its end, or before.

        Before the first active day the number is -1.
        """
        today, _ = turn_at(self._daily, self._zone, at)
        while self._looked <= min(today, _MOST):
            self._look()
        number = (bisect_right(self._found, today) - 1) // self._each
        following = (number + 1) * self._each  # which of the active days begins the next turn
        if following >= len(self._found) and self._looked <= min(today + _BLOCK, _MOST):
            self._look()
        if following < len(self._found):
            return number, self._begin(self._found[following])
        return number, self._begin(self._looked) if self._looked <= _MOST else LATEST

    def _look(self) -> None:
        """Look at the next days."""
        begins = [self._begin(day) for day in range(self._looked, self._looked + _BLOCK + 1)]
        edges = list(merge(*(interval.edges(begins[0], begins[-1]) for interval in (*self._active, *self._mute))))
        for day, (begin, end) in enumerate(pairwise(begins), self._looked):
            inside = edges[bisect_right(edges, begin) : bisect_left(edges, end)]
            if begin < end and any(self._is_open(at) for at in (begin, *inside)):
                self._found.append(day)
        self._looked += _BLOCK

    def _begin(self, day: int) -> datetime:
        return moment(handoff(self._daily, day), self._zone)

    def _is_open(self, at: datetime) -> bool:
        return (not self._active or any(interval.holds(at) for interval in self._active)) and not any(i.holds(at) for i in self._mute)


@lru_cache(maxsize=256)
def active_days(rotation: Rotation, zone: ZoneInfo, active: tuple[TimeInterval, ...], mute: tuple[TimeInterval, ...]) -> ActiveDays:
    """The same memory for equal layers, so that a new roster or a reloaded file does not begin anew."""
    return ActiveDays(rotation, zone, active, mute)
