"""Processes that keep calendars, on a real Redis."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from amproxy.calendars.keeper import CalendarKeeper
from amproxy.config.structs import Config, Ical, Route, Schedule
from amproxy.context import Context
from amproxy.store import keys
from tests.support.calendars.icals import USERS, utc


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
                self.tasks.append(asyncio.create_task(self.keeper.on_text_changed(rest)))

        self.tasks += [
            asyncio.create_task(self.keeper.run()),
            asyncio.create_task(self.context.wire.subscribe(keys.CHANGES, heard)),
        ]

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.keeper.close()
        with contextlib.suppress(asyncio.CancelledError):
            await self.context.wire.close()


Replicas = Callable[..., Awaitable[Replica]]
NOW = 1_772_528_400.0  # Tuesday 2026-03-03 09:00 UTC
