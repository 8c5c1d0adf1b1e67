"""Live updates: changes heard in this process go out to every open page as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import StreamingResponse

WAITING = 16  # changes that a slow reader may have before it; more are dropped, since one is enough to make it look again
BEAT = 15.0  # seconds: a line of comment, so that a reader that is gone is noticed
RETRY_MS = 2000  # how soon a browser comes back


class Hub:
    """`say` tells all who listen. `close` ends every stream, so that the service can stop."""

    def __init__(self) -> None:
        self._listeners: set[asyncio.Queue[str | None]] = set()
        self._closed = False

    def say(self, text: str) -> None:
        """Tell every open page of a change ("incident ID"); never waits."""
        for queue in self._listeners:
            if not queue.full():
                queue.put_nowait(text)

    def close(self) -> None:
        self._closed = True
        for queue in self._listeners:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(None)

    async def listen(self) -> AsyncIterator[str]:
        """Changes as they happen, and "" after BEAT seconds without one; ends when the hub is closed."""
        queue: asyncio.Queue[str | None] = asyncio.Queue(WAITING)
        self._listeners.add(queue)
        try:
            while not self._closed:
                try:
                    async with asyncio.timeout(BEAT):
                        heard = await queue.get()
                except TimeoutError:
                    heard = ""
                if heard is None:
                    return
                yield heard
        finally:
            self._listeners.discard(queue)


class Events:
    """GET /events."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def stream(self, request: Request) -> StreamingResponse:
        return StreamingResponse(self._lines(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    async def _lines(self) -> AsyncIterator[str]:
        yield f"retry: {RETRY_MS}\n\n"
        async for heard in self._hub.listen():
            yield f"data: {' '.join(heard.split())}\n\n" if heard else ": still here\n\n"
