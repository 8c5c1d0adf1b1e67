"""Covers, which put people on call at a time: the layers of a schedule and its overrides.

A cover answers with an Assignment: who, why, and until when that is valid. A layer with a rotation
counts turns on the wall clock of the schedule's zone, or days on which the layer is active.
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

from msgspec.structs import replace

from amproxy.config.structs import Absence, Layer, Override, Rotation, User
from amproxy.labels.intervals import TimeInterval
from amproxy.oncall.piecewise import Piecewise, cached_interval
from amproxy.text import PeopleNames, Phrase, phrase
from amproxy.times import EARLIEST, LATEST, local_to_utc, utc_to_wall, wall_to_utc

_NEVER = LATEST.replace(tzinfo=None)
_DAY_SECONDS = 86400  # of the wall clock
_BLOCK_DAYS = 128  # days that are searched at a time
# Days after the start of a rotation, a hundred years: from then on the last turn goes on, so that
# no search takes long.
_MAX_DAYS = 36525

# User → periods of absence with their reasons; people without any are not in it.
AbsencesByUser = Mapping[str, Piecewise[str]]


class Assignment(NamedTuple):
    """The answer of a cover for one time. All times are in UTC."""

    end: datetime  # exclusive: the answer is valid until then; always after the time it is for
    users: tuple[str, ...]  # () = the covers below count
    reason: Phrase | None = None  # without users: why an active layer has nobody; None = not active
    layer: str = ""
    override: str = ""  # id of an override by hand
    nobody: bool = False  # without users: nobody on purpose, whatever the covers below say


class Cover(Protocol):
    def assignment_at(self, at: datetime) -> Assignment:
        """The answer for a time in UTC."""

    def people(self) -> Collection[str]:
        """Whoever it may ever put on call, in no order."""


class RotatingLayer:
    """A layer of the file: people in turns, at the times at which the layer is active."""

    def __init__(
        self,
        layer: Layer,
        zone: ZoneInfo,
        intervals: Mapping[str, TimeInterval],
        absences: AbsencesByUser,
    ) -> None:
        # Without a rotation everybody is on call all the time: one turn.
        turns = (
            layer.users
            if layer.rotation
            else (tuple(name for turn in layer.users for name in turn),)
        )
        self._turns = tuple(tuple(dict.fromkeys(turn)) for turn in turns if turn)
        self._name, self._absences = layer.name, absences
        self._reason = phrase("on_call.layer", layer=layer.name)
        self._all_absent = phrase("on_call.layer_absent", layer=layer.name)
        active = tuple(intervals[name] for name in layer.active_time_intervals)
        mute = tuple(intervals[name] for name in layer.mute_time_intervals)
        self._active = [cached_interval(interval) for interval in active]
        self._mute = [cached_interval(interval) for interval in mute]
        # The last answer of _turn_at and the time it was for: look-ups come in order of time.
        self._last_turn = EARLIEST, -1, EARLIEST
        self._turn_at: Callable[[datetime], tuple[int, datetime]] | None = None
        if layer.rotation and layer.rotation.active_days:
            self._turn_at = active_days(layer.rotation, zone, active, mute).turn_at
        elif layer.rotation:
            self._turn_at = partial(turn_at, layer.rotation, zone)

    def assignment_at(self, at: datetime) -> Assignment:
        active, end = self._is_active(at)
        if not active:
            return Assignment(end, ())
        number, handoff = self._turn(at)
        if number < 0:
            return Assignment(handoff, ())
        users, absent, until = self._substitute(number, at)
        reason = self._reason if users else self._all_absent
        if users and absent:
            reason = without_absent(reason, absent)
        return Assignment(min(end, handoff, until), users, reason, self._name)

    def people(self) -> Collection[str]:
        return {name for turn in self._turns for name in turn}

    def _is_active(self, at: datetime) -> tuple[bool, datetime]:
        """True if the layer's time intervals let it be active, and until when that is known."""
        active = [interval.at(at) for interval in self._active]
        mute = [interval.at(at) for interval in self._mute]
        is_open = not active or any(holds for holds, _ in active)
        is_muted = any(holds for holds, _ in mute)
        return is_open and not is_muted, min((end for _, end in (*active, *mute)), default=LATEST)

    def _turn(self, at: datetime) -> tuple[int, datetime]:
        """The number of the turn and when it ends; -1 where there is none."""
        if not self._turns:
            return -1, LATEST
        if self._turn_at is None:
            return 0, LATEST
        since, number, end = self._last_turn
        if not since <= at < end:
            number, end = self._turn_at(at)
            self._last_turn = at, number, end
        # A single turn follows itself: its handoffs change nothing.
        return number, LATEST if number >= 0 and len(self._turns) == 1 else end

    def _substitute(self, number: int, at: datetime) -> tuple[tuple[str, ...], list[str], datetime]:
        """The first turn from `number` on in which somebody is present.

        Returns its people, who is absent, and until when the answer is valid.
        """
        absent: dict[str, None] = {}
        until = LATEST
        for candidate in range(number, number + len(self._turns)):
            turn = self._turns[candidate % len(self._turns)]
            for name in turn:
                if name in self._absences:
                    reason, edge = self._absences[name].at(at)
                    until = min(until, edge)
                    if reason is not None:
                        absent[name] = None
            if users := tuple(name for name in turn if name not in absent):
                return users, list(absent), until
        return (), list(absent), until


