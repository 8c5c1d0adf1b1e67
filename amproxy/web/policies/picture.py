"""A policy drawn on an axis of time: a dot for each deed, a line for each wait. Pure; lengths are pixels."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from amproxy.config.structs import Condition, ForwardStep, NotifyStep, Policy, ResolveStep, Step, Wait, WaitForAlertsStep, WaitUntilStep

_MARGIN: Final = 26
_TOGETHER: Final = 34  # between two deeds without a wait
_SHORTEST: Final = 56  # of a wait
_LONGEST: Final = 150
_OPEN: Final = 90  # of a wait whose end is not known


class Dot(NamedTuple):
    """One deed, at its moment."""

    x: int
    number: int  # of the step, from 1
    kind: str  # "page", "important", "tell", "forward" or "resolve"
    conditional: bool
    seconds: float | None  # after the beginning; None = it depends


class Line(NamedTuple):
    """One wait."""

    start: int
    end: int
    step: Step

    @property
    def middle(self) -> int:
        return (self.start + self.end) // 2

    @property
    def open(self) -> bool:
        """Nobody knows how long it lasts."""
        return not isinstance(self.step, Wait)


class Picture(NamedTuple):
    width: int
    dots: list[Dot]
    lines: list[Line]


def picture(policy: Policy) -> Picture:
    """One round of the steps, if nobody answers. Long waits are drawn longer, but not as much as they are."""
    x, seconds = _MARGIN, 0.0
    known = True
    dots: list[Dot] = []
    lines: list[Line] = []
    for number, step in enumerate(policy.steps, 1):
        if isinstance(step, Wait | WaitUntilStep | WaitForAlertsStep):
            length = _length(step.seconds) if isinstance(step, Wait) else _OPEN
            lines.append(Line(x, x + length, step))
            x += length
            known = known and isinstance(step, Wait)
            seconds += step.seconds if isinstance(step, Wait) else 0
            continue
        if dots and dots[-1].x > x - _TOGETHER:
            x = dots[-1].x + _TOGETHER
        dots.append(Dot(x, number, _kind(step), _conditional(step), seconds if known else None))
    return Picture(x + _MARGIN, dots, lines)


def _length(seconds: float) -> int:
    return min(_LONGEST, _SHORTEST + round(18 * math.log2(1 + seconds / 120)))


def _kind(step: Step) -> str:
    match step:
        case NotifyStep(receiver=""):
            return "important" if step.urgency == "important" else "page"
        case ForwardStep():
            return "forward"
        case ResolveStep():
            return "resolve"
        case _:
            return "tell"


def _conditional(step: Step) -> bool:
    return isinstance(step, Condition) and bool(step.matchers or step.active_time_intervals or step.mute_time_intervals)
