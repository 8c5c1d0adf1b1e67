"""Who is on call: the look-ups that escalation, pages and the API share. Pure: every moment is an argument."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from amproxy.config.structs import Config, Override


class OnCall(msgspec.Struct, frozen=True, kw_only=True):
    """Who is on call for one schedule at one moment."""

    schedule: str
    at: datetime
    users: tuple[str, ...]
    until: datetime | None  # the next moment at which `users` changes; None = not within the horizon (a year)
    next: tuple[str, ...]  # who is on call right after `until`
    reason: str  # "layer weekly", "override", "override by hand: swapped", "nobody: no layer is active"


class Shift(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of time with the same people for the same reason."""

    start: datetime
    end: datetime  # exclusive
    users: tuple[str, ...]  # () = a gap
    reason: str
    layer: str = ""
    override: str = ""  # id of the override by hand


class Roster:
    """All schedules of a configuration, with the overrides made by hand."""

    def __init__(self, config: Config, overrides: Mapping[str, Sequence[Override]] | None = None) -> None:
        self.config = config
        self.overrides = overrides or {}

    def on_call(self, schedule: str, at: datetime) -> OnCall:
        """Raises KeyError for an unknown schedule."""
        raise NotImplementedError

    def turn_after(self, schedule: str, at: datetime) -> OnCall:
        """`position: next`: the people of the turn that follows, in its order, the turn that is on call at `at`."""
        raise NotImplementedError

    def shifts(self, schedule: str, start: datetime, end: datetime) -> list[Shift]:
        """What is final between two moments: no overlaps, in order, gaps included (users = ()), ends clipped."""
        raise NotImplementedError

    def uncovered(self, schedule: str, start: datetime, end: datetime) -> float:
        """Seconds without anybody on call."""
        raise NotImplementedError

    def absent(self, user: str, at: datetime) -> bool:
        raise NotImplementedError

    def holds(self, interval: str, at: datetime) -> bool:
        """Whether a time interval of the configuration holds."""
        raise NotImplementedError

    def opens(self, interval: str, at: datetime) -> datetime | None:
        """The first moment at or after `at` at which a time interval holds; None = never within four years."""
        raise NotImplementedError
