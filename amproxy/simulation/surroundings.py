"""All that simulated groups share: the clock, the roster, turns, mutes of alerts, storms."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from heapq import heappop, heappush
from typing import NamedTuple, Protocol

from amproxy.clock import utc
from amproxy.config.structs import Maintenance
from amproxy.grouping.inhibition import (
    InhibitionIndex,
    InhibitionSource,
    SourceKey,
    find_inhibited,
    firing_sources,
    stored_sources,
    wanted_sources,
)
from amproxy.grouping.maintenance import OpenWindows, is_open, next_change_at
from amproxy.grouping.muting import (
    ManualMutes,
    Muting,
    decide_hold,
    find_maintenance,
    find_silenced,
    mutes_at,
    window_key,
)
from amproxy.grouping.silence_index import SilenceIndex
from amproxy.model import Alert, Silence
from amproxy.oncall.roster import Roster
from amproxy.simulation.incident import RoundRobinTurns
from amproxy.simulation.storms import SimulatedStorms
from amproxy.text import Phrase

# The order at one moment: an answer comes before the next step, and its incident before the answer.
# The end of a window comes last, as the timers of the service have it.
ARRIVAL_RANK, FLUSH_RANK, ANSWER_RANK, TICK_RANK, BUNDLE_RANK, WINDOW_RANK = range(6)


_NO_MUTES = ManualMutes(SilenceIndex().active_at(0), (), {}), Muting({}, {}, {})


class SimulatedActor(Protocol):
    """Something that has things due."""

    def due(self) -> tuple[float, int] | None:
        """The time (Unix seconds) and rank of what is due next; None = nothing."""

    def run_due(self, now: float) -> None:
        """Do what is due."""


class _ScheduledCall(NamedTuple):
    """A call, ordered by time, then by rank, then by the order of scheduling."""

    at: float
    rank: int
    number: int
    actor: SimulatedActor | None  # None: the call itself says what is due afterwards
    call: Callable[[float], object] | None  # None: what the actor itself has due


class VirtualClock:
    """The time of many actors: what is scheduled and what they have due happens in order."""

    def __init__(self) -> None:
        self._queue: list[_ScheduledCall] = []
        self._number = 0
        self.now = 0.0  # Unix seconds: the time of what happens at the moment

    def schedule(
        self, at: float, rank: int, actor: SimulatedActor, call: Callable[[float], object]
    ) -> None:
        """Call something that changes an actor at a time (Unix seconds), with that time."""
        self._push(at, rank, actor, call)

    def call_at(self, at: float, rank: int, call: Callable[[float], object]) -> None:
        """Call something that says itself what is due afterwards."""
        self._push(at, rank, None, call)

    def schedule_due(self, actor: SimulatedActor) -> None:
        """Run what the actor has due, when it is due."""
        if due := actor.due():
            self._push(*due, actor, None)

    def run(self, end: float) -> None:
        """Let time pass up to and with `end` (Unix seconds)."""
        while self._queue and self._queue[0].at <= end:
            at, rank, _, actor, call = heappop(self._queue)
            self.now = at
            if call is not None:
                call(at)
            elif actor is not None and actor.due() == (at, rank):
                actor.run_due(at)
            else:
                continue  # something changed what is due; then that was queued as well
            if actor is not None:
                self.schedule_due(actor)

    def _push(
        self,
        at: float,
        rank: int,
        actor: SimulatedActor | None,
        call: Callable[[float], object] | None,
    ) -> None:
        self._number += 1
        heappush(self._queue, _ScheduledCall(at, rank, self._number, actor, call))


class WindowFollower(SimulatedActor, Protocol):
    """A group, which a window that closes may have to flush."""

    def close_window(self, window: Maintenance, now: float) -> None:
        """Flush soon, where an alert that the window muted still fires."""


class SimulatedSurroundings:
    """The surroundings of one simulation.

    Silences and windows are those made by hand, which only the service knows, or the caller.
    """

    def __init__(
        self,
        roster: Roster,
        silences: Iterable[Silence] = (),
        windows: Iterable[Maintenance] = (),
        sources: Mapping[str, Iterable[InhibitionSource]] | None = None,
    ) -> None:
        """sources: of inhibition that are known besides the alerts of the simulation, by key."""
        self.roster, self.clock = roster, VirtualClock()
        self.turns: RoundRobinTurns = {}
        self._bundles = _Bundles(self)
        self.storms = SimulatedStorms(roster.config, lambda: self.clock.schedule_due(self._bundles))
        self._silences = SilenceIndex(silences)
        self._windows = {window.id: window for window in windows}
        self._openings = OpenWindows(roster.config)
        self._inhibition = InhibitionIndex(roster.config.inhibit_rules)
        # A silence, window or inhibition may mute an alert at some time.
        self.can_mute = bool(
            self._silences or self._openings.all(self._windows) or self._inhibition
        )
        self._sources = {
            key: {one.fingerprint: one for one in found} for key, found in (sources or {}).items()
        }

    def run(self, groups: Sequence[WindowFollower], start: float, end: float) -> None:
        """Let time pass for these groups, and all else that is scheduled (Unix seconds)."""
        windows = self._openings.all(self._windows)
        if windows:
            self.clock.schedule_due(_Windows(self, windows, groups, start))
        self.clock.run(end)

    def add_sources(self, found: Iterable[SourceKey], alert: Alert) -> None:
        """Note that an alert inhibits others for as long as it fires. found: its keys."""
        keyed = stored_sources(found, alert.fingerprint, alert.ends_ns, alert.lapses_ns)
        for key, source in keyed:
            self._sources.setdefault(key, {})[source.fingerprint] = source

    def muting(self, alerts: Sequence[Alert], now: float) -> tuple[ManualMutes, Muting]:
        """The silences and windows in force, and what mutes each alert, at a time."""
        if not self.can_mute:
            return _NO_MUTES
        now_ns = int(now * 10**9)
        mutes = mutes_at(self._silences, self._openings, self._windows, now_ns)
        wanted = wanted_sources(self._inhibition, alerts)
        keys = {key for found in wanted.values() for key, _ in found}
        firing = {
            key: firing_sources(self._sources[key].values(), now_ns)
            for key in keys
            if key in self._sources
        }
        return mutes, Muting(
            find_silenced(mutes.silences, alerts),
            find_inhibited(wanted, firing),
            find_maintenance(self._openings, mutes, alerts, now_ns),
        )

    def hold(self, firing: Sequence[Alert], now: float) -> tuple[Phrase, float] | None:
        """decide_hold for the firing alerts of an incident."""
        if not self.can_mute:
            return None
        return decide_hold(*self.muting(firing, now), firing, now)


class _Bundles:
    """The timers of the storms."""

    def __init__(self, surroundings: SimulatedSurroundings) -> None:
        self._surroundings = surroundings

    def due(self) -> tuple[float, int] | None:
        due = self._surroundings.storms.due
        return None if due is None else (due, BUNDLE_RANK)

    def run_due(self, now: float) -> None:
        self._surroundings.storms.release(now)


class _Windows:
    """The timers of the maintenance windows: where one closes, what still fires is told at once."""

    def __init__(
        self,
        surroundings: SimulatedSurroundings,
        windows: Iterable[Maintenance],
        groups: Sequence[WindowFollower],
        start: float,
    ) -> None:
        self._clock, self._groups = surroundings.clock, groups
        self._intervals = surroundings.roster.config.time_intervals
        self._windows = {window_key(window): window for window in windows}
        self._due = {name: self._change(window, start) for name, window in self._windows.items()}

    def due(self) -> tuple[float, int] | None:
        due = min(self._due.values(), default=math.inf)
        return None if math.isinf(due) else (due, WINDOW_RANK)

    def run_due(self, now: float) -> None:
        for name, window in self._windows.items():
            if self._due[name] > now:
                continue
            self._due[name] = self._change(window, now)
            if is_open(window, self._intervals, utc(now)):
                continue
            for group in self._groups:
                group.close_window(window, now)
                self._clock.schedule_due(group)

    def _change(self, window: Maintenance, at: float) -> float:
        change = next_change_at(window, self._intervals, at)
        return math.inf if change is None else change
