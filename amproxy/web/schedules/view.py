"""What a schedule's page shows: the view, from which day on, on which clock; as an address says it. Pure.

What is worked out of a schedule's plan for its page, and remembered as long as the roster is the same: pages look again often.

What the page of one schedule shows beside its forms: timeline, hours, quality, what was made by hand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from amproxy.calendars.keeper import load_calendar_health
from amproxy.clock import utc
from amproxy.config.structs import Override, Schedule
from amproxy.context import Context
from amproxy.model import Swap
from amproxy.oncall.gaps import CoverageGap, find_empty_shifts
from amproxy.oncall.hours import Hours
from amproxy.oncall.quality import DoubleBooking, ScheduleQuality, assess_quality, find_double_bookings
from amproxy.oncall.roster import Roster
from amproxy.oncall.swaps import SwapState, swap_state
from amproxy.shifts.final import FinalShift, final_shifts
from amproxy.store import calendars
from amproxy.store.calendars import Feed
from amproxy.text import Texts
from amproxy.times import local_to_utc
from amproxy.web.schedules.api import hours_by_person
from amproxy.web.schedules.calendars_api import feed_url
from amproxy.web.schedules.timeline import BandPeriod, TimelineTrack, layer_tracks, layout_bands, midnight, upper_tracks
from amproxy.web.schedules.words import ScheduleFormatter, render_bar

ScheduleRange = Literal["day", "weeks", "month"]
SCHEDULE_RANGES: Final[tuple[ScheduleRange, ...]] = ("day", "weeks", "month")

_RANGE_DAYS: Final = {"day": 1, "weeks": 14}
_EARLIEST, _LATEST = date(1990, 1, 1), date(2200, 1, 1)  # far from where dates overflow


class ViewedPeriod(NamedTuple):
    """`first` is the first day that is shown."""

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
    def span(self) -> BandPeriod:
        clock = ZoneInfo(self.zone)
        return BandPeriod(midnight(self.first, clock), midnight(self.last, clock))

    @property
    def previous(self) -> ViewedPeriod:
        return self._replace(first=_month_start(self.first, -1) if self.view == "month" else self.first - (self.last - self.first))

    @property
    def next(self) -> ViewedPeriod:
        return self._replace(first=self.last)

    def as_view(self, view: ScheduleRange, today: date) -> ViewedPeriod:
        """Another view of the same time: around today where that is shown, else from the same day on."""
        day = today if self.first <= today < self.last else self.first
        return period_around(view, day, self.zone)

    @property
    def query(self) -> str:
        """The part of an address that shows this again."""
        return urlencode({"view": self.view, "from": self.first.isoformat(), "zone": self.zone})


def period_around(view: ScheduleRange, day: date, zone: str) -> ViewedPeriod:
    """What a view shows of a day: the day, two weeks from its Monday on, its month."""
    first = {"day": day, "weeks": day - timedelta(days=day.weekday()), "month": day.replace(day=1)}[view]
    return ViewedPeriod(view, first, zone)


def parse_viewed_period(query: Mapping[str, str], zone: str, now: datetime) -> ViewedPeriod:
    """What an address asks for; what it leaves out is two weeks around now, on the clock of `zone`.

    Raises ValueError with words for people.
    """
    zone = check_zone(query.get("zone") or zone)
    wanted = query.get("view") or "weeks"
    view = next((one for one in SCHEDULE_RANGES if one == wanted), None)
    if view is None:
        raise ValueError(f"view is one of {', '.join(SCHEDULE_RANGES)}, not {wanted[:60]!r}")
    text = query.get("from") or ""
    try:
        day = date.fromisoformat(text[:10]) if text else now.astimezone(ZoneInfo(zone)).date()
    except ValueError:
        raise ValueError(f"from is a day such as 2026-12-01, not {text[:60]!r}") from None
    if not _EARLIEST <= day < _LATEST:
        raise ValueError(f"from lies between {_EARLIEST.year} and {_LATEST.year}")
    return period_around(view, day, zone)


def check_zone(name: str) -> str:
    """The name of a zone. Raises ValueError for one that there is not."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not there, no name at all, or a folder
        raise ValueError(f"there is no zone {name[:60]!r}") from None
    return name


