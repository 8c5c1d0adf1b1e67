"""Who is on call: the look-ups that escalation, pages and the API share. Pure: every moment is an argument."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

import msgspec

from amproxy.config.structs import Config, Override
from amproxy.decide.calendar import NOT_LOADED, Calendars, CalendarShift
from amproxy.decide.calendar_cover import CalendarCover
from amproxy.decide.cover import Absences, LayerCover, Overrides, Turns, absences
from amproxy.decide.schedule import Timeline
from amproxy.decide.zones import instant

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
    """All schedules of a configuration, with the overrides made by hand and what calendars say.

    A roster is a value: when the configuration, the overrides or the calendars change, make a new one. Moments that go in
    may be in any zone but must have one (ValueError); those that come out are in UTC.
    """

    def __init__(
        self,
        config: Config,
        overrides: Mapping[str, Sequence[Override]] | None = None,
        *,
        calendars: Mapping[str, Calendars] | None = None,
    ) -> None:
        """overrides, calendars: schedule → its own; a schedule with `ical` and no calendars here has none that is loaded."""
        self.config = config
        self.overrides = overrides or {}
        self.calendars = calendars or {}
        self._timelines: dict[str, Timeline] = {}

    def on_call(self, schedule: str, at: datetime) -> OnCall:
        """Who is on call at `at`, and what changes next. Raises KeyError for an unknown schedule."""
        start = instant(at)
        pieces = self._timeline(schedule).pieces(start, start + HORIZON)
        now = next(pieces).stretch
        for piece in pieces:
            if set(piece.stretch.users) != set(now.users):
                until, users = piece.start, piece.stretch.users
                break
        else:
            until, users = None, ()
        return OnCall(schedule=schedule, at=at, users=now.users, until=until, next=users, reason=now.reason)

    def turn_after(self, schedule: str, at: datetime) -> OnCall:
        """`position: next`: the people of the turn that follows, in its order, the turn that is on call at `at`.

        Under an override that is the turn of the layer beneath it. `until` and `next` are those of `on_call`.
        Raises KeyError for an unknown schedule.
        """
        following = self._timeline(schedule).turn_after(instant(at))
        return msgspec.structs.replace(self.on_call(schedule, at), users=following.users, reason=following.reason)

    def shifts(self, schedule: str, start: datetime, end: datetime) -> list[Shift]:
        """What is final between two moments: no overlaps, in order, gaps included (users = ()), ends clipped.

        Raises KeyError for an unknown schedule.
        """
        merged: list[Shift] = []
        for begin, until, (_, users, reason, layer, override) in self._timeline(schedule).pieces(instant(start), instant(end)):
            shift = Shift(start=begin, end=until, users=users, reason=reason, layer=layer, override=override)
            if merged and msgspec.structs.replace(merged[-1], start=begin, end=until) == shift:
                merged[-1] = msgspec.structs.replace(merged[-1], end=until)
            else:
                merged.append(shift)
        return merged

    def uncovered(self, schedule: str, start: datetime, end: datetime) -> float:
        """Seconds without anybody on call between two moments. Raises KeyError for an unknown schedule."""
        pieces = self._timeline(schedule).pieces(instant(start), instant(end))
        return sum((piece.end - piece.start).total_seconds() for piece in pieces if not piece.stretch.users)

    def empty_shifts(self, schedule: str, start: datetime, end: datetime) -> list[CalendarShift]:
        """Events of the schedule's calendars between two moments that name nobody who is known: they put nobody on call.

        In the order in which they begin, their own times. Raises KeyError for an unknown schedule.
        """
        first, last = instant(start), instant(end)
        if self.config.schedules[schedule].ical is None or schedule not in self.calendars:
            return []
        shifts = self.calendars[schedule].told(self.config.users).shifts
        return sorted((s for s in shifts if not s.users and s.start < last and first < s.end), key=lambda shift: shift.start)

    def absent(self, user: str, at: datetime) -> bool:
        """Whether the file says that a person is absent; False for someone whom it does not know."""
        away = self._absences.get(user)
        return away is not None and away.at(instant(at))[0] is not None

    def known(self, intervals: Sequence[str]) -> list[str]:
        """Those that are in the file. A running plan, or a stored group, may name one that is gone: it restricts nothing any more."""
        return [name for name in intervals if name in self.config.time_intervals]

    def holds(self, interval: str, at: datetime) -> bool:
        """Whether a time interval of the configuration holds. Raises KeyError for an unknown one."""
        return self.config.time_intervals[interval].holds(instant(at))

    def opens(self, interval: str, at: datetime) -> datetime | None:
        """The first moment at or after `at` at which a time interval holds; None = never within four years.

        Raises KeyError for an unknown one.
        """
        return self.config.time_intervals[interval].opens(instant(at))

    @cached_property
    def _absences(self) -> Absences:
        return absences(self.config.users)

    def _timeline(self, name: str) -> Timeline:
        if name not in self._timelines:
            schedule, config = self.config.schedules[name], self.config
            zone = ZoneInfo(schedule.timezone)
            layers: list[LayerCover] = [Turns(layer, zone, config.time_intervals, self._absences) for layer in schedule.layers]
            nobody = "no layer is active"
            if schedule.ical and name in self.calendars:
                layers, nobody = [CalendarCover(self.calendars[name], config.users, self._absences)], "no event in the calendar"
            elif schedule.ical:
                nobody = NOT_LOADED
            overrides = Overrides(schedule.overrides, self.overrides.get(name, ()), zone, config.users)
            self._timelines[name] = Timeline(layers, overrides, nobody)
        return self._timelines[name]
