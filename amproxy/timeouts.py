"""Time-outs that count the time in which this process ran.

In a process that was stopped or held up, timers come before what sockets have received meanwhile:
by asyncio.timeout a call that was answered long ago would count as not answered, and be made a
second time.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator
from typing import Final

TICK: Final = 1.0  # seconds
LAST_LOOK: Final = 0.25  # seconds after the last tick, in which the loop reads what has come


@contextlib.asynccontextmanager
async def limit(seconds: float) -> AsyncIterator[None]:
    """Raise TimeoutError after so many seconds in which the event loop ran, and LAST_LOOK more.

    Ticks are counted, not time: one that comes late, however late, is one tick.
    """
    loop, ticks = asyncio.get_running_loop(), max(1, math.ceil(seconds / TICK))
    timers = list[asyncio.TimerHandle]()

    def tick(left: int) -> None:
        timers.clear()
        if left < 0:
            scope.reschedule(loop.time())
        else:
            timers.append(loop.call_later(seconds / ticks if left else LAST_LOOK, tick, left - 1))

    async with asyncio.timeout(None) as scope:
        tick(ticks)
        try:
            yield
        finally:
            for timer in timers:
                timer.cancel()
