"""The data of a schedule's page: viewed period, timeline, hours, quality, overrides, swaps.

Forecasts from the plan are cached as long as the roster is the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from amproxy.calendars.keeper import calendar_problems, load_calendar_health
from amproxy.clock import utc
from amproxy.config.structs import Override, Schedule
from amproxy.context import Context
from amproxy.model import Swap
from amproxy.oncall.gaps import CoverageGap, find_empty_shifts
from amproxy.oncall.hours import Hours
from amproxy.oncall.quality import (
    DoubleBooking,
    ScheduleQuality,
    assess_quality,
    find_double_bookings,
)
from amproxy.oncall.roster import Roster
from amproxy.oncall.swaps import SwapState, swap_state
from amproxy.shifts.final import FinalShift, final_shifts
from amproxy.store import calendars
from amproxy.store.calendars import Feed
from amproxy.text import Phrase, Texts
from amproxy.times import local_to_utc
from amproxy.web.schedules.away import away_tracks
from amproxy.web.schedules.calendars_api import feed_url
from amproxy.web.schedules.formatter import ScheduleFormatter, render_bar
from amproxy.web.schedules.timeline import (
    BandPeriod,
    TimelineTrack,
    layer_tracks,
    layout_bands,
    midnight,
    upper_tracks,
)
from amproxy.web.schedules.views import hours_by_person

ScheduleRange = Literal["day", "weeks", "month"]
SCHEDULE_RANGES: Final[tuple[ScheduleRange, ...]] = ("day", "weeks", "month")
MAX_CACHED_FORECASTS: Final = 100

_RANGE_DAYS: Final = {"day": 1, "weeks": 14}
_EARLIEST, _LATEST = date(1990, 1, 1), date(2200, 1, 1)  # far from where dates overflow


class ViewedPeriod(NamedTuple):
    """A view of a schedule: its kind, its first day, the zone of its clock."""

    view: ScheduleRange
    first: date
    zone: str

    @property
    def last(self) -> date:
        """The day after those that are shown."""
        if self.view != "month":
            return self.first + timedelta(days=_RANGE_DAYS[self.view])
        return _month_start(self.first, 1)

    @property
    def period(self) -> BandPeriod:
        clock = ZoneInfo(self.zone)
        return BandPeriod(midnight(self.first, clock), midnight(self.last, clock))

    @property
    def previous(self) -> ViewedPeriod:
        if self.view == "month":
            return self._replace(first=_month_start(self.first, -1))
        return self._replace(first=self.first - (self.last - self.first))

    @property
    def next(self) -> ViewedPeriod:
        return self._replace(first=self.last)

    def as_view(self, view: ScheduleRange, today: date) -> ViewedPeriod:
        """Another view: around today where that is shown now, else from the same day on."""
        day = today if self.first <= today < self.last else self.first
        return period_around(view, day, self.zone)

    @property
    def query(self) -> str:
        """The query of an address that shows this again."""
        return urlencode({"view": self.view, "from": self.first.isoformat(), "zone": self.zone})


def period_around(view: ScheduleRange, day: date, zone: str) -> ViewedPeriod:
    """The day, two weeks from its Monday on, or its month."""
    if view == "weeks":
        day -= timedelta(days=day.weekday())
    elif view == "month":
        day = day.replace(day=1)
    return ViewedPeriod(view, day, zone)


def parse_viewed_period(query: Mapping[str, str], zone: str, now: datetime) -> ViewedPeriod:
    """The period that a query names; by default two weeks around now on the clock of `zone`.

    Raises ValueError with a phrase for the reader.
    """
    zone = check_zone(query.get("zone") or zone)
    name = query.get("view") or "weeks"
    view = next((one for one in SCHEDULE_RANGES if one == name), None)
    if view is None:
        raise ValueError(
            Phrase("refusal.view", {"known": ", ".join(SCHEDULE_RANGES), "view": name[:60]})
        )
    text = query.get("from") or ""
    try:
        day = date.fromisoformat(text[:10]) if text else now.astimezone(ZoneInfo(zone)).date()
    except ValueError:
        raise ValueError(Phrase("refusal.from_day", {"day": text[:60]})) from None
    if not _EARLIEST <= day < _LATEST:
        raise ValueError(
            Phrase("refusal.from_years", {"first": _EARLIEST.year, "last": _LATEST.year})
        )
    return period_around(view, day, zone)


def check_zone(name: str) -> str:
    """The name of a time zone, unchanged. Raises ValueError for an unknown one."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown; not a name; a folder such as "Europe"
        raise ValueError(Phrase("refusal.no_such_zone", {"zone": name[:60]})) from None
    return name


