"""A server of calendars, and processes that keep calendars, ended with the test.

See tests/support/calendars/replicas.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from amproxy.calendars.keeper import CalendarKeeper
from amproxy.config.structs import Config
from amproxy.context import Context
from amproxy.store.wire import Wire
from tests.support.calendars.replicas import NOW, Replica, Replicas
from tests.support.standins.calendar import CalendarServer


@pytest.fixture
def calendar_server() -> Iterator[CalendarServer]:
    with CalendarServer() as server:
        yield server


@pytest.fixture
async def replica_of(redis_url: str) -> AsyncIterator[Replicas]:
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
