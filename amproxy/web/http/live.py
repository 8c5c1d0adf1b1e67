"""Live updates: every open page gets this process's changes as server-sent events, in rounds.

Whatever changes and however many pages are open, refreshing them takes no more than SHARE of the
process: intake goes first. The cost of a round is measured, and the next one waits accordingly.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import StreamingResponse

PACE = 1.0  # seconds between rounds, at least
SHARE = 0.1  # of the process's time that refreshing open pages may take
GUESS = 0.002  # seconds that a page costs which was not open in the round before
KEEPALIVE = 15.0  # seconds until a comment line is sent, so that a reader that is gone is noticed
RETRY_MS = 2000  # milliseconds until a browser reconnects
# Pages that listen, at most: each holds a connection for as long as it is open.
MAX_LISTENERS = 1000
CROWDED_RETRY_MS = 30_000  # milliseconds until a page beyond that asks again, and refreshes itself


class LiveHub:
    """Publish changes to all listeners, in rounds. `close` ends every stream, for a stop."""

    def __init__(self) -> None:
        self.limit = MAX_LISTENERS
        self._listeners: set[asyncio.Queue[str | None]] = set()
        self._closed = False
        self._latest = ""
        self._round_planned = False
        self._next_round_at = 0.0  # not before, on the loop's clock
        self._round_pages = 0  # pages in the last round
        self._cost = 0.0  # seconds of work that they have taken since it began
        self._began = 0.0  # start of the last round, on the loop's clock

    def publish(self, text: str) -> None:
        """Make open pages refresh after a change ("incident ID"). Never waits.

        Of several changes in one round they get the last: any is enough to refresh.
        """
        self._latest = text
        if self._listeners and not self._round_planned:
            self._round_planned = True
            loop = asyncio.get_running_loop()
            loop.call_at(max(self._next_round_at, loop.time()), self._begin_round)

    @property
    def crowded(self) -> bool:
        """True while no further page may listen."""
        return len(self._listeners) >= self.limit

    def age(self) -> float:
        """Seconds since the last round began: a page no older shows all changes before that."""
        return asyncio.get_running_loop().time() - self._began

    def add_cost(self, seconds: float) -> None:
        """Count time that the refresh of a page has taken."""
        self._cost += seconds

    def close(self) -> None:
        self._closed = True
        for queue in self._listeners:
            _put_latest(queue, None)

    async def listen(self) -> AsyncIterator[str]:
        """Yield the text of each round, "" after KEEPALIVE seconds without one, until closed."""
        queue: asyncio.Queue[str | None] = asyncio.Queue(1)
        self._listeners.add(queue)
        try:
            while not self._closed:
                try:
                    async with asyncio.timeout(KEEPALIVE):
                        text = await queue.get()
                except TimeoutError:
                    text = ""
                if text is None:
                    return
                yield text
        finally:
            self._listeners.discard(queue)

    def _begin_round(self) -> None:
        """Notify all pages, spread over the round, so that they do not all come back at once."""
        loop, pages = asyncio.get_running_loop(), len(self._listeners)
        cost = self._cost + GUESS * max(0, pages - self._round_pages)
        length = max(PACE, cost / SHARE)
        self._round_pages, self._cost, self._round_planned = pages, 0.0, False
        self._began = loop.time()
        self._next_round_at = self._began + length
        for place, queue in enumerate(self._listeners):
            loop.call_later(place * length / pages, _put_latest, queue, self._latest)


def _put_latest(queue: asyncio.Queue[str | None], text: str | None) -> None:
    """Replace what a slow reader has not read yet: one text is enough to make it refresh."""
    # None ends the stream and must not be lost to a later text
    if queue.full() and queue.get_nowait() is None:
        text = None
    queue.put_nowait(text)


class LiveEvents:
    """GET /events."""

    def __init__(self, hub: LiveHub) -> None:
        self._hub = hub

    async def stream(self, request: Request) -> StreamingResponse:
        # the header keeps nginx from collecting the events into a buffer
        return StreamingResponse(
            self._lines(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
        )

    async def _lines(self) -> AsyncIterator[str]:
        if self._hub.crowded:
            yield f"retry: {CROWDED_RETRY_MS}\n\n"
            return
        yield f"retry: {RETRY_MS}\n\n"
        async for text in self._hub.listen():
            if not text:
                yield ": still here\n\n"
                continue
            # the age (ms) that a page with this change may have; split(): a line break would
            # begin a forged field of the stream
            yield f"data: {self._hub.age() * 1000:.0f} {' '.join(text.split())}\n\n"
