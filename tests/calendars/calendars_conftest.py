"""Real Redis, a real server of calendars, and processes that keep calendars."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field

import pytest
from icals import USERS, utc
from road.conftest_road import redis_url  # noqa: F401  # fixture
from standins.calendar import CalendarServer

from amproxy.calendars.keeper import CalendarKeeper
from amproxy.config.structs import Config, Ical, Route, Schedule
from amproxy.context import Context
from amproxy.store import keys
from amproxy.store.wire import Wire


@pytest.fixture
def calendar_server() -> Iterator[CalendarServer]:
    with CalendarServer() as server:
        yield server


def config_of(ical: Ical, **more: Ical) -> Config:
    """A schedule "db" with a calendar, and more schedules by their name."""
    schedules = {name: Schedule(name=name, ical=one) for name, one in {"db": ical, **more}.items()}
    return Config(route=Route(receiver="default", key="{}"), users=USERS, schedules=schedules)


@dataclass
class Replica:
    """One process: its keeper runs, and hears what others publish."""

    context: Context
    keeper: CalendarKeeper
    clock: list[float]
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def on_call(self, at: str, schedule: str = "db") -> tuple[str, ...]:
        return self.context.roster.on_call(schedule, utc(at)).users

    def start(self) -> None:
        def heard(what: str) -> None:
            kind, _, rest = what.partition(" ")
            if kind == "calendar":
                self.tasks.append(asyncio.create_task(self.keeper.heard(rest)))

        self.tasks += [asyncio.create_task(self.keeper.run()), asyncio.create_task(self.context.wire.subscribe(keys.CHANGES, heard))]

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.keeper.close()
        with contextlib.suppress(asyncio.CancelledError):
            await self.context.wire.close()


Replicas = Callable[..., Awaitable[Replica]]
NOW = 1_772_528_400.0  # Tuesday 2026-03-03 09:00 UTC


@pytest.fixture
async def replica_of(redis_url: str) -> AsyncIterator[Replicas]:  # noqa: F811
    """Build a process of a configuration; `run` starts it."""
    made: list[Replica] = []

    async def build(config: Config, *, run: bool = True) -> Replica:
        wire, clock = Wire(redis_url), [NOW]
        wire.open()
        await wire.connected()
        context = Context(config, wire, lambda: clock[0])
        replica = Replica(context, CalendarKeeper(context, f"replica-{len(made)}"), clock)
        made.append(replica)
        await replica.keeper.load()
        if run:
            replica.start()
        return replica

    yield build
    for replica in made:
        await replica.stop()
