"""What the stages of one process share: the configuration that is in force, the connection to Redis, the wake-up calls."""

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
from amproxy.store.muting import MaintenanceWindowCache, SilenceCache
from amproxy.store.schedule_changes import ManualScheduleChanges
from amproxy.store.wire import Wire

SHORTEST_IN_FORCE = 1.0  # seconds: what was in force for less was a step on the way to the roster after it, as at a start or a reload


class SupersededRoster(NamedTuple):
    """A roster that was in force in this process until it gave way to another."""

    roster: Roster
    until: float  # Unix seconds


class FailedConfigLoad(NamedTuple):
    """A file that did not come into force when it was last loaded."""

    at: float  # Unix seconds
    problems: tuple[ConfigProblem, ...]


class Context:
    """`use` puts another configuration in force; everything derived from it follows."""

    def __init__(self, config: Config, wire: Wire, now: Callable[[], float] = clock.now) -> None:
        self.wire = wire
        self.now = now
        self.timers_changed = asyncio.Event()
        self.outbox_filled = asyncio.Event()
        self.by_hand = ManualScheduleChanges()
        self.superseded: deque[SupersededRoster] = deque(maxlen=100)  # what they said of the past may have to be written down yet
        self.roster_changed = asyncio.Event()
        self._roster: Roster | None = None
        self._roster_since = now()
        self.calendars: dict[str, ScheduleCalendars] = {}
        self.silences = SilenceCache()
        self.windows = MaintenanceWindowCache()
        self.external_url = ""
        self.in_force_since = now()  # when the configuration was loaded
        self.refused: FailedConfigLoad | None = None  # None: the last load went well
        self.use(config)

    @property
    def roster(self) -> Roster:
        """The roster in force. Whoever replaces it leaves the one before to those who write down the past."""
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

    def use(self, config: Config) -> None:
        self.in_force_since, self.refused = self.now(), None
        self.config = config
        self.placer = Placer(config)
        self.routes = _routes_by_key(config.route)
        self.openings = OpenWindows(config)
        self.roster = self._made()

    def use_by_hand(self, changed: ManualScheduleChanges) -> None:
        """What people have changed by hand about who is on call."""
        self.by_hand = changed
        self.roster = self._made()

    async def load_by_hand(self) -> None:
        """Read it anew and use it: this process follows a change at once, the others hear of it. Raises StoreUnavailable."""
        self.use_by_hand(await schedule_changes.load_manual_changes(self.wire))

    def use_calendars(self, calendars: dict[str, ScheduleCalendars]) -> None:
        """Schedule → what its calendars say."""
        self.calendars = calendars
        self.roster = self._made()

    def _made(self) -> Roster:
        made = self.by_hand
        return Roster(self.config, made.overrides, absences=made.absences, swaps=made.swaps, calendars=self.calendars)

    def wake(self, *, timers: bool = False, outbox: bool = False) -> None:
        """Something of this process's own making is due: do not wait for the next look."""
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
