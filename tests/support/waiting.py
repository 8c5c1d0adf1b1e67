"""Patience: waiting for what must come, however busy the machine is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

Found = TypeVar("Found")

# Long: a test that waits so long fails anyhow, and a busy machine may stand still for seconds.
PATIENCE = 60.0


def until(
    look: Callable[[], Found], seconds: float = PATIENCE, why: str = "it did not happen in time"
) -> Found:
    """Look again and again until there is something; what was found."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, why
        time.sleep(0.02)
    return found


async def soon(
    holds: Callable[[], Any], seconds: float = PATIENCE, why: str = "it did not happen in time"
) -> Any:
    """The same in an event loop; `holds` may be awaitable."""
    deadline = time.monotonic() + seconds
    while True:
        found = holds()
        if isinstance(found, Awaitable):
            found = await found
        if found:
            return found
        assert time.monotonic() < deadline, why
        await asyncio.sleep(0.01)
