"""The look-ups of who is on call, which the machine, pages and the API share. Pure: no clock.

A Roster has a ScheduleTimeline for each schedule, which puts layers and overrides together. A
change by hand makes another roster, which takes over the timelines that it leaves as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from itertools import islice
from zoneinfo import ZoneInfo

import msgspec
from msgspec.structs import replace

from amproxy.clock import utc
from amproxy.config.structs import Absence, Config, Override
from amproxy.model import Swap
from amproxy.oncall import reachable
from amproxy.oncall.calendars import NOT_LOADED, CalendarCover, CalendarShift, ScheduleCalendars
from amproxy.oncall.layers import (
    AbsencesByUser,
    Cover,
    Overrides,
    RotatingLayer,
    absences_by_user,
)
from amproxy.oncall.swaps import AcceptedSwaps, SwappedCover
from amproxy.oncall.timeline import NO_LAYER, ScheduleTimeline
from amproxy.text import Phrase, Words, phrase
from amproxy.times import LATEST, to_utc

HORIZON = timedelta(days=366)  # no change of people is searched beyond this
# Whoever comes next is searched further, because turns may last months; but so many periods at
# most, because they may also last minutes.
NEXT_HORIZON = timedelta(days=4 * 366)
MAX_NEXT_PERIODS = 1000


class OnCall(msgspec.Struct, frozen=True, kw_only=True):
    """The people on call for one schedule at one time."""

    schedule: str
    at: datetime
    users: tuple[str, ...]
    until: datetime | None  # when `users` changes; None = not within HORIZON
    next: tuple[str, ...]  # who is on call right after `until`
    reason: Words  # "layer weekly", "override by hand: swapped", "nobody: no layer is active"


class Shift(msgspec.Struct, frozen=True, kw_only=True):
    """A period with the same people for the same reason."""

    start: datetime
    end: datetime  # exclusive
    users: tuple[str, ...]  # () = a gap
    reason: Words
    layer: str = ""
    override: str = ""  # id of the override by hand


def gap_reason(reason: Words) -> Words:
    """The reason why nobody is on call, of the reason of such a period."""
    found = reason.values.get("why") if isinstance(reason, Phrase) else None
    return found if isinstance(found, Phrase) else reason


class Roster:
    """All schedules of a configuration, with calendars and the overrides, absences, swaps by hand.

    A roster is a value: when one of them changes, make a new one. Times that go in may be in any
    zone but must have one (ValueError); those that come out are in UTC.
    """

    def __init__(
        self,
        config: Config,
        overrides: Mapping[str, Sequence[Override]] | None = None,
        *,
        absences: Mapping[str, Sequence[Absence]] | None = None,
        swaps: Mapping[str, Sequence[Swap]] | None = None,
        calendars: Mapping[str, ScheduleCalendars] | None = None,
        before: Roster | None = None,
    ) -> None:
        """overrides, swaps: by schedule, overrides in the order in which they were made.

        absences: by person. calendars: by schedule, without those that are not loaded. before: the
        roster that this one follows, so that what it found out about a plan is found once.
        """
        self.config = config
        self.overrides = overrides or {}
        self.absences = absences or {}
        self.swaps = swaps or {}
        self.calendars = calendars or {}
        self._timelines: dict[str, ScheduleTimeline] = {}
        # Schedule → the period, found last, in which the same people are on call: where it is long,
        # the search for its end need not begin anew.
        self._steady: dict[str, tuple[datetime, datetime]] = {}
        if before is not None:
            self._take_over(before)

    @property
    def of_file(self) -> Roster:
        """The same without what was changed by hand, and without calendars."""
        changed = self.overrides or self.absences or self.swaps or self.calendars
        return self._of_file if changed else self

    @cached_property
    def _of_file(self) -> Roster:
        return Roster(self.config, before=self)

    def plans_as(self, other: Roster, schedule: str) -> bool:
        """True if this roster certainly says the same of a schedule, at all times, as another."""
        return (
            self.config is other.config
            and self.overrides.get(schedule, ()) == other.overrides.get(schedule, ())
            and self.swaps.get(schedule, ()) == other.swaps.get(schedule, ())
            and self.calendars.get(schedule) is other.calendars.get(schedule)
            and not self._differently_absent(other) & self._everybody(schedule)
        )

    def _take_over(self, before: Roster) -> None:
        if self.config is not before.config:
            return
        if not self._differently_absent(before):
            self._absences = before._absences
        for schedule, timeline in tuple(before._timelines.items()):
            if before.plans_as(self, schedule):
                self._timelines[schedule] = timeline
                if schedule in before._steady:
                    self._steady[schedule] = before._steady[schedule]

    def _differently_absent(self, other: Roster) -> set[str]:
        """The people whose absences by hand are others there."""
        if self.absences == other.absences:
            return set()
        names = self.absences.keys() | other.absences.keys()
        return {name for name in names if self.absences.get(name) != other.absences.get(name)}

    def on_call(self, schedule: str, at: datetime) -> OnCall:
        """The people on call, and the next change. Raises KeyError for an unknown schedule."""
        start, timeline = to_utc(at), self._timeline(schedule)
        now = next(timeline.periods(start, start + HORIZON)).assignment
        since, steady = self._steady.get(schedule, (start, start))
        if not since <= start < steady:
            since = steady = start
        for period in timeline.periods(steady, start + HORIZON, keep=False):
            if set(period.assignment.users) != set(now.users):
                until, users = period.start, period.assignment.users
                break
        else:
            until, users = None, ()
        self._steady[schedule] = since, until or start + HORIZON
        return OnCall(
            schedule=schedule,
            at=at,
            users=now.users,
            until=until,
            next=users,
            reason=now.reason or NO_LAYER,
        )

    def due_next(self, schedule: str, at: datetime, reached: Mapping[str, float]) -> OnCall:
        """The people of `position: next`, by the final schedule.

        Whoever is on call and not reached yet; else the first who come on call later, are not
        reached and not absent at `at`; else, of all who come, those who were reached longest ago.
        reached: person → when they were paged last. `until` and `next` are those of `on_call`.
        Raises KeyError for an unknown schedule.
        """
        start, timeline, now = to_utc(at), self._timeline(schedule), self.on_call(schedule, at)
        if fresh := tuple(user for user in now.users if user not in reached):
            return replace(now, users=fresh)
        seen: dict[tuple[str, ...], Phrase] = {}  # people → why, by time
        known, everybody = {*now.users}, self._everybody(schedule)
        later = timeline.periods(start, min(start, LATEST - NEXT_HORIZON) + NEXT_HORIZON)
        for _, _, turn in islice(later, 1, MAX_NEXT_PERIODS):
            if known.issuperset(turn.users):
                continue
            known.update(turn.users)
            present = tuple(user for user in turn.users if not self.absent(user, start))
            if fresh := tuple(user for user in present if user not in reached):
                return replace(now, users=fresh, reason=turn.reason or NO_LAYER)
            if others := tuple(user for user in present if user not in now.users):
                seen.setdefault(others, turn.reason or NO_LAYER)
            if known >= everybody:
                break
        if not seen:
            return now
        again = min(seen, key=lambda users: max(reached[user] for user in users))
        return replace(now, users=again, reason=seen[again])

    def _everybody(self, schedule: str) -> set[str]:
        """All who may ever be on call: once they are seen, no search need go on."""
        names = {user for cover in self.covers(schedule) for user in cover.people()}
        return names & self.config.users.keys()

    def shifts(self, schedule: str, start: datetime, end: datetime) -> list[Shift]:
        """All shifts of a period in order, without overlaps, clipped, gaps included (users = ()).

        Raises KeyError for an unknown schedule.
        """
        merged: list[Shift] = []
        for begin, until, (_, users, reason, layer, override, _) in self._timeline(
            schedule
        ).periods(to_utc(start), to_utc(end)):
            shift = Shift(
                start=begin,
                end=until,
                users=users,
                reason=reason or NO_LAYER,
                layer=layer,
                override=override,
            )
            if merged and replace(merged[-1], start=begin, end=until) == shift:
                merged[-1] = replace(merged[-1], end=until)
            else:
                merged.append(shift)
        return merged

    def gap_seconds(self, schedule: str, start: datetime, end: datetime) -> float:
        """Seconds of a period without anybody on call. Raises KeyError for an unknown schedule."""
        periods = self._timeline(schedule).periods(to_utc(start), to_utc(end))
        return sum(
            (one.end - one.start).total_seconds() for one in periods if not one.assignment.users
        )

    def covers(self, schedule: str) -> Sequence[Cover]:
        """All covers, the highest first. Raises KeyError for an unknown schedule."""
        return self._timeline(schedule).covers

    def empty_shifts(self, schedule: str, start: datetime, end: datetime) -> list[CalendarShift]:
        """Calendar events in a period that name nobody of the file, and so put nobody on call.

        By start, unclipped. Raises KeyError for an unknown schedule.
        """
        first, last = to_utc(start), to_utc(end)
        if self.config.schedules[schedule].ical is None or schedule not in self.calendars:
            return []
        shifts = self.calendars[schedule].resolve(self.config.users).shifts
        return sorted(
            (s for s in shifts if not s.users and s.start < last and first < s.end),
            key=lambda shift: shift.start,
        )

    def absent(self, user: str, at: datetime) -> bool:
        """True if a person is absent, by the file or by hand; False for one not in the file."""
        absences = self._absences.get(user)
        return absences is not None and absences.at(to_utc(at))[0] is not None

    def swapped_shifts(self, swap: Swap) -> list[Shift]:
        """The shifts that a swap moves: those that its `user` has, or would have without it.

        Not those by overrides by hand, which swaps do not change. Raises KeyError for an unknown
        schedule.
        """
        # Later swaps apply to the result of this one.
        others = [
            other
            for other in self.swaps.get(swap.schedule, ())
            if not swap.taken_at or (other.taken_at or 0.0) < swap.taken_at
        ]
        before = Roster(
            self.config,
            self.overrides,
            absences=self.absences,
            swaps={swap.schedule: others},
            calendars=self.calendars,
        )
        shifts = before.shifts(swap.schedule, utc(swap.start), utc(swap.end))
        return [shift for shift in shifts if swap.user in shift.users and not shift.override]

    def quiet_until(self, user: str, at: datetime) -> datetime | None:
        """The end of a person's quiet hours; None also for a person who is not in the file.

        See `reachable.quiet_until`.
        """
        found = self.config.users.get(user)
        return reachable.quiet_until(found, self.config.time_intervals, at) if found else None

    def known_intervals(self, names: Sequence[str]) -> list[str]:
        """Those of these time intervals that are in the file.

        A running policy, or a stored group, may name one that is gone: it restricts nothing.
        """
        return [name for name in names if name in self.config.time_intervals]

    def holds(self, interval: str, at: datetime) -> bool:
        """True while a time interval is active. Raises KeyError for an unknown one."""
        return self.config.time_intervals[interval].holds(to_utc(at))

    def opens(self, interval: str, at: datetime) -> datetime | None:
        """The first time from `at` on at which a time interval is active; None = not in four years.

        Raises KeyError for an unknown one.
        """
        return self.config.time_intervals[interval].opens(to_utc(at))

    @cached_property
    def _absences(self) -> AbsencesByUser:
        return absences_by_user(self.config.users, self.absences)

    def _timeline(self, name: str) -> ScheduleTimeline:
        if name not in self._timelines:
            self._timelines[name] = self._make_timeline(name)
        return self._timelines[name]

    def _make_timeline(self, name: str) -> ScheduleTimeline:
        schedule, config = self.config.schedules[name], self.config
        zone = ZoneInfo(schedule.timezone)
        layers: list[Cover] = [
            RotatingLayer(layer, zone, config.time_intervals, self._absences)
            for layer in schedule.layers
        ]
        nobody = NO_LAYER
        if schedule.ical and name in self.calendars:
            layers = [CalendarCover(self.calendars[name], config.users, self._absences)]
            nobody = phrase("on_call.no_event")
        elif schedule.ical:
            nobody = NOT_LOADED
        overrides: Cover = Overrides(schedule.overrides, zone, config.users)
        if swaps := AcceptedSwaps(self.swaps.get(name, ()), config.users):
            layers = [SwappedCover(layer, swaps) for layer in layers]
            overrides = SwappedCover(overrides, swaps)
        # Above swaps: who is put on call by hand stays so.
        by_hand = Overrides(self.overrides.get(name, ()), zone, config.users, by_hand=True)
        return ScheduleTimeline(layers, [by_hand, overrides], nobody)
