"""Live updates: changes heard in this process go out to every open page as server-sent events, in rounds.

However much changes and however many pages are open, keeping them up to date takes no more than a share of the process: intake
goes first. What a round costs is measured, and the next one waits accordingly.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import StreamingResponse

PACE = 1.0  # seconds between rounds, at least
SHARE = 0.1  # of the process's time that may go into pages which only stay up to date
GUESS = 0.002  # seconds that a page costs which was not open in the round before
KEEPALIVE = 15.0  # seconds: a line of comment, so that a reader that is gone is noticed
RETRY_MS = 2000  # how soon a browser comes back


class LiveHub:
    """`say` tells all who listen, in the next round. `close` ends every stream, so that the service can stop."""

    def __init__(self) -> None:
        self._listeners: set[asyncio.Queue[str | None]] = set()
        self._closed = False
        self._news = ""
        self._waits = False  # for the next round
        self._free = 0.0  # when the next round may begin, on the loop's clock
        self._told = 0  # pages told in the last round
        self._spent = 0.0  # seconds of work that they have cost since it began
        self._began = 0.0  # when the last round did, on the loop's clock

    def say(self, text: str) -> None:
        """A change ("incident ID"): open pages look again. Of several in one round they hear the last. Never waits."""
        self._news = text
        if self._listeners and not self._waits:
            self._waits = True
            loop = asyncio.get_running_loop()
            loop.call_at(max(self._free, loop.time()), self._tell)

    def age(self) -> float:
        """Seconds since the last round began: a page that is no older shows all that was said before."""
        return asyncio.get_running_loop().time() - self._began

    def spend(self, seconds: float) -> None:
        """So much time went into a page that stays up to date."""
        self._spent += seconds

    def close(self) -> None:
        self._closed = True
        for queue in self._listeners:
            _put_latest(queue, None)

    async def listen(self) -> AsyncIterator[str]:
        """News of each round, and "" after BEAT seconds without any; ends when the hub is closed."""
        queue: asyncio.Queue[str | None] = asyncio.Queue(1)
        self._listeners.add(queue)
        try:
            while not self._closed:
                try:
                    async with asyncio.timeout(KEEPALIVE):
                        heard = await queue.get()
                except TimeoutError:
                    heard = ""
                if heard is None:
                    return
                yield heard
        finally:
            self._listeners.discard(queue)

    def _tell(self) -> None:
        """Begin a round. Its pages are told one after the other, so that they do not all come back at once."""
        loop, pages = asyncio.get_running_loop(), len(self._listeners)
        costs = self._spent + GUESS * max(0, pages - self._told)
        lasts = max(PACE, costs / SHARE)
        self._told, self._spent, self._waits = pages, 0.0, False
        self._began = loop.time()
        self._free = self._began + lasts
        for place, queue in enumerate(self._listeners):
            loop.call_later(place * lasts / pages, _put_latest, queue, self._news)


def _put_latest(queue: asyncio.Queue[str | None], text: str | None) -> None:
    """What a slow reader has not read yet gives way: one piece of news is enough to make it look again."""
    if queue.full() and queue.get_nowait() is None:
        text = None
    queue.put_nowait(text)


class LiveEvents:
    """GET /events."""

    def __init__(self, hub: LiveHub) -> None:
        self._hub = hub

    async def stream(self, request: Request) -> StreamingResponse:
        return StreamingResponse(self._lines(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    async def _lines(self) -> AsyncIterator[str]:
        yield f"retry: {RETRY_MS}\n\n"
        async for heard in self._hub.listen():
            # first how old, in milliseconds, a page may be that shows this
            yield f"data: {self._hub.age() * 1000:.0f} {' '.join(heard.split())}\n\n" if heard else ": still here\n\n"
