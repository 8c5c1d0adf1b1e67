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

from amproxy.calendars.keeper import health
from amproxy.clock import utc
from amproxy.config.structs import Override, Schedule
from amproxy.context import Context
from amproxy.model import Swap
from amproxy.oncall.gaps import Hole, empty_shifts
from amproxy.oncall.hours import Hours
from amproxy.oncall.quality import Double, Quality, doubles, quality
from amproxy.oncall.roster import Roster
from amproxy.oncall.swaps import SwapState, state
from amproxy.shifts.final import FinalShift, final_shifts
from amproxy.store import calendars
from amproxy.store.calendars import Feed
from amproxy.text import Texts
from amproxy.times import happens
from amproxy.web.schedules.api import worked_by
from amproxy.web.schedules.calendars_api import address
from amproxy.web.schedules.timeline import Span, Track, bands, layers, midnight, tracks
from amproxy.web.schedules.words import Speaker, bar

View = Literal["day", "weeks", "month"]
VIEWS: Final[tuple[View, ...]] = ("day", "weeks", "month")

_DAYS: Final = {"day": 1, "weeks": 14}
_EARLIEST, _LATEST = date(1990, 1, 1), date(2200, 1, 1)  # far from where dates overflow


class Shown(NamedTuple):
    """`first` is the first day that is shown."""

    view: View
    first: date
    zone: str

    @property
    def last(self) -> date:
        """The day after those that are shown."""
        if self.view != "month":
            return self.first + timedelta(days=_DAYS[self.view])
        return _month(self.first, 1)

    @property
    def span(self) -> Span:
        clock = ZoneInfo(self.zone)
        return Span(midnight(self.first, clock), midnight(self.last, clock))

    @property
    def previous(self) -> Shown:
        return self._replace(first=_month(self.first, -1) if self.view == "month" else self.first - (self.last - self.first))

    @property
    def next(self) -> Shown:
        return self._replace(first=self.last)

    def as_view(self, view: View, today: date) -> Shown:
        """Another view of the same time: around today where that is shown, else from the same day on."""
        day = today if self.first <= today < self.last else self.first
        return starting(view, day, self.zone)

    @property
    def query(self) -> str:
        """The part of an address that shows this again."""
        return urlencode({"view": self.view, "from": self.first.isoformat(), "zone": self.zone})


def starting(view: View, day: date, zone: str) -> Shown:
    """What a view shows of a day: the day, two weeks from its Monday on, its month."""
    first = {"day": day, "weeks": day - timedelta(days=day.weekday()), "month": day.replace(day=1)}[view]
    return Shown(view, first, zone)


def shown(query: Mapping[str, str], zone: str, now: datetime) -> Shown:
    """What an address asks for; what it leaves out is two weeks around now, on the clock of `zone`.

    Raises ValueError with words for people.
    """
    zone = known_zone(query.get("zone") or zone)
    wanted = query.get("view") or "weeks"
    view = next((one for one in VIEWS if one == wanted), None)
    if view is None:
        raise ValueError(f"view is one of {', '.join(VIEWS)}, not {wanted[:60]!r}")
    text = query.get("from") or ""
    try:
        day = date.fromisoformat(text[:10]) if text else now.astimezone(ZoneInfo(zone)).date()
    except ValueError:
        raise ValueError(f"from is a day such as 2026-12-01, not {text[:60]!r}") from None
    if not _EARLIEST <= day < _LATEST:
        raise ValueError(f"from lies between {_EARLIEST.year} and {_LATEST.year}")
    return starting(view, day, zone)


def known_zone(name: str) -> str:
    """The name of a zone. Raises ValueError for one that there is not."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not there, no name at all, or a folder
        raise ValueError(f"there is no zone {name[:60]!r}") from None
    return name


def _month(day: date, months: int) -> date:
    count = day.year * 12 + day.month - 1 + months
    return date(count // 12, count % 12 + 1, 1)


MOST: Final = 100  # plans that are remembered


class Plan(NamedTuple):
    layers: list[Track]
    quality: Quality
    empty: list[Hole]


class Plans:
    """The plans of the roster that was in force when one was asked for last."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._roster = context.roster
        self._found: dict[tuple[str, Span], Plan] = {}

    async def plan(self, schedule: Schedule, span: Span) -> Plan:
        """The plan between two moments."""
        roster, key = self._context.roster, (schedule.name, span)
        if roster is not self._roster or len(self._found) >= MOST:
            self._roster, self._found = roster, {}
        if key not in self._found:
            found = await _doubles(roster, schedule, span)
            plan = Plan(
                layers(roster, schedule, span), quality(roster, schedule.name, *span, found), empty_shifts(roster, schedule.name, *span)
            )
            if roster is not self._roster:  # another came into force meanwhile
                return plan
            self._found[key] = plan
        return self._found[key]