class Overrides:
    """Overrides of the file, or those by hand; the last of the list wins.

    They count whether or not a layer is active, and put people on call even if absent. People who
    are not in the file are left out; an override without anybody else has no effect. One that names
    nobody leaves its time without anybody, whoever stands below.
    """

    def __init__(
        self,
        overrides: Sequence[Override],
        zone: ZoneInfo,
        users: Mapping[str, User],
        *,
        by_hand: bool = False,
    ) -> None:
        self._people = {name for override in overrides for name in override.users if name in users}
        self._steps = Piecewise(
            (
                local_to_utc(override.start, zone),
                local_to_utc(override.end, zone),
                Assignment(
                    LATEST,
                    known,
                    override_reason(override, by_hand=by_hand),
                    override=override.id,
                    nobody=not override.users,
                ),
            )
            for override in overrides
            if (known := tuple(name for name in dict.fromkeys(override.users) if name in users))
            or not override.users
        )

    def assignment_at(self, at: datetime) -> Assignment:
        found, end = self._steps.at(at)
        return found._replace(end=end) if found else Assignment(end, ())

    def people(self) -> Collection[str]:
        return self._people


def override_reason(override: Override, *, by_hand: bool) -> Phrase:
    """The reason of those whom an override puts on call."""
    text = override.reason
    if by_hand:
        return phrase("on_call.by_hand_for", text=text) if text else phrase("on_call.by_hand")
    return phrase("on_call.override_for", text=text) if text else phrase("on_call.override")


def without_absent(reason: Phrase, absent: Sequence[str]) -> Phrase:
    """A reason, with the people who would be on call too if they were not absent."""
    return phrase("on_call.without", reason=reason, people=PeopleNames(tuple(absent)))


def absences_by_user(
    users: Mapping[str, User], by_hand: Mapping[str, Sequence[Absence]]
) -> AbsencesByUser:
    """The absences of these people, by the file or by hand."""
    return {
        name: Piecewise(
            (local_to_utc(a.start, zone), local_to_utc(a.end, zone), a.reason) for a in found
        )
        for name, user in users.items()
        if (found := (*user.absences, *by_hand.get(name, ()))) and (zone := ZoneInfo(user.timezone))
    }


def turn_at(rotation: Rotation, zone: ZoneInfo, at: datetime) -> tuple[int, datetime]:
    """The turn at a time (UTC): its number, from 0, and the time (UTC) at which it ends.

    Before the rotation's start the number is -1, and the end is the start. A handoff at 09:00
    stays at 09:00 over clock changes. Each turn begins once, at the time that `wall_to_utc`
    returns: turns that begin within a skipped hour all begin at the jump, so that only the last of
    them takes place; a repeated hour has handoffs in its first pass only.
    """
    number = max(-1, _turn_number(rotation, utc_to_wall(at, zone)))
    return number, wall_to_utc(handoff_time(rotation, number + 1), zone)


