"""Turns on the wall clock: which turn of a rotation a moment belongs to, and when that turn ends.

Turns are counted from the rotation's start on the wall clock of the schedule's zone, so a handoff at 09:00 stays at 09:00
over clock changes. Each turn begins once, where zones.moment says that its wall-clock time happens. For turns shorter than
a clock change this means: turns that begin within a skipped hour all begin at the jump, so only the last of them takes
place; a repeated hour hands off in its first pass only, and the turn that was reached there goes on through the second.

Turns that are counted over active days: a rotation with `advance: active_days`.

A day runs from handoff to handoff, at the time of day of the rotation's start, on the wall clock of the schedule's zone. It is
an active day if the layer's time intervals let the layer be active at some moment of it. Turns take their days from the active
ones alone, so with weekdays and `every: 1d` the person of Friday is followed on Monday by the next in order.

What may put people on call: the layers of a schedule, and its overrides; its calendars are in calendar_cover.

Each kind answers for one moment with a stretch: who, why, and how far ahead that answer is good.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from calendar import monthrange
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache, partial
from heapq import merge
from itertools import pairwise
from typing import NamedTuple, Protocol
from zoneinfo import ZoneInfo

import msgspec

from amproxy.config.structs import Absence, Layer, Override, Rotation, User
from amproxy.labels.intervals import TimeInterval
from amproxy.oncall.piecewise import Piecewise, cached_interval
from amproxy.times import EARLIEST, LATEST, local_to_utc, utc_to_wall, wall_to_utc

_NEVER = LATEST.replace(tzinfo=None)


def turn_at(rotation: Rotation, zone: ZoneInfo, at: datetime) -> tuple[int, datetime]:
    """The turn at a moment (UTC): its number, from 0, and the moment (UTC) at which it ends.

    Before the rotation's start the number is -1, and the end is the start.
    """
    number = max(-1, _turn_number(rotation, utc_to_wall(at, zone)))
    return number, wall_to_utc(handoff_time(rotation, number + 1), zone)


def handoff_time(rotation: Rotation, number: int) -> datetime:
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


def _turn_number(rotation: Rotation, wall: datetime) -> int:
    """The last turn that has begun at a wall-clock time; negative before the start."""
    start = rotation.start
    if not rotation.months:
        return (wall - start) // timedelta(seconds=rotation.seconds)
    number = ((wall.year - start.year) * 12 + wall.month - start.month) // rotation.months
    # The month of a handoff may be reached and its day not yet.
    return number if number < 0 or handoff_time(rotation, number) <= wall else number - 1


_DAY_SECONDS = 86400  # seconds, of the wall clock
_BLOCK_DAYS = 128  # days that are looked at together
_MAX_DAYS = 36525  # days: a hundred years after the start the last turn stays, so that no question takes long


class ActiveDays:
    """The active days of one rotation, remembered from its start on as far as anybody asked.

    Days without activity belong to the turn that went before: nobody is asked for then, because the layer is not active. Over a
    clock change a day has 23 or 25 hours, as handoffs have it everywhere: one in a skipped hour happens at the jump, one in a
    repeated hour at its first pass. An interval that lies within a skipped hour does not hold on that day, and a day that is
    skipped as a whole has no moment; neither counts. A repeated hour makes no day count twice.
    """

    def __init__(self, rotation: Rotation, zone: ZoneInfo, active: Sequence[TimeInterval], mute: Sequence[TimeInterval]) -> None:
        self._daily, self._zone, self._active, self._mute = msgspec.structs.replace(rotation, seconds=_DAY_SECONDS), zone, active, mute
        self._each = rotation.seconds // _DAY_SECONDS  # days of a turn
        self._found: list[int] = []  # numbers of the active days, in order; the day of the rotation's start is 0
        self._looked = 0  # days before this number were looked at

    def turn_at(self, at: datetime) -> tuple[int, datetime]:
        """The turn at a moment (UTC): its number, from 0, and the moment (UTC) up to which this is good; that is its end, or before.

        Before the first active day the number is -1.
        """
        today, _ = turn_at(self._daily, self._zone, at)
        while self._looked <= min(today, _MAX_DAYS):
            self._look()
        number = (bisect_right(self._found, today) - 1) // self._each
        following = (number + 1) * self._each  # which of the active days begins the next turn
        if following >= len(self._found) and self._looked <= min(today + _BLOCK_DAYS, _MAX_DAYS):
            self._look()
        if following < len(self._found):
            return number, self._begin(self._found[following])
        return number, self._begin(self._looked) if self._looked <= _MAX_DAYS else LATEST

    def _look(self) -> None:
        """Look at the next days."""
        begins = [self._begin(day) for day in range(self._looked, self._looked + _BLOCK_DAYS + 1)]
        edges = list(merge(*(interval.edges(begins[0], begins[-1]) for interval in (*self._active, *self._mute))))
        for day, (begin, end) in enumerate(pairwise(begins), self._looked):
            inside = edges[bisect_right(edges, begin) : bisect_left(edges, end)]
            if begin < end and any(self._is_open(at) for at in (begin, *inside)):
                self._found.append(day)
        self._looked += _BLOCK_DAYS

    def _begin(self, day: int) -> datetime:
        return wall_to_utc(handoff_time(self._daily, day), self._zone)

    def _is_open(self, at: datetime) -> bool:
        return (not self._active or any(interval.holds(at) for interval in self._active)) and not any(i.holds(at) for i in self._mute)


@lru_cache(maxsize=256)
def active_days(rotation: Rotation, zone: ZoneInfo, active: tuple[TimeInterval, ...], mute: tuple[TimeInterval, ...]) -> ActiveDays:
    """The same memory for equal layers, so that a new roster or a reloaded file does not begin anew."""
    return ActiveDays(rotation, zone, active, mute)


AbsencesByUser = Mapping[str, Piecewise[str]]  # user → when absent, with the reason; people without absences are not in it


class Assignment(NamedTuple):
    """One answer. All moments are in UTC; `end` is exclusive and after the moment asked for: up to it the answer is good."""

    end: datetime
    users: tuple[str, ...]  # () = what is below shows through
    reason: str = ""  # without users: why a layer that is active has nobody; "" = it is not active
    layer: str = ""
    override: str = ""  # id of an override by hand


class Cover(Protocol):
    def stretch(self, at: datetime) -> Assignment:
        """The answer for a moment in UTC."""


class LayerCover(Cover, Protocol):
    def following(self, at: datetime, besides: Collection[str] = ()) -> tuple[str, ...]:
        """The people of the turn after the one that is on call at a moment (UTC); () = the layer has nobody then.

        besides: of the turns that follow, the first that has somebody else than these; where none has, the very next.
        """


class RotatingLayer:
    """A layer of the file: people in turns, at the times at which the layer is active."""

    def __init__(self, layer: Layer, zone: ZoneInfo, intervals: Mapping[str, TimeInterval], absences: AbsencesByUser) -> None:
        turns = layer.users if layer.rotation else (tuple(name for turn in layer.users for name in turn),)
        self._turns = tuple(tuple(dict.fromkeys(turn)) for turn in turns if turn)
        self._name, self._absences = layer.name, absences
        active = tuple(intervals[name] for name in layer.active_time_intervals)
        mute = tuple(intervals[name] for name in layer.mute_time_intervals)
        self._active, self._mute = [cached_interval(interval) for interval in active], [cached_interval(interval) for interval in mute]
        self._held = EARLIEST, -1, EARLIEST  # the last answer of _turn_at, and since when it is good: one question follows another
        self._turn_at: Callable[[datetime], tuple[int, datetime]] | None = None
        if layer.rotation and layer.rotation.active_days:
            self._turn_at = active_days(layer.rotation, zone, active, mute).turn_at
        elif layer.rotation:
            self._turn_at = partial(turn_at, layer.rotation, zone)

    def stretch(self, at: datetime) -> Assignment:
        active, end = self._window(at)
        if not active:
            return Assignment(end, ())
        number, handoff = self._turn(at)
        if number < 0:
            return Assignment(handoff, ())
        users, _, absent, until = self._stand_in(number, at)
        reason = f"layer {self._name}" if users else f"everyone in layer {self._name} is absent"
        if users and absent:
            reason += f", {', '.join(absent)} absent"
        return Assignment(min(end, handoff, until), users, reason, self._name)

    def following(self, at: datetime, besides: Collection[str] = ()) -> tuple[str, ...]:
        number, _ = self._turn(at)
        if number < 0 or not self._window(at)[0]:
            return ()
        _, on_call, _, _ = self._stand_in(number, at)
        turns = [self._stand_in(on_call + nth, at)[0] for nth in range(1, len(self._turns) + 1 if besides else 2)]
        return next((turn for turn in turns if not set(turn).issubset(besides)), turns[0])

    def _window(self, at: datetime) -> tuple[bool, datetime]:
        """Whether the layer's time intervals let it be active, and up to when that is known."""
        active, mute = [spell.at(at) for spell in self._active], [spell.at(at) for spell in self._mute]
        is_open = (not active or any(holds for holds, _ in active)) and not any(holds for holds, _ in mute)
        return is_open, min((end for _, end in (*active, *mute)), default=LATEST)

    def _turn(self, at: datetime) -> tuple[int, datetime]:
        """The number of the turn and when it ends; -1 where there is none."""
        if not self._turns:
            return -1, LATEST
        if self._turn_at is None:
            return 0, LATEST
        since, number, end = self._held
        if not since <= at < end:
            number, end = self._turn_at(at)
            self._held = at, number, end
        # One turn follows itself: its handoffs change nothing.
        return number, LATEST if number >= 0 and len(self._turns) == 1 else end

    def _stand_in(self, number: int, at: datetime) -> tuple[tuple[str, ...], int, list[str], datetime]:
        """The first turn from `number` on with someone present: its people and number, who is absent, up to when that is known."""
        absent: dict[str, None] = {}
        until = LATEST
        for standing in range(number, number + len(self._turns)):
            turn = self._turns[standing % len(self._turns)]
            for name in turn:
                if name in self._absences:
                    away, edge = self._absences[name].at(at)
                    until = min(until, edge)
                    if away is not None:
                        absent[name] = None
            if users := tuple(name for name in turn if name not in absent):
                return users, standing, list(absent), until
        return (), number, list(absent), until


