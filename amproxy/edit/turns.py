"""Starts of rotations that keep the present turn, where a change has other people in a layer. Pure.

A rotation counts its turns from its start, so that one person more puts somebody else on call at
once. A start that lies some turns earlier leaves the handoffs where they are, and the turn too.
"""

from __future__ import annotations

import copy
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from amproxy.config.structs import Config, Layer, Rotation
from amproxy.oncall.layers import active_days, handoff_time, turn_at
from amproxy.times import EARLIEST

_DAY_SECONDS: Final = 86400
# Starts that are tried at most. Months of other lengths, and days without anybody, make some of
# them useless.
_TRIES_PER_TURN: Final = 12


def keep_present_turns(
    before: Config, after: Config, name: str, layers: list[Any], now: datetime
) -> list[Any]:
    """Return a schedule's layers, as the file has them, with starts that keep the present turns.

    layers: those of `after`. Left as it is: a layer without a rotation before or after, one whose
    start was changed too, and one in which nobody of the present turn is left. now: aware.
    """
    old = {layer.name: layer for layer in before.schedules[name].layers}
    # The schedule may be renamed by the same change: its place stays.
    place = list(before.schedules).index(name)
    schedule = list(after.schedules.values())[place]
    kept = copy.deepcopy(layers)
    for entry, layer in zip(kept, schedule.layers, strict=True):
        if layer.name in old:
            start = _keeping_start(before, after, schedule.timezone, old[layer.name], layer, now)
            if start is not None:
                entry["rotation"]["start"] = start.isoformat(
                    timespec="seconds" if start.second else "minutes"
                )
    return kept


def _keeping_start(
    before: Config, after: Config, zone_name: str, old: Layer, new: Layer, now: datetime
) -> datetime | None:
    """The start with which `new` has the turn that `old` has now; None = leave it as it is."""
    if old.rotation is None or new.rotation is None or old.users == new.users:
        return None
    if old.rotation.start != new.rotation.start:
        return None  # somebody has chosen the start
    zone = ZoneInfo(zone_name)
    number, _ = _turn(before, old, old.rotation, zone, now)
    if number < 0:
        return None
    present = old.users[number % len(old.users)]
    wanted = _same_turn(new, present)
    if wanted is None:
        return None
    _, handoff = _turn(after, new, new.rotation, zone, now)
    for back in range(_TRIES_PER_TURN * len(new.users) * _steps_per_turn(new.rotation)):
        moved = _moved_back(new.rotation, back)
        if moved.start.year < EARLIEST.year:
            return None
        found, end = _turn(after, new, moved, zone, now)
        if found >= 0 and found % len(new.users) == wanted and end == handoff:
            return moved.start if back else None
    return None


def _same_turn(layer: Layer, present: tuple[str, ...]) -> int | None:
    """The place of the turn with the same people, else of the first with one of them."""
    same = [nth for nth, turn in enumerate(layer.users) if set(turn) == set(present)]
    some = [nth for nth, turn in enumerate(layer.users) if set(turn) & set(present)]
    return next(iter([*same, *some]), None)


def _steps_per_turn(rotation: Rotation) -> int:
    # With active days a day without anybody is no step of the turns.
    return rotation.seconds // _DAY_SECONDS if rotation.active_days else 1


def _moved_back(rotation: Rotation, back: int) -> Rotation:
    if rotation.active_days:
        return replace(rotation, start=rotation.start - timedelta(days=back))
    return replace(rotation, start=handoff_time(rotation, -back))


def _turn(
    config: Config, layer: Layer, rotation: Rotation, zone: ZoneInfo, now: datetime
) -> tuple[int, datetime]:
    if not rotation.active_days:
        return turn_at(rotation, zone, now)
    active = tuple(config.time_intervals[one] for one in layer.active_time_intervals)
    mute = tuple(config.time_intervals[one] for one in layer.mute_time_intervals)
    return active_days(rotation, zone, active, mute).turn_at(now)
