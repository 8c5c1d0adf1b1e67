"""What every override and every layer of a schedule wants by itself, also where another hides it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from amproxy.decide.cover import Cover, Overrides, Stretch
from amproxy.decide.roster import Roster
from amproxy.decide.zones import instant


class Claims(NamedTuple):
    """From `start` to `end` (exclusive, UTC) nothing changes."""

    start: datetime
    end: datetime
    on_call: tuple[str, ...]
    wanted: tuple[Stretch, ...]  # from the highest to the lowest: with people; or without, where somebody should be and nobody is left

    def hidden(self) -> list[Stretch]:
        """Those that want people who are not on call."""
        return [one for one in self.wanted if not set(one.users) <= set(self.on_call)]

    def empty(self) -> list[Stretch]:
        """Those that are active and have nobody left."""
        return [one for one in self.wanted if not one.users]


def claims(roster: Roster, schedule: str, start: datetime, end: datetime) -> Iterator[Claims]:
    """From `start` to `end` (aware) without gap or overlap. Raises KeyError for an unknown schedule."""
    at, end = instant(start), instant(end)
    covers = [*roster.covers(schedule), *_overrides(roster, schedule)]
    depth = len(roster.covers(schedule))
    held: list[Stretch] = [cover.stretch(at) for cover in covers]
    while at < end:
        held = [one if one.end > at else cover.stretch(at) for one, cover in zip(held, covers, strict=True)]
        until = min(end, *(one.end for one in held))
        on_call = next((one.users for one in held[:depth] if one.users), ())
        wanted = {(one.users, one.reason, one.override): one for one in held if one.users or one.reason}
        yield Claims(at, until, on_call, tuple(wanted.values()))
        at = until


def _overrides(roster: Roster, name: str) -> list[Cover]:
    """Each override by itself: together they show only the one that wins."""
    schedule, users = roster.config.schedules[name], roster.config.users
    zone = ZoneInfo(schedule.timezone)
    from_file = [Overrides((one,), (), zone, users) for one in schedule.overrides]
    return [*from_file, *(Overrides((), (one,), zone, users) for one in roster.overrides.get(name, ()))]