class Overrides:
    """Overrides of the file, or those by hand: they hold whether or not a layer is active, and name people even if those are absent.

    The later in the list wins. People whom the configuration does not know are left out, and an override without anybody
    else is as if it were not there.
    """

    def __init__(self, overrides: Sequence[Override], zone: ZoneInfo, users: Mapping[str, User], text: str = "override") -> None:
        """`text`: what the reason calls them."""
        self._steps = Piecewise(
            (
                local_to_utc(override.start, zone),
                local_to_utc(override.end, zone),
                Assignment(LATEST, known, _reason_text(text, override.reason), "", override.id),
            )
            for override in overrides
            if (known := tuple(name for name in dict.fromkeys(override.users) if name in users))
        )

    def stretch(self, at: datetime) -> Assignment:
        held, end = self._steps.at(at)
        return held._replace(end=end) if held else Assignment(end, ())


def absences_by_user(users: Mapping[str, User], by_hand: Mapping[str, Sequence[Absence]]) -> AbsencesByUser:
    """When each of these people is absent, by the file or by hand; those who never are do not appear."""
    return {
        name: Piecewise((local_to_utc(a.start, zone), local_to_utc(a.end, zone), a.reason) for a in found)
        for name, user in users.items()
        if (found := (*user.absences, *by_hand.get(name, ()))) and (zone := ZoneInfo(user.timezone))
    }


def _reason_text(text: str, reason: str) -> str:
    return f"{text}: {reason}" if reason else text