def _month_start(day: date, months: int) -> date:
    count = day.year * 12 + day.month - 1 + months
    return date(count // 12, count % 12 + 1, 1)


MAX_CACHED_FORECASTS: Final = 100  # plans that are remembered


class ScheduleForecast(NamedTuple):
    layers: list[TimelineTrack]
    quality: ScheduleQuality
    empty: list[CoverageGap]


class ScheduleForecastCache:
    """The plans of the roster that was in force when one was asked for last."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._roster = context.roster
        self._found: dict[tuple[str, BandPeriod], ScheduleForecast] = {}

    async def plan(self, schedule: Schedule, span: BandPeriod) -> ScheduleForecast:
        """The plan between two moments."""
        roster, key = self._context.roster, (schedule.name, span)
        if roster is not self._roster or len(self._found) >= MAX_CACHED_FORECASTS:
            self._roster, self._found = roster, {}
        if key not in self._found:
            found = await _double_bookings(roster, schedule, span)
            plan = ScheduleForecast(
                layer_tracks(roster, schedule, span),
                assess_quality(roster, schedule.name, *span, found),
                find_empty_shifts(roster, schedule.name, *span),
            )
            if roster is not self._roster:  # another came into force meanwhile
                return plan
            self._found[key] = plan
        return self._found[key]


async def _double_bookings(roster: Roster, schedule: Schedule, span: BandPeriod) -> list[DoubleBooking]:
    """Who is on call for another schedule at the same time; only schedules that may share somebody are looked at."""
    found, here = list[DoubleBooking](), _possible_people(roster, schedule)
    for other in roster.config.schedules.values():
        if other.name != schedule.name and here & _possible_people(roster, other):
            found += find_double_bookings(roster, schedule.name, other.name, *span)
            await asyncio.sleep(0)  # a push that came in meanwhile goes first
    return found


def _possible_people(roster: Roster, schedule: Schedule) -> set[str]:
    """Everybody who may be on call."""
    if schedule.ical:
        return set(roster.config.users)
    by_hand = (*schedule.overrides, *roster.overrides.get(schedule.name, ()))
    return {
        *(name for layer in schedule.layers for turn in layer.users for name in turn),
        *(name for one in by_hand for name in one.users),
        *(swap.taken_by for swap in roster.swaps.get(schedule.name, ()) if swap.taken_by),
    }


class OverrideRow(NamedTuple):
    """An override."""

    override: Override
    start: datetime
    end: datetime


class SwapRow(NamedTuple):
    """A swap."""

    swap: Swap
    state: SwapState
    empty: bool  # it is about no shift


class PersonHoursRow(NamedTuple):
    """What one person has done or will do in the time that is shown."""

    user: str
    hours: Hours
    width: float  # of all their hours, in per cent of those of the busiest


async def load_schedule_view(
    context: Context, plans: ScheduleForecastCache, schedule: Schedule, seen: ViewedPeriod, t: Texts
) -> dict[str, Any]:
    """The values of the template. Raises StoreUnavailable where the past is asked for and Redis is away."""
    now, span, zone, roster = context.now(), seen.span, ZoneInfo(seen.zone), context.roster
    final = await final_shifts(context, schedule.name, span.start, span.end)
    plan = await plans.plan(schedule, span)
    rows = [*upper_tracks(roster, schedule, final, span, now), *plan.layers]
    former = {person.user: person.full_name for shift in final for person in shift.people}
    return {
        "speaker": ScheduleFormatter(context.config.users, t, zone, now, former),
        "bar": render_bar,
        "bands": layout_bands(span, rows, zone, utc(now)),
        "final": final,
        "on_call": roster.on_call(schedule.name, utc(now)),
        "people": _list_people(roster, schedule, final),
        "shares": _hours_rows(roster, schedule, final),
        "quality": plan.quality,
        "empty": plan.empty,
        "calendars": await load_calendar_health(context, schedule.name),
        "nameless": roster.empty_shifts(schedule.name, span.start, span.end),
        "feed": await _feed_address(context, schedule),
        "overrides": _override_rows(roster, schedule, span, now),
        "wishes": _swap_rows(roster, schedule, span, now),
    }


async def _feed_address(context: Context, schedule: Schedule) -> str:
    """Where the shifts can be read as a calendar; "" = nobody has made an address."""
    token = await calendars.load_feed_token(context.wire, Feed("schedule", schedule.name))
    return feed_url(context, token) if token else ""


def _list_people(roster: Roster, schedule: Schedule, final: Sequence[FinalShift]) -> list[str]:
    """Whoever may be on call or was, in the order of the layers; what colours and marks mean."""
    turns = [name for layer in schedule.layers for turn in layer.users for name in turn]
    shown = [person.user for shift in final for person in shift.people]
    return list(dict.fromkeys((*turns, *shown)))


def _hours_rows(roster: Roster, schedule: Schedule, final: Sequence[FinalShift]) -> list[PersonHoursRow]:
    found = {name: Hours() for name in _list_people(roster, schedule, final)} | hours_by_person(final)
    most = max((hours.total for hours in found.values()), default=0.0)
    shares = [PersonHoursRow(name, hours, round(hours.total / most * 100, 1) if most else 0.0) for name, hours in found.items()]
    return sorted(shares, key=lambda share: -share.hours.total)


def _override_rows(roster: Roster, schedule: Schedule, span: BandPeriod, now: float) -> list[OverrideRow]:
    """Overrides that are not over, or are shown; those of the file first."""
    zone = ZoneInfo(schedule.timezone)
    every = [
        OverrideRow(one, local_to_utc(one.start, zone), local_to_utc(one.end, zone))
        for one in (*schedule.overrides, *roster.overrides.get(schedule.name, ()))
    ]
    return [one for one in every if one.end > utc(now) or (one.start < span.end and span.start < one.end)]


def _swap_rows(roster: Roster, schedule: Schedule, span: BandPeriod, now: float) -> list[SwapRow]:
    """Swaps that are not over, or are shown; whom an open one concerns is looked up."""
    found = []
    for swap in roster.swaps.get(schedule.name, ()):
        if swap.end > now or (utc(swap.start) < span.end and span.start < utc(swap.end)):
            what = swap_state(swap, now)
            found.append(SwapRow(swap, what, what == "open" and not roster.swapped_shifts(swap)))
    return found