async def _doubles(roster: Roster, schedule: Schedule, span: Span) -> list[Double]:
    """Who is on call for another schedule at the same time; only schedules that may share somebody are looked at."""
    found, here = list[Double](), _candidates(roster, schedule)
    for other in roster.config.schedules.values():
        if other.name != schedule.name and here & _candidates(roster, other):
            found += doubles(roster, schedule.name, other.name, *span)
            await asyncio.sleep(0)  # a push that came in meanwhile goes first
    return found


def _candidates(roster: Roster, schedule: Schedule) -> set[str]:
    """Everybody who may be on call."""
    if schedule.ical:
        return set(roster.config.users)
    by_hand = (*schedule.overrides, *roster.overrides.get(schedule.name, ()))
    return {
        *(name for layer in schedule.layers for turn in layer.users for name in turn),
        *(name for one in by_hand for name in one.users),
        *(swap.taken_by for swap in roster.swaps.get(schedule.name, ()) if swap.taken_by),
    }


class Made(NamedTuple):
    """An override."""

    override: Override
    start: datetime
    end: datetime


class Wish(NamedTuple):
    """A swap."""

    swap: Swap
    state: SwapState
    empty: bool  # it is about no shift


class Share(NamedTuple):
    """What one person has done or will do in the time that is shown."""

    user: str
    hours: Hours
    width: float  # of all their hours, in per cent of those of the busiest


async def look(context: Context, plans: Plans, schedule: Schedule, seen: Shown, t: Texts) -> dict[str, Any]:
    """The values of the template. Raises StoreUnavailable where the past is asked for and Redis is away."""
    now, span, zone, roster = context.now(), seen.span, ZoneInfo(seen.zone), context.roster
    final = await final_shifts(context, schedule.name, span.start, span.end)
    plan = await plans.plan(schedule, span)
    rows = [*tracks(roster, schedule, final, span, now), *plan.layers]
    former = {person.user: person.full_name for shift in final for person in shift.people}
    return {
        "speaker": Speaker(context.config.users, t, zone, now, former),
        "bar": bar,
        "bands": bands(span, rows, zone, utc(now)),
        "final": final,
        "on_call": roster.on_call(schedule.name, utc(now)),
        "people": _people(roster, schedule, final),
        "shares": _shares(roster, schedule, final),
        "quality": plan.quality,
        "empty": plan.empty,
        "calendars": await health(context, schedule.name),
        "nameless": roster.empty_shifts(schedule.name, span.start, span.end),
        "feed": await _feed(context, schedule),
        "overrides": _made(roster, schedule, span, now),
        "wishes": _wishes(roster, schedule, span, now),
    }


async def _feed(context: Context, schedule: Schedule) -> str:
    """Where the shifts can be read as a calendar; "" = nobody has made an address."""
    token = await calendars.known(context.wire, Feed("schedule", schedule.name))
    return address(context, token) if token else ""


def _people(roster: Roster, schedule: Schedule, final: Sequence[FinalShift]) -> list[str]:
    """Whoever may be on call or was, in the order of the layers; what colours and marks mean."""
    turns = [name for layer in schedule.layers for turn in layer.users for name in turn]
    shown = [person.user for shift in final for person in shift.people]
    return list(dict.fromkeys((*turns, *shown)))


def _shares(roster: Roster, schedule: Schedule, final: Sequence[FinalShift]) -> list[Share]:
    found = {name: Hours() for name in _people(roster, schedule, final)} | worked_by(final)
    most = max((hours.total for hours in found.values()), default=0.0)
    shares = [Share(name, hours, round(hours.total / most * 100, 1) if most else 0.0) for name, hours in found.items()]
    return sorted(shares, key=lambda share: -share.hours.total)


def _made(roster: Roster, schedule: Schedule, span: Span, now: float) -> list[Made]:
    """Overrides that are not over, or are shown; those of the file first."""
    zone = ZoneInfo(schedule.timezone)
    every = [
        Made(one, happens(one.start, zone), happens(one.end, zone))
        for one in (*schedule.overrides, *roster.overrides.get(schedule.name, ()))
    ]
    return [one for one in every if one.end > utc(now) or (one.start < span.end and span.start < one.end)]


def _wishes(roster: Roster, schedule: Schedule, span: Span, now: float) -> list[Wish]:
    """Swaps that are not over, or are shown; whom an open one concerns is looked up."""
    found = []
    for swap in roster.swaps.get(schedule.name, ()):
        if swap.end > now or (utc(swap.start) < span.end and span.start < utc(swap.end)):
            what = state(swap, now)
            found.append(Wish(swap, what, what == "open" and not roster.swapped_shifts(swap)))
    return found
