"""The bound on big bodies: how many are received at a time, and one of them worked on.

Small pushes ask nobody. What a big one needs meanwhile is many times its size, so without a bound
a few dozen at once would take all memory.
"""

from __future__ import annotations

import asyncio
from typing import Final

from amproxy import timeouts
from amproxy.accept.body import PushRefused
from amproxy.text import phrase

MAX_RECEIVED: Final = 4  # big bodies that are kept at a time
PATIENCE: Final = 10.0  # seconds that another one waits before it is refused


class BigBodies:
    """The bodies of one process."""

    def __init__(self) -> None:
        self.received = asyncio.Semaphore(MAX_RECEIVED)
        self.processed = asyncio.Lock()


class BigBody:
    """The body of one push, small as long as nothing else is known. `end` gives all back."""

    def __init__(self, bodies: BigBodies) -> None:
        self._bodies = bodies
        self._is_received = self._is_processed = False

    async def begin(self) -> None:
        """Wait until it may be received, if it turns out to be big. Raises PushRefused(503)."""
        if self._is_received:
            return
        try:
            async with timeouts.limit(PATIENCE):
                await self._bodies.received.acquire()
        except TimeoutError:
            raise PushRefused(503, phrase("refusal.big_bodies")) from None
        self._is_received = True

    async def process(self) -> None:
        """Wait until it may be worked on, now that it is known to be big. Raises PushRefused(503).

        A few bytes of gzip may be that only when they are unpacked.
        """
        await self.begin()
        await self._bodies.processed.acquire()
        self._is_processed = True

    def end(self) -> None:
        if self._is_processed:
            self._bodies.processed.release()
        if self._is_received:
            self._bodies.received.release()
