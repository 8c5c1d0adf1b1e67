"""What the page of one schedule shows beside its forms: timeline, hours, quality, what was made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from amproxy.calendars.health import health
from amproxy.clock import utc
from amproxy.config.structs import Override, Schedule
from amproxy.context import Context
from amproxy.model import Swap
from amproxy.oncall.hours import Hours
from amproxy.oncall.roster import Roster
from amproxy.oncall.swaps import SwapState, state
from amproxy.shifts.final import FinalShift, final_shifts
from amproxy.store import feeds
from amproxy.store.feeds import Feed
from amproxy.text import Texts
from amproxy.web.schedules.bars import bar
from amproxy.web.schedules.calendars_api import address
from amproxy.web.schedules.schedule_plan import Plans
from amproxy.web.schedules.schedule_rows import tracks
from amproxy.web.schedules.shift_views import worked_by
from amproxy.web.schedules.shown_span import Shown
from amproxy.web.schedules.timeline import Span, bands
from amproxy.web.schedules.words import Speaker
from amproxy.zones import happens


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
    token = await feeds.known(context.wire, Feed("schedule", schedule.name))
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
