"""What may put people on call: the layers of a schedule, and its overrides; its calendars are in calendar_cover.

Each kind answers for one moment with a stretch: who, why, and how far ahead that answer is good.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import NamedTuple, Protocol
from zoneinfo import ZoneInfo

from amproxy.config.structs import Absence, Layer, Override, User
from amproxy.labels.intervals import TimeInterval
from amproxy.oncall.active_days import active_days
from amproxy.oncall.piecewise import Steps
from amproxy.oncall.rotation import turn_at
from amproxy.oncall.spells import spells
from amproxy.zones import EARLIEST, LATEST, happens

Absences = Mapping[str, Steps[str]]  # user → when absent, with the reason; people without absences are not in it


class Stretch(NamedTuple):
    """One answer. All moments are in UTC; `end` is exclusive and after the moment asked for: up to it the answer is good."""

    end: datetime
    users: tuple[str, ...]  # () = what is below shows through
    reason: str = ""  # without users: why a layer that is active has nobody; "" = it is not active
    layer: str = ""
    override: str = ""  # id of an override by hand


class Cover(Protocol):
    def stretch(self, at: datetime) -> Stretch:
        """The answer for a moment in UTC."""


class LayerCover(Cover, Protocol):
    def following(self, at: datetime, besides: Collection[str] = ()) -> tuple[str, ...]:
        """The people of the turn after the one that is on call at a moment (UTC); () = the layer has nobody then.

        besides: of the turns that follow, the first that has somebody else than these; where none has, the very next.
        """


class Turns:
    """A layer of the file: people in turns, at the times at which the layer is active."""

    def __init__(self, layer: Layer, zone: ZoneInfo, intervals: Mapping[str, TimeInterval], absences: Absences) -> None:
        turns = layer.users if layer.rotation else (tuple(name for turn in layer.users for name in turn),)
        self._turns = tuple(tuple(dict.fromkeys(turn)) for turn in turns if turn)
        self._name, self._absences = layer.name, absences
        active = tuple(intervals[name] for name in layer.active_time_intervals)
        mute = tuple(intervals[name] for name in layer.mute_time_intervals)
        self._active, self._mute = [spells(interval) for interval in active], [spells(interval) for interval in mute]
        self._held = EARLIEST, -1, EARLIEST  # the last answer of _turn_at, and since when it is good: one question follows another
        self._turn_at: Callable[[datetime], tuple[int, datetime]] | None = None
        if layer.rotation and layer.rotation.active_days:
            self._turn_at = active_days(layer.rotation, zone, active, mute).turn_at
        elif layer.rotation:
            self._turn_at = partial(turn_at, layer.rotation, zone)

    def stretch(self, at: datetime) -> Stretch:
        active, end = self._window(at)
        if not active:
            return Stretch(end, ())
        number, handoff = self._turn(at)
        if number < 0:
            return Stretch(handoff, ())
        users, _, absent, until = self._stand_in(number, at)
        reason = f"layer {self._name}" if users else f"everyone in layer {self._name} is absent"
        if users and absent:
            reason += f", {', '.join(absent)} absent"
        return Stretch(min(end, handoff, until), users, reason, self._name)

    def following(self, at: datetime, besides: Collection[str] = ()) -> tuple[str, ...]:
        number, _ = self._turn(at)
        if number < 0 or not self._window(at)[0]:
            return ()
        _, on_call, _, _ = self._stand_in(number, at)
        turns = [self._stand_in(on_call + nth, at)[0] for nth in range(1, len(self._turns) + 1 if besides else 2)]
        return next((turn for turn in turns if not set(turn).issubset(besides)), turns[0])

    def _window(self, at: datetime) -> tuple[bool, datetime]:
        """Whether the layer's time intervals let it be active, and up to when that is known."""
        active, mute = [spell.at(at) for spell in self._active], [spell.at(at) for spell in self._mute]
        is_open = (not active or any(holds for holds, _ in active)) and not any(holds for holds, _ in mute)
        return is_open, min((end for _, end in (*active, *mute)), default=LATEST)

    def _turn(self, at: datetime) -> tuple[int, datetime]:
        """The number of the turn and when it ends; -1 where there is none."""
        if not self._turns:
            return -1, LATEST
        if self._turn_at is None:
            return 0, LATEST
        since, number, end = self._held
        if not since <= at < end:
            number, end = self._turn_at(at)
            self._held = at, number, end
        # One turn follows itself: its handoffs change nothing.
        return number, LATEST if number >= 0 and len(self._turns) == 1 else end

    def _stand_in(self, number: int, at: datetime) -> tuple[tuple[str, ...], int, list[str], datetime]:
        """The first turn from `number` on with someone present: its people and number, who is absent, up to when that is known."""
        absent: dict[str, None] = {}
        until = LATEST
        for standing in range(number, number + len(self._turns)):
            turn = self._turns[standing % len(self._turns)]
            for name in turn:
                if name in self._absences:
                    away, edge = self._absences[name].at(at)
                    until = min(until, edge)
                    if away is not None:
                        absent[name] = None
            if users := tuple(name for name in turn if name not in absent):
                return users, standing, list(absent), until
        return (), number, list(absent), until


class Overrides:
    """Overrides of the file, or those by hand: they hold whether or not a layer is active, and name people even if those are absent.

    The later in the list wins. People whom the configuration does not know are left out, and an override without anybody
    else is as if it were not there.
    """

    def __init__(self, overrides: Sequence[Override], zone: ZoneInfo, users: Mapping[str, User], text: str = "override") -> None:
        """`text`: what the reason calls them."""
        self._steps = Steps(
            (
                happens(override.start, zone),
                happens(override.end, zone),
                Stretch(LATEST, known, _because(text, override.reason), "", override.id),
            )
            for override in overrides
            if (known := tuple(name for name in dict.fromkeys(override.users) if name in users))
        )

    def stretch(self, at: datetime) -> Stretch:
        held, end = self._steps.at(at)
        return held._replace(end=end) if held else Stretch(end, ())


def absences(users: Mapping[str, User], by_hand: Mapping[str, Sequence[Absence]]) -> Absences:
    """When each of these people is absent, by the file or by hand; those who never are do not appear."""
    return {
        name: Steps((happens(a.start, zone), happens(a.end, zone), a.reason) for a in found)
        for name, user in users.items()
        if (found := (*user.absences, *by_hand.get(name, ()))) and (zone := ZoneInfo(user.timezone))
    }


def _because(text: str, reason: str) -> str:
    return f"{text}: {reason}" if reason else text
