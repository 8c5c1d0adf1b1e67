"""A connection to an empty Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from amproxy.store.wire import Wire


@pytest.fixture
async def wire(redis_url: str) -> AsyncIterator[Wire]:
    wire = Wire(redis_url)
    wire.open()
    await wire.connected()
    yield wire
    await wire.close()
