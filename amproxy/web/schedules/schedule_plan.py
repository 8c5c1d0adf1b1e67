"""What is worked out of a schedule's plan for its page, and remembered as long as the roster is the same: pages look again often."""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple

from amproxy.config.structs import Schedule
from amproxy.context import Context
from amproxy.oncall.gaps import Hole, empty_shifts
from amproxy.oncall.quality import Double, Quality, doubles, quality
from amproxy.oncall.roster import Roster
from amproxy.web.schedules.schedule_rows import layers
from amproxy.web.schedules.timeline import Span, Track

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
