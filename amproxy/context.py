"""The state that the parts of one process share: configuration, roster, Redis, wake-up calls."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import NamedTuple

from amproxy import clock
from amproxy.config.structs import Config, Route
from amproxy.config.subscriptions import Subscription, with_subscriptions
from amproxy.errors import ConfigProblem
from amproxy.event_recorder import EventRecorder
from amproxy.grouping.maintenance import OpenWindows
from amproxy.grouping.placement import Placer
from amproxy.grouping.silence_index import SilenceIndex
from amproxy.model import Group
from amproxy.oncall.calendars import ScheduleCalendars
from amproxy.oncall.roster import Roster
from amproxy.store import schedule_changes, subscriptions
from amproxy.store.health import OperatorWarning
from amproxy.store.leases import Timer
from amproxy.store.muting import MaintenanceWindowCache, SilenceCache
from amproxy.store.schedule_changes import ManualScheduleChanges
from amproxy.store.wire import Wire

# Seconds. A roster in force for less was a step on the way to the next, as at a start or a reload:
# nobody was on call by it, so it must not be written down as the past.
SHORTEST_IN_FORCE = 1.0
MAX_SUPERSEDED = 100  # rosters whose past may have to be written down yet
LARGE_GROUP = 100  # alerts
MAX_LARGE_GROUPS = 16  # held in memory at a time for what is due


class SupersededRoster(NamedTuple):
    """A roster that was in force in this process until another replaced it."""

    roster: Roster
    until: float  # Unix seconds


class TimerTurns(NamedTuple):
    """The turns that timers have in this process: only so many are worked on at a time.

    Whoever sets a timer and leases it in the same step hands it over here.
    """

    free: asyncio.Semaphore
    begin: Callable[
        [Timer, float], None
    ]  # do the work of one leased at a time; gives its turn back
    lose: Callable[[Timer, float], None]  # let one come again soon, if it was leased at all

    async def take(self, turns: int) -> bool:
        """Take so many turns, all or none, without waiting for any."""
        for taken in range(turns):
            if self.free.locked():
                self.give_back(taken)
                return False
            await self.free.acquire()
        return True

    def give_back(self, turns: int) -> None:
        for _ in range(turns):
            self.free.release()


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
        self.timer_turns: TimerTurns | None = None  # None: no worker runs in this process
        self.outbox_filled = asyncio.Event()
        self.roster_changed = asyncio.Event()
        self.schedule_changes = ManualScheduleChanges()
        self.calendars: dict[str, ScheduleCalendars] = {}
        self.push_key = ""  # the VAPID key that Redis has; "" = none yet
        self._subscriptions: list[Subscription] | None = None  # None = not loaded yet
        self.superseded: deque[SupersededRoster] = deque(maxlen=MAX_SUPERSEDED)
        self.checked_roster: Roster | None = None  # by which the checks of all schedules are set
        self._roster: Roster | None = None
        self._roster_since = now()
        self.silences = SilenceCache(SilenceIndex(), SilenceIndex.changed)
        self.windows = MaintenanceWindowCache()
        # Held by who reads all alerts, or a big incident: several at once would take all memory,
        # and both threads for heavy work.
        self.big_read = asyncio.Semaphore(1)
        self.events = EventRecorder(now)
        self._large_groups = asyncio.Semaphore(MAX_LARGE_GROUPS)
        self.external_url = ""
        self.replica = "amproxy"  # this process's name among those that share the store
        self.signing_key = ""  # of links, as Redis has it; "" = not loaded yet
        self.in_force_since = now()  # when the configuration was loaded
        # Unix seconds: since when pushes have been taken without a break; 0 = always.
        self.serving_since = 0.0
        self.dispatch_from = 0.0  # Unix seconds: until then no group is flushed
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
        self._file = config
        self.config = self.with_subscriptions(config)
        self.placer = Placer(config)
        self._routes = _routes_by_identity(config.route)
        self.shortest_auto_resolve = min(
            (one.auto_resolve for one in config.policies.values() if one.auto_resolve), default=0.0
        )
        self.open_windows = OpenWindows(config)
        self.events.use(config.event_recorder)
        self.roster = self._build_roster()

    def route_of(self, group: Group) -> Route | None:
        """The route that made a group; None where the file in force does not have it."""
        return self._routes.get((group.receiver, group.route_key, group.twin))

    def with_subscriptions(self, config: Config) -> Config:
        """A file together with the devices that take pushes, once these are known."""
        if self._subscriptions is None:
            return config
        return with_subscriptions(config, self._subscriptions, self.push_key)

    async def load_subscriptions(self) -> None:
        """Read the devices that take pushes, and put them in force. Raises StoreUnavailable.

        As of the schedule changes below: the others hear of it.
        """
        found, key = await asyncio.gather(
            subscriptions.load_subscriptions(self.wire), subscriptions.load_push_key(self.wire)
        )
        if (found, key) != (self._subscriptions, self.push_key):
            self._subscriptions, self.push_key = found, key
            self.config = self.with_subscriptions(self._file)
            self.roster = self._build_roster()

    def use_schedule_changes(self, changes: ManualScheduleChanges) -> None:
        """Put the overrides, absences and swaps made by hand in force."""
        self.schedule_changes = changes
        self.roster = self._build_roster()

    async def load_schedule_changes(self) -> None:
        """Read them from Redis and put them in force. Raises StoreUnavailable.

        The process that makes a change calls this, to follow it at once; the others hear of it.
        """
        changes = await schedule_changes.load_manual_changes(self.wire)
        # A new roster knows no shifts yet: all that follows would find them anew.
        if changes != self.schedule_changes:
            self.use_schedule_changes(changes)

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
            before=self._roster,
        )

    def room_for(self, alerts: int) -> AbstractAsyncContextManager[None]:
        """Wait until there is room in memory for a group of so many alerts, and hold it."""
        return self._large_groups if alerts > LARGE_GROUP else nullcontext()

    def wake(self, *, timers: bool = False, outbox: bool = False) -> None:
        """Wake the workers of this process: it has just stored what is due."""
        if timers:
            self.timers_changed.set()
        if outbox:
            self.outbox_filled.set()


def _routes_by_identity(route: Route) -> dict[tuple[str, str, int], Route]:
    found: dict[tuple[str, str, int], Route] = {}
    todo: Sequence[Route] = [route]
    while todo:
        found |= {(node.receiver, node.key, node.twin): node for node in todo}
        todo = [child for node in todo for child in node.routes]
    return found
