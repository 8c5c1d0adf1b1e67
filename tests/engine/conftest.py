"""The state of one process around an empty Redis, with nothing at work."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from amproxy.context import Context
from amproxy.store.wire import Wire
from tests.support.integration.house import config


@pytest.fixture
async def context(redis_url: str) -> AsyncIterator[Context]:
    wire = Wire(redis_url)
    wire.open()
    await wire.connected()
    yield Context(config(), wire)
    await wire.close()
