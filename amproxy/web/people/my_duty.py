"""What a person's own page says of their duty: when they are on call, and which swaps wait for somebody. Pure."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from amproxy.config.structs import Schedule
from amproxy.context import Context
from amproxy.model import Swap
from amproxy.oncall.roster import Roster
from amproxy.oncall.swaps import state

AHEAD: Final = timedelta(weeks=4)


class MyShift(NamedTuple):
    """A time without a break in which somebody is on call for a schedule."""

    schedule: str
    start: datetime
    end: datetime
    now: bool
    open_end: bool  # it goes on after what was looked at


class Duty(NamedTuple):
    shifts: list[MyShift]  # of the next weeks, in the order in which they begin

    @property
    def now(self) -> list[MyShift]:
        return [shift for shift in self.shifts if shift.now]

    @property
    def next(self) -> MyShift | None:
        return next((shift for shift in self.shifts if not shift.now), None)


def duty(roster: Roster, user: str, now: datetime) -> Duty:
    """Over all schedules; now: aware. A shift that goes on for another reason is one."""
    until, found = now + AHEAD, list[MyShift]()
    for name in roster.config.schedules:
        last: MyShift | None = None
        for shift in roster.shifts(name, now, until):
            if user not in shift.users:
                continue
            if last and last.end == shift.start:
                last = found[-1] = last._replace(end=shift.end, open_end=shift.end >= until)
            else:
                last = MyShift(name, shift.start, shift.end, shift.start <= now, shift.end >= until)
                found.append(last)
    return Duty(sorted(found, key=lambda shift: (not shift.now, shift.start, shift.schedule)))


def waiting(context: Context, on_duty: Collection[str], user: str, now: float) -> list[Swap]:
    """Swaps that nobody has taken of the schedules that are somebody's, in the order in which they begin. now: Unix seconds."""
    config = context.config
    own = [name for name, schedule in config.schedules.items() if name in on_duty or _concerns(context, schedule, user)]
    found = [swap for name in own for swap in context.by_hand.swaps.get(name, ()) if state(swap, now) == "open"]
    return sorted(found, key=lambda swap: (swap.start, swap.id))


def _concerns(context: Context, schedule: Schedule, user: str) -> bool:
    """Whether a person takes turns in a schedule, or it is their team's."""
    team = context.config.teams.get(schedule.team)
    return (team is not None and user in team.members) or any(user in turn for layer in schedule.layers for turn in layer.users)
