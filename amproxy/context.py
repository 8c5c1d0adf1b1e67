"""The state that the parts of one process share: configuration, roster, Redis, wake-up calls."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from amproxy import clock
from amproxy.config.structs import Config, Route
from amproxy.errors import ConfigProblem
from amproxy.grouping.maintenance import OpenWindows
from amproxy.grouping.placement import Placer
from amproxy.oncall.calendars import ScheduleCalendars
from amproxy.oncall.roster import Roster
from amproxy.store import schedule_changes
from amproxy.store.health import OperatorWarning
from amproxy.store.muting import MaintenanceWindowCache, SilenceCache
from amproxy.store.schedule_changes import ManualScheduleChanges
from amproxy.store.wire import Wire

# Seconds. A roster in force for less was a step on the way to the next, as at a start or a reload:
# nobody was on call by it, so it must not be written down as the past.
SHORTEST_IN_FORCE = 1.0
MAX_SUPERSEDED = 100  # rosters whose past may have to be written down yet


class SupersededRoster(NamedTuple):
    """A roster that was in force in this process until another replaced it."""

    roster: Roster
    until: float  # Unix seconds


class FailedConfigLoad(NamedTuple):
    """A file that did not come into force when it was last loaded."""

    at: float  # Unix seconds
    problems: tuple[ConfigProblem, ...]


class Context:
    """The shared state. `use_config` puts another file in force, and all that derives from it."""

    def __init__(self, config: Config, wire: Wire, now: Callable[[], float] = clock.now) -> None:
        self.wire = wire
        self.now = now
        self.timers_changed = asyncio.Event()
        self.outbox_filled = asyncio.Event()
        self.roster_changed = asyncio.Event()
        self.schedule_changes = ManualScheduleChanges()
        self.calendars: dict[str, ScheduleCalendars] = {}
        self.superseded: deque[SupersededRoster] = deque(maxlen=MAX_SUPERSEDED)
        self._roster: Roster | None = None
        self._roster_since = now()
        self.silences = SilenceCache()
        self.windows = MaintenanceWindowCache()
        # Held by who reads all alerts, or a big incident: several at once would take all memory,
        # and both threads for heavy work.
        self.big_read = asyncio.Semaphore(1)
        self.external_url = ""
        self.signing_key = ""  # of links, as Redis has it; "" = not loaded yet
        self.in_force_since = now()  # when the configuration was loaded
        self.serving_since = 0.0  # Unix seconds: when pushes began to be taken; 0 = always were
        self.warnings: tuple[OperatorWarning, ...] = ()  # about Redis and the clock
        self.clock_difference: float | None = None  # seconds by which Redis' clock is ahead
        self.failed_load: FailedConfigLoad | None = None  # None: the last load went well
        self.use_config(config)

    @property
    def roster(self) -> Roster:
        """The roster in force. Setting another keeps this one for the record of past shifts."""
        assert self._roster is not None  # __init__ puts a configuration in force
        return self._roster

    @roster.setter
    def roster(self, roster: Roster) -> None:
        now = self.now()
        if self._roster is not None and now - self._roster_since >= SHORTEST_IN_FORCE:
            self.superseded.append(SupersededRoster(self._roster, now))
            self._roster_since = now
        self._roster = roster
        self.roster_changed.set()

    def use_config(self, config: Config) -> None:
        """Put a configuration in force."""
        self.in_force_since, self.failed_load = self.now(), None
        self.config = config
        self.placer = Placer(config)
        self.routes = _routes_by_key(config.route)
        self.shortest_auto_resolve = min(
            (one.auto_resolve for one in config.policies.values() if one.auto_resolve), default=0.0
        )
        self.open_windows = OpenWindows(config)
        self.roster = self._build_roster()

    def use_schedule_changes(self, changes: ManualScheduleChanges) -> None:
        """Put the overrides, absences and swaps made by hand in force."""
        self.schedule_changes = changes
        self.roster = self._build_roster()

    async def load_schedule_changes(self) -> None:
        """Read them from Redis and put them in force. Raises StoreUnavailable.

        The process that makes a change calls this, to follow it at once; the others hear of it.
        """
        self.use_schedule_changes(await schedule_changes.load_manual_changes(self.wire))

    def use_calendars(self, calendars: dict[str, ScheduleCalendars]) -> None:
        """Put the calendars of schedules in force, by the name of the schedule."""
        self.calendars = calendars
        self.roster = self._build_roster()

    def _build_roster(self) -> Roster:
        made = self.schedule_changes
        return Roster(
            self.config,
            made.overrides,
            absences=made.absences,
            swaps=made.swaps,
            calendars=self.calendars,
        )

    def wake(self, *, timers: bool = False, outbox: bool = False) -> None:
        """Wake the workers of this process: it has just stored what is due."""
        if timers:
            self.timers_changed.set()
        if outbox:
            self.outbox_filled.set()


def _routes_by_key(route: Route) -> dict[str, Route]:
    routes: dict[str, Route] = {}
    todo: Sequence[Route] = [route]
    while todo:
        for node in todo:
            routes.setdefault(node.key, node)
        todo = [child for node in todo for child in node.routes]
    return routes
