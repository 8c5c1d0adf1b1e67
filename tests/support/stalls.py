"""The longest time for which this process answered nobody, whatever else the machine did."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

EVERY = 0.01  # seconds


@dataclass
class Stalls:
    longest: float = 0.0  # seconds

    async def watch(self) -> None:
        while True:
            due, used = time.monotonic() + EVERY, time.process_time()
            await asyncio.sleep(EVERY)
            late = time.monotonic() - due
            # A process that the machine has stopped uses no time meanwhile: that is not its own doing.
            self.longest = max(self.longest, min(late, time.process_time() - used))


@contextlib.asynccontextmanager
async def stalls() -> AsyncIterator[Stalls]:
    """Measure as long as the `with`."""
    found = Stalls()
    # What other tests have left in this process is not gone through meanwhile, as the service does
    # not go through its modules.
    gc.collect()
    gc.freeze()
    watching = asyncio.create_task(found.watch())
    await asyncio.sleep(2 * EVERY)
    try:
        yield found
        await asyncio.sleep(2 * EVERY)
    finally:
        watching.cancel()
        gc.unfreeze()
