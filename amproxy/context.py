"""What the stages of one process share: the configuration that is in force, the connection to Redis, the wake-up calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from amproxy import clock
from amproxy.config.structs import Config, Override, Route
from amproxy.correlate.placing import Placer
from amproxy.decide.calendar import Calendars
from amproxy.decide.roster import Roster
from amproxy.store.silences import Silences
from amproxy.store.wire import Wire


class Context:
    """`use` puts another configuration in force; everything derived from it follows."""

    def __init__(self, config: Config, wire: Wire, now: Callable[[], float] = clock.now) -> None:
        self.wire = wire
        self.now = now
        self.timers_changed = asyncio.Event()
        self.outbox_filled = asyncio.Event()
        self.overrides: dict[str, list[Override]] = {}
        self.calendars: dict[str, Calendars] = {}
        self.silences = Silences()
        self.external_url = ""
        self.use(config)

    def use(self, config: Config) -> None:
        self.config = config
        self.placer = Placer(config)
        self.routes = _by_key(config.route)
        self.roster = self._roster()

    def use_overrides(self, overrides: dict[str, list[Override]]) -> None:
        """Overrides made by hand: schedule → in the order they were made."""
        self.overrides = overrides
        self.roster = self._roster()

    def use_calendars(self, calendars: dict[str, Calendars]) -> None:
        """Schedule → what its calendars say."""
        self.calendars = calendars
        self.roster = self._roster()

    def _roster(self) -> Roster:
        return Roster(self.config, self.overrides, calendars=self.calendars)

    def wake(self, *, timers: bool = False, outbox: bool = False) -> None:
        """Something of this process's own making is due: do not wait for the next look."""
        if timers:
            self.timers_changed.set()
        if outbox:
            self.outbox_filled.set()


def _by_key(route: Route) -> dict[str, Route]:
    routes: dict[str, Route] = {}
    todo: Sequence[Route] = [route]
    while todo:
        for node in todo:
            routes.setdefault(node.key, node)
        todo = [child for node in todo for child in node.routes]
    return routes
