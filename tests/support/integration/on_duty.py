"""Schedules on a real Redis under a clock of the test's own: replicas that look at their timers when they are told to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec

from amproxy.config.structs import Config, Layer, Override, Rotation, Route, Schedule, User
from amproxy.context import Context
from amproxy.model import OutgoingMessage
from amproxy.shifts import record
from amproxy.shifts.final import FinalShift, final_shifts
from amproxy.shifts.record import record_superseded
from amproxy.store import keys, leases
from amproxy.store.wire import Wire
from tests.support.config.configs import REACHES

HOUR = 3600.0
DAY = 24 * HOUR
START = 1_767_603_600.0  # Monday 2026-01-05 09:00 UTC
KINDS = (
    "going_on_call",
    "leaving",
    "gap_ahead",
    "empty_shift",
    "swap_asked",
)  # by the roster alone
NAMES = ("ann", "bob", "cid")


def people(
    *kinds: str, names: tuple[str, ...] = NAMES, channels: tuple[str, ...] = ("console",)
) -> dict[str, User]:
    """People who want to be told of these kinds."""
    return {
        name: User(
            name=name,
            full_name=name.title(),
            contacts={"console": name, "email": f"{name}@example.org"},
            notices=dict.fromkeys(kinds, channels),  # type: ignore[arg-type]
        )
        for name in names
    }


def turns(
    *names: str, every: str = "1d", seconds: int = 86400, name: str = "daily", **more: Any
) -> Layer:
    """A rotation that begins at START."""
    rotation = Rotation(every=every, seconds=seconds, months=0, start=datetime(2026, 1, 5, 9))
    return Layer(name=name, users=tuple((one,) for one in names), rotation=rotation, **more)


def config(*layers: Layer, users: dict[str, User] | None = None, **more: Any) -> Config:
    schedule = Schedule(name="main", layers=layers or (turns("ann", "bob"),), **more)
    return Config(
        global_=REACHES,
        route=Route(receiver="r", key="{}"),
        users=users or people(),
        schedules={"main": schedule},
    )


def by_hand(user: str, start: float, end: float, id: str = "o") -> Override:
    return Override(
        users=(user,),
        start=datetime.fromtimestamp(start, UTC),
        end=datetime.fromtimestamp(end, UTC),
        id=id,
    )


class Replicas:
    """Contexts on one Redis with one clock."""

    def __init__(self, url: str) -> None:
        self.clock = START
        self._url = url
        self.wires: list[Wire] = []

    async def started(self, found: Config) -> Context:
        wire = Wire(self._url)
        wire.open()
        await wire.connected()
        self.wires.append(wire)
        context = Context(found, wire, lambda: self.clock)
        await context.load_schedule_changes()
        context.superseded.clear()
        await record.restore_schedule_timers(context)
        return context

    async def looks(self, *contexts: Context) -> None:
        """What is due is looked at by each of the replicas, whoever claims it, and doubled on purpose: a lease may run out."""
        for timer in await leases.lease_due(contexts[0].wire, self.clock, 100):
            for context in contexts:
                await record.handle_schedule_timer(context, timer)

    async def passes(self, seconds: float, *contexts: Context) -> None:
        """Let time pass; every timer is taken up when it is due."""
        end = self.clock + seconds
        while (due := await leases.next_due(contexts[0].wire)) is not None and due <= end:
            self.clock = max(self.clock, due)
            await self.looks(*contexts)
        self.clock = end

    async def sent(self) -> list[OutgoingMessage]:
        entries = await self.wires[0].call("XRANGE", keys.OUTBOX, "-", "+")
        return [msgspec.msgpack.decode(fields[1], type=OutgoingMessage) for _, fields in entries]

    async def told(self) -> list[tuple[str, str]]:
        """Kind and person of every notice, in order."""
        return [(one.reason, one.user) for one in await self.sent()]


@asynccontextmanager
async def replicas(url: str) -> AsyncIterator[Replicas]:
    found = Replicas(url)
    yield found
    for wire in found.wires:
        await wire.close()


async def changed(*contexts: Context, to: Config) -> None:
    """Every replica takes up another file."""
    for context in contexts:
        context.use_config(to)
        await record_superseded(context)


async def shifts(
    context: Context, start: float, end: float, schedule: str = "main"
) -> list[tuple[float, float, str, bool]]:
    """(hours after START, hours after START, who, recorded)"""
    found = await final_shifts(
        context, schedule, datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC)
    )
    return [(hours(one.start), hours(one.end), who(one), one.recorded) for one in found]


def hours(at: datetime) -> float:
    return round((at.timestamp() - START) / HOUR, 4)


def who(one: FinalShift) -> str:
    return "+".join(person.user for person in one.people)
