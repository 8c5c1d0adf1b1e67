"""Houses on the road of an alert (tests/support/road/house.py), ended with the test."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from amproxy.config.structs import Config
from amproxy.context import Context
from amproxy.store.wire import Wire
from tests.support.integration.house import House


@pytest.fixture
async def house_of(redis_url: str) -> AsyncIterator[Callable[[Config], Awaitable[House]]]:
    """Build a running house of a configuration."""
    houses: list[House] = []

    async def build(wanted: Config) -> House:
        wire = Wire(redis_url)
        wire.open()
        await wire.connected()
        house = House(Context(wanted, wire))
        house.start()
        houses.append(house)
        return house

    yield build
    for house in houses:
        await house.stop()
        with contextlib.suppress(asyncio.CancelledError):
            await house.context.wire.close()
