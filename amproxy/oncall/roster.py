"""One schedule: layers and overrides laid over each other, at a moment and between moments. Moments in and out are in UTC.

Who is on call: the look-ups that escalation, pages and the API share. Pure: every moment is an argument.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from amproxy.clock import utc
from amproxy.config.structs import Absence, Config, Override
from amproxy.model import Swap
from amproxy.oncall import reachable
from amproxy.oncall.calendars import NOT_LOADED, CalendarCover, CalendarShift, ScheduleCalendars
from amproxy.oncall.layers import AbsencesByUser, Assignment, Cover, LayerCover, Overrides, RotatingLayer, absences_by_user
from amproxy.oncall.swaps import AcceptedSwaps, SwappedCover, SwappedLayer
from amproxy.times import to_utc


class TimelinePeriod(NamedTuple):
    """From `start` to `end` (exclusive) nothing changes. Neighbours may say the same."""

    start: datetime
    end: datetime
    stretch: Assignment


class ScheduleTimeline:
    """Layers from the lowest to the highest, and the overrides above them, from the highest to the lowest."""

    def __init__(self, layers: Sequence[LayerCover], overrides: Sequence[Cover], nobody: str = "no layer is active") -> None:
        """`nobody`: what to say where no layer is active."""
        self._layers, self._nobody = layers, nobody
        self.covers: Sequence[Cover] = [*overrides, *reversed(layers)]  # from the highest to the lowest

    def pieces(self, start: datetime, end: datetime) -> Iterator[TimelinePeriod]:
        """What holds from `start` to `end`, without gap or overlap; every change of who and why is an edge."""
        held: list[Assignment | None] = [None] * len(self.covers)
        while start < end:
            until, why = end, ""
            for position, cover in enumerate(self.covers):
                stretch = held[position]
                if stretch is None or stretch.end <= start:
                    stretch = held[position] = cover.stretch(start)
                until, why = min(until, stretch.end), why or stretch.reason
                if stretch.users:
                    break
            else:
                stretch = Assignment(until, (), f"nobody: {why or self._nobody}")
            yield TimelinePeriod(start, until, stretch)
            start = until

    def turn_after(self, at: datetime) -> Assignment:
        """The people of the next turn, in its order, of the layer that is on call, or would be without override."""
        why = ""
        for layer in reversed(self._layers):
            stretch = layer.stretch(at)
            if stretch.users:
                return Assignment(stretch.end, layer.following(at), f"next turn of layer {stretch.layer}", stretch.layer)
            why = why or stretch.reason
        return Assignment(at, (), f"nobody: {why or self._nobody}")


HORIZON = timedelta(days=366)


class OnCall(msgspec.Struct, frozen=True, kw_only=True):
    """Who is on call for one schedule at one moment."""

    schedule: str
    at: datetime
    users: tuple[str, ...]
    until: datetime | None  # the next moment at which `users` changes; None = not within the horizon (a year)
    next: tuple[str, ...]  # who is on call right after `until`
    reason: str  # "layer weekly", "override", "override by hand: swapped", "nobody: no layer is active"


class Shift(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of time with the same people for the same reason."""

    start: datetime
    end: datetime  # exclusive
    users: tuple[str, ...]  # () = a gap
    reason: str
    layer: str = ""
    override: str = ""  # id of the override by hand


