"""What every override and every layer of a schedule wants by itself, also where another hides it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from amproxy.config.structs import Override, User
from amproxy.oncall.layers import Stretch
from amproxy.oncall.roster import Roster
from amproxy.zones import LATEST, instant, moment


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
    covers, single = roster.covers(schedule), _overrides(roster, schedule)
    held: list[Stretch] = [cover.stretch(at) for cover in (*covers, *single)]
    while at < end:
        held = [one if one.end > at else cover.stretch(at) for one, cover in zip(held, (*covers, *single), strict=True)]
        until = min(end, *(one.end for one in held))
        shown, beneath = held[: len(covers)], [one for one in held[len(covers) :] if one.users][:-1]
        on_call = next((one.users for one in shown if one.users), ())
        wanted = {(one.users, one.reason, one.override): one for one in (*shown, *beneath) if one.users or one.reason}
        yield Claims(at, until, on_call, tuple(wanted.values()))
        at = until


def _overrides(roster: Roster, name: str) -> list[_Single]:
    """Each override by itself, the one that wins last: together they show only that one."""
    schedule, users = roster.config.schedules[name], roster.config.users
    zone = ZoneInfo(schedule.timezone)
    texts = [(one, "override") for one in schedule.overrides] + [(one, "override by hand") for one in roster.overrides.get(name, ())]
    return [_Single(one, text, zone, users) for one, text in texts]


class _Single:
    """One override, whether or not another hides it."""

    def __init__(self, override: Override, text: str, zone: ZoneInfo, users: Mapping[str, User]) -> None:
        self._start, self._end = (instant(at) if at.tzinfo else moment(at, zone) for at in (override.start, override.end))
        people = tuple(name for name in dict.fromkeys(override.users) if name in users)
        self._stretch = Stretch(self._end, people, f"{text}: {override.reason}" if override.reason else text, "", override.id)

    def stretch(self, at: datetime) -> Stretch:
        """As a cover's."""
        if self._start <= at < self._end:
            return self._stretch
        return Stretch(self._start if at < self._start else LATEST, ())