def _month_start(day: date, months: int) -> date:
    count = day.year * 12 + day.month - 1 + months
    return date(count // 12, count % 12 + 1, 1)


class ScheduleForecast(NamedTuple):
    """The results that a schedule's plan gives for a period."""

    layers: list[TimelineTrack]
    quality: ScheduleQuality
    empty_shifts: list[CoverageGap]  # of layers that are active and have nobody left


class ScheduleForecastCache:
    """Forecasts by schedule and period, of the roster that was last in force."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._roster = context.roster
        self._forecasts: dict[tuple[str, BandPeriod], ScheduleForecast] = {}

    async def forecast(self, schedule: Schedule, period: BandPeriod) -> ScheduleForecast:
        roster, key = self._context.roster, (schedule.name, period)
        if roster is not self._roster or len(self._forecasts) >= MAX_CACHED_FORECASTS:
            self._roster, self._forecasts = roster, {}
        if key not in self._forecasts:
            doubles = await _double_bookings(roster, schedule, period)
            forecast = ScheduleForecast(
                layer_tracks(roster, schedule, period),
                assess_quality(roster, schedule.name, *period, doubles),
                find_empty_shifts(roster, schedule.name, *period),
            )
            # The await lets others run: a forecast of an old roster must not get into the
            # cache of the new one.
            if roster is not self._roster:
                return forecast
            self._forecasts[key] = forecast
        return self._forecasts[key]


async def _double_bookings(
    roster: Roster, schedule: Schedule, period: BandPeriod
) -> list[DoubleBooking]:
    """Shifts that overlap with other schedules that may have somebody in common."""
    doubles, people = list[DoubleBooking](), _possible_people(roster, schedule)
    for other in roster.config.schedules.values():
        if other.name != schedule.name and people & _possible_people(roster, other):
            doubles += find_double_bookings(roster, schedule.name, other.name, *period)
            await asyncio.sleep(0)  # a push that came in meanwhile goes first
    return doubles


def _possible_people(roster: Roster, schedule: Schedule) -> set[str]:
    """Everybody who may be on call."""
    if schedule.ical:
        return set(roster.config.users)
    overrides = (*schedule.overrides, *roster.overrides.get(schedule.name, ()))
    return {
        *(name for layer in schedule.layers for turn in layer.users for name in turn),
        *(name for one in overrides for name in one.users),
        *(swap.taken_by for swap in roster.swaps.get(schedule.name, ()) if swap.taken_by),
    }


class OverrideRow(NamedTuple):
    override: Override
    start: datetime
    end: datetime


class SwapRow(NamedTuple):
    swap: Swap
    state: SwapState
    empty: bool  # the swap is about no shift


class PersonHoursRow(NamedTuple):
    """The hours of one person in the viewed period."""

    user: str
    hours: Hours
    width: float  # of all their hours, in per cent of those of the busiest


async def load_schedule_view(
    context: Context,
    forecasts: ScheduleForecastCache,
    schedule: Schedule,
    viewed: ViewedPeriod,
    t: Texts,
) -> dict[str, Any]:
    """The values of the template. Raises StoreUnavailable for the past while Redis is away."""
    now, period, zone, roster = (
        context.now(),
        viewed.period,
        ZoneInfo(viewed.zone),
        context.roster,
    )
    final = await final_shifts(context, schedule.name, period.start, period.end)
    forecast = await forecasts.forecast(schedule, period)
    tracks = [
        *upper_tracks(roster, schedule, final, period, now),
        *forecast.layers,
        *away_tracks(roster, _list_people(schedule, final), period, t.language),
    ]
    former = {person.user: person.full_name for shift in final for person in shift.people}
    return {
        "formatter": ScheduleFormatter(context.config.users, t, zone, now, former),
        "render_bar": render_bar,
        "bands": layout_bands(period, tracks, zone, utc(now)),
        "final": final,
        "on_call": roster.on_call(schedule.name, utc(now)),
        "people": _list_people(schedule, final),
        "person_hours": _hours_rows(schedule, final),
        "quality": forecast.quality,
        "empty_shifts": forecast.empty_shifts,
        "calendars": await load_calendar_health(context, schedule.name),
        "unreadable_events": calendar_problems(context, schedule.name),
        "unknown_events": [
            one
            for one in roster.empty_shifts(schedule.name, period.start, period.end)
            if not one.problem
        ],
        "feed": await _feed_address(context, schedule),
        "overrides": _override_rows(roster, schedule, period, now),
        "swaps": _swap_rows(roster, schedule, period, now),
    }


async def _feed_address(context: Context, schedule: Schedule) -> str:
    """The secret address of the shifts as a calendar; "" = none was made."""
    token = await calendars.load_feed_token(context.wire, Feed("schedule", schedule.name))
    return feed_url(context, token) if token else ""


def _list_people(schedule: Schedule, final: Sequence[FinalShift]) -> list[str]:
    """The people of the layers, in their order, then others who were on call."""
    turns = [name for layer in schedule.layers for turn in layer.users for name in turn]
    shown = [person.user for shift in final for person in shift.people]
    return list(dict.fromkeys((*turns, *shown)))


def _hours_rows(schedule: Schedule, final: Sequence[FinalShift]) -> list[PersonHoursRow]:
    """The people of a page with their hours, the busiest first."""
    hours = {name: Hours() for name in _list_people(schedule, final)} | hours_by_person(final)
    most = max((one.total for one in hours.values()), default=0.0)
    rows = [
        PersonHoursRow(name, one, round(one.total / most * 100, 1) if most else 0.0)
        for name, one in hours.items()
    ]
    return sorted(rows, key=lambda row: -row.hours.total)


def _override_rows(
    roster: Roster, schedule: Schedule, period: BandPeriod, now: float
) -> list[OverrideRow]:
    """Overrides that are not over, or lie in the period; those of the file first."""
    zone = ZoneInfo(schedule.timezone)
    rows = [
        OverrideRow(one, local_to_utc(one.start, zone), local_to_utc(one.end, zone))
        for one in (*schedule.overrides, *roster.overrides.get(schedule.name, ()))
    ]
    return [
        row
        for row in rows
        if row.end > utc(now) or (row.start < period.end and period.start < row.end)
    ]


def _swap_rows(roster: Roster, schedule: Schedule, period: BandPeriod, now: float) -> list[SwapRow]:
    """Swaps that are not over, or lie in the period."""
    rows = []
    for swap in roster.swaps.get(schedule.name, ()):
        if swap.end > now or (utc(swap.start) < period.end and period.start < utc(swap.end)):
            state = swap_state(swap, now)
            empty = state == "open" and not roster.swapped_shifts(swap)
            rows.append(SwapRow(swap, state, empty))
    return rows