def handoff_time(rotation: Rotation, number: int) -> datetime:
    """The wall-clock time (naive) at which turn `number` begins; the year 9998 if beyond that."""
    if not rotation.months:
        try:
            return rotation.start + timedelta(seconds=rotation.seconds * number)
        except OverflowError:
            return _NEVER
    months = rotation.start.year * 12 + rotation.start.month - 1 + rotation.months * number
    year, month = months // 12, months % 12 + 1
    if year > _NEVER.year:
        return _NEVER
    # Always from the start's day, so that a turn from the 31st returns to it after a short month.
    day = min(rotation.start.day, monthrange(year, month)[1])
    return rotation.start.replace(year=year, month=month, day=day)


def _turn_number(rotation: Rotation, wall: datetime) -> int:
    """The last turn that has begun at a wall-clock time; negative before the start."""
    start = rotation.start
    if not rotation.months:
        return (wall - start) // timedelta(seconds=rotation.seconds)
    number = ((wall.year - start.year) * 12 + wall.month - start.month) // rotation.months
    # The month of a handoff may have come and its day not yet.
    return number if number < 0 or handoff_time(rotation, number) <= wall else number - 1


class ActiveDays:
    """The active days of one rotation with `advance: active_days`, found as far as needed so far.

    A day runs from handoff to handoff, at the time of day of the rotation's start; it is active if
    the layer is active at any time of it. Turns count active days alone: with weekdays and
    `every: 1d` the person of Friday is followed by the next one on Monday. Other days belong to
    the turn before them, which has no effect, because the layer is not active then.

    Over a clock change a day has 23 or 25 hours, with handoffs as in `turn_at`. An interval within
    a skipped hour does not make its day active, nor is a day active that is skipped as a whole. A
    repeated hour makes no day count twice.
    """

    def __init__(
        self,
        rotation: Rotation,
        zone: ZoneInfo,
        active: Sequence[TimeInterval],
        mute: Sequence[TimeInterval],
    ) -> None:
        self._daily = replace(rotation, seconds=_DAY_SECONDS)
        self._zone, self._active, self._mute = zone, active, mute
        self._days_per_turn = rotation.seconds // _DAY_SECONDS
        self._found: list[int] = []  # numbers of active days; the day of the rotation's start is 0
        self._searched = 0  # days before this number are searched

    def turn_at(self, at: datetime) -> tuple[int, datetime]:
        """The turn at a time (UTC): its number, from 0, and its end (UTC) or a time before that.

        Before the first active day the number is -1.
        """
        today, _ = turn_at(self._daily, self._zone, at)
        while self._searched <= min(today, _MAX_DAYS):
            self._extend()
        number = (bisect_right(self._found, today) - 1) // self._days_per_turn
        next_turn = (number + 1) * self._days_per_turn  # index of its first day
        if next_turn >= len(self._found) and self._searched <= min(today + _BLOCK_DAYS, _MAX_DAYS):
            self._extend()
        if next_turn < len(self._found):
            return number, self._begin(self._found[next_turn])
        return number, self._begin(self._searched) if self._searched <= _MAX_DAYS else LATEST

    def _extend(self) -> None:
        """Search the next days."""
        days = range(self._searched, self._searched + _BLOCK_DAYS + 1)
        begins = [self._begin(day) for day in days]
        intervals = (*self._active, *self._mute)
        edges = list(merge(*(one.edges(begins[0], begins[-1]) for one in intervals)))
        for day, (begin, end) in enumerate(pairwise(begins), self._searched):
            # Activity changes at edges only, so that the beginning and the edges stand for the day.
            inside = edges[bisect_right(edges, begin) : bisect_left(edges, end)]
            if begin < end and any(self._is_active(at) for at in (begin, *inside)):
                self._found.append(day)
        self._searched += _BLOCK_DAYS

    def _begin(self, day: int) -> datetime:
        return wall_to_utc(handoff_time(self._daily, day), self._zone)

    def _is_active(self, at: datetime) -> bool:
        is_open = not self._active or any(interval.holds(at) for interval in self._active)
        return is_open and not any(interval.holds(at) for interval in self._mute)


@lru_cache(maxsize=256)
def active_days(
    rotation: Rotation,
    zone: ZoneInfo,
    active: tuple[TimeInterval, ...],
    mute: tuple[TimeInterval, ...],
) -> ActiveDays:
    """Return the same object for equal layers, so that a reloaded file does not begin anew."""
    return ActiveDays(rotation, zone, active, mute)