class Roster:
    """All schedules of a configuration, with the overrides, absences and swaps made by hand, and what calendars say.

    A roster is a value: when one of them changes, make a new one. Moments that go in may be in any zone but must have one
    (ValueError); those that come out are in UTC.
    """

    def __init__(
        self,
        config: Config,
        overrides: Mapping[str, Sequence[Override]] | None = None,
        *,
        absences: Mapping[str, Sequence[Absence]] | None = None,
        swaps: Mapping[str, Sequence[Swap]] | None = None,
        calendars: Mapping[str, ScheduleCalendars] | None = None,
    ) -> None:
        """overrides, swaps: by schedule, overrides in the order in which they were made. absences: by person.

        calendars: by schedule; one with `ical` that is not in it has none that is loaded.
        """
        self.config = config
        self.overrides = overrides or {}
        self.absences = absences or {}
        self.swaps = swaps or {}
        self.calendars = calendars or {}
        self._timelines: dict[str, ScheduleTimeline] = {}
        # Between which moments the same people are on call, as found last: where that is long, the way to its end is not gone again.
        self._steady: dict[str, tuple[datetime, datetime]] = {}

    def on_call(self, schedule: str, at: datetime) -> OnCall:
        """Who is on call at `at`, and what changes next. Raises KeyError for an unknown schedule."""
        start, timeline = to_utc(at), self._timeline(schedule)
        now = next(timeline.pieces(start, start + HORIZON)).stretch
        since, steady = self._steady.get(schedule, (start, start))
        if not since <= start < steady:
            since = steady = start
        for piece in timeline.pieces(steady, start + HORIZON):
            if set(piece.stretch.users) != set(now.users):
                until, users = piece.start, piece.stretch.users
                break
        else:
            until, users = None, ()
        self._steady[schedule] = since, until or start + HORIZON
        return OnCall(schedule=schedule, at=at, users=now.users, until=until, next=users, reason=now.reason)

    def turn_after(self, schedule: str, at: datetime) -> OnCall:
        """`position: next`: the people of the turn that follows, in its order, the turn that is on call at `at`.

        Under an override that is the turn of the layer beneath it. `until` and `next` are those of `on_call`.
        Raises KeyError for an unknown schedule.
        """
        following = self._timeline(schedule).turn_after(to_utc(at))
        return msgspec.structs.replace(self.on_call(schedule, at), users=following.users, reason=following.reason)

    def shifts(self, schedule: str, start: datetime, end: datetime) -> list[Shift]:
        """What is final between two moments: no overlaps, in order, gaps included (users = ()), ends clipped.

        Raises KeyError for an unknown schedule.
        """
        merged: list[Shift] = []
        for begin, until, (_, users, reason, layer, override) in self._timeline(schedule).pieces(to_utc(start), to_utc(end)):
            shift = Shift(start=begin, end=until, users=users, reason=reason, layer=layer, override=override)
            if merged and msgspec.structs.replace(merged[-1], start=begin, end=until) == shift:
                merged[-1] = msgspec.structs.replace(merged[-1], end=until)
            else:
                merged.append(shift)
        return merged

    def uncovered(self, schedule: str, start: datetime, end: datetime) -> float:
        """Seconds without anybody on call between two moments. Raises KeyError for an unknown schedule."""
        pieces = self._timeline(schedule).pieces(to_utc(start), to_utc(end))
        return sum((piece.end - piece.start).total_seconds() for piece in pieces if not piece.stretch.users)

    def covers(self, schedule: str) -> Sequence[Cover]:
        """What may put people on call, from the highest to the lowest. Raises KeyError for an unknown schedule."""
        return self._timeline(schedule).covers

    def empty_shifts(self, schedule: str, start: datetime, end: datetime) -> list[CalendarShift]:
        """Events of the schedule's calendars between two moments that name nobody who is known: they put nobody on call.

        In the order in which they begin, their own times. Raises KeyError for an unknown schedule.
        """
        first, last = to_utc(start), to_utc(end)
        if self.config.schedules[schedule].ical is None or schedule not in self.calendars:
            return []
        shifts = self.calendars[schedule].told(self.config.users).shifts
        return sorted((s for s in shifts if not s.users and s.start < last and first < s.end), key=lambda shift: shift.start)

    def absent(self, user: str, at: datetime) -> bool:
        """Whether a person is absent, by the file or by hand; False for someone whom the file does not know."""
        away = self._absences.get(user)
        return away is not None and away.at(to_utc(at))[0] is not None

    def swapped_shifts(self, swap: Swap) -> list[Shift]:
        """The shifts that a swap is about: those that its `user` has between its start and end, or would have without it.

        Overrides by hand are not among them: those are never swapped. Raises KeyError for an unknown schedule.
        """
        others = [other for other in self.swaps.get(swap.schedule, ()) if not swap.taken_at or (other.taken_at or 0.0) < swap.taken_at]
        before = Roster(self.config, self.overrides, absences=self.absences, swaps={swap.schedule: others}, calendars=self.calendars)
        shifts = before.shifts(swap.schedule, utc(swap.start), utc(swap.end))
        return [shift for shift in shifts if swap.user in shift.users and not shift.override]

    def quiet_until(self, user: str, at: datetime) -> datetime | None:
        """The moment at which a person's quiet hours are over; None = they are not quiet at `at`, or never end, or the file
        does not know the person. See decide.quiet.
        """
        found = self.config.users.get(user)
        return reachable.quiet_until(found, self.config.time_intervals, at) if found else None

    def known(self, intervals: Sequence[str]) -> list[str]:
        """Those that are in the file. A running plan, or a stored group, may name one that is gone: it restricts nothing any more."""
        return [name for name in intervals if name in self.config.time_intervals]

    def holds(self, interval: str, at: datetime) -> bool:
        """Whether a time interval of the configuration holds. Raises KeyError for an unknown one."""
        return self.config.time_intervals[interval].holds(to_utc(at))

    def opens(self, interval: str, at: datetime) -> datetime | None:
        """The first moment at or after `at` at which a time interval holds; None = never within four years.

        Raises KeyError for an unknown one.
        """
        return self.config.time_intervals[interval].opens(to_utc(at))

    @cached_property
    def _absences(self) -> AbsencesByUser:
        return absences_by_user(self.config.users, self.absences)

    def _timeline(self, name: str) -> ScheduleTimeline:
        if name not in self._timelines:
            schedule, config = self.config.schedules[name], self.config
            zone = ZoneInfo(schedule.timezone)
            layers: list[LayerCover] = [RotatingLayer(layer, zone, config.time_intervals, self._absences) for layer in schedule.layers]
            nobody = "no layer is active"
            if schedule.ical and name in self.calendars:
                layers, nobody = [CalendarCover(self.calendars[name], config.users, self._absences)], "no event in the calendar"
            elif schedule.ical:
                nobody = NOT_LOADED
            overrides: Cover = Overrides(schedule.overrides, zone, config.users)
            if swaps := AcceptedSwaps(self.swaps.get(name, ()), config.users):
                layers, overrides = [SwappedLayer(layer, swaps) for layer in layers], SwappedCover(overrides, swaps)
            by_hand = Overrides(self.overrides.get(name, ()), zone, config.users, "override by hand")
            self._timelines[name] = ScheduleTimeline(layers, [by_hand, overrides], nobody)
        return self._timelines[name]
