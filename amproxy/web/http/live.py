"""Live updates: every open page gets this process's changes as server-sent events, in rounds.

Whatever changes and however many pages are open, refreshing them takes no more than SHARE of the
process: intake goes first. What each kind of page costs is measured, and the pages of a round are
told so far apart that drawing them leaves the rest of the time to others.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable
from dataclasses import dataclass, field
from typing import Final

from starlette.requests import Request
from starlette.responses import StreamingResponse

PACE = 1.0  # seconds between rounds, at least
SHARE = 0.1  # of the process's time that refreshing open pages may take
GUESS = 0.02  # seconds that a page costs before any was drawn
SERVING = 0.001  # seconds to hand one reader a page that is drawn already
NEWEST: Final = 0.2  # weight of the last drawing in what a kind of page costs
KEEPALIVE = 15.0  # seconds until a comment line is sent, so that a reader that is gone is noticed
REDIS_CHANGED: Final = "redis"  # the text of a round that tells of Redis
RETRY_MS = 2000  # milliseconds until a browser reconnects
# Pages that listen, at most: each holds a connection for as long as it is open.
MAX_LISTENERS = 1000
CROWDED_RETRY_MS = 30_000  # milliseconds until a page beyond that asks again, and refreshes itself


def kind_of(path: str) -> str:
    """The kind of a page, which says what it costs: "/schedules/eu/layers" is of "/schedules/3"."""
    first, _, rest = path.strip("/").partition("/")
    return f"/{first}/{rest.count('/') + 2}" if rest else f"/{first}"


@dataclass(eq=False)
class _Listener:
    """An open page. `sees`: equal for readers who see the same page, which is drawn once."""

    sees: Hashable
    kind: str
    queue: asyncio.Queue[str | None] = field(default_factory=lambda: asyncio.Queue(1))


class PageCosts:
    """Seconds of drawing, by kind of page: a moving average of what was measured."""

    def __init__(self) -> None:
        self._costs: dict[str, float] = {}

    def add(self, kind: str, seconds: float) -> None:
        """Count one drawing."""
        known = self._costs.get(kind, seconds)
        self._costs[kind] = known + NEWEST * (seconds - known)

    def of(self, kind: str) -> float:
        """The likely cost of the next drawing; of a kind that was never drawn, that of others."""
        if kind in self._costs:
            return self._costs[kind]
        return sum(self._costs.values()) / len(self._costs) if self._costs else GUESS


class LiveHub:
    """Publish changes to all listeners, in rounds. `close` ends every stream, for a stop."""

    def __init__(self) -> None:
        self.limit = MAX_LISTENERS
        self.costs = PageCosts()
        self._redis_away = False
        self._listeners: set[_Listener] = set()
        self._closed = False
        self._latest = ""
        self._round_planned = False
        self._next_round_at = 0.0  # not before, on the loop's clock
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

    def tell_redis(self, up: bool) -> None:
        """Tell all open pages at once that Redis has gone or is back; then they refresh."""
        self._redis_away = not up
        for listener in self._listeners:
            _put_latest(listener.queue, REDIS_CHANGED)
        if up:
            self.publish(REDIS_CHANGED)

    @property
    def redis_away(self) -> bool:
        return self._redis_away

    @property
    def crowded(self) -> bool:
        """True while no further page may listen."""
        return len(self._listeners) >= self.limit

    def age(self) -> float:
        """Seconds since the last round began: a page no older shows all changes before that."""
        return asyncio.get_running_loop().time() - self._began

    def close(self) -> None:
        self._closed = True
        for listener in self._listeners:
            _put_latest(listener.queue, None)

    async def listen(self, sees: Hashable = "", kind: str = "") -> AsyncIterator[str]:
        """Yield the text of each round, "" after KEEPALIVE seconds without one, until closed.

        sees: equal for all who see the same page.
        """
        listener = _Listener(sees, kind)
        self._listeners.add(listener)
        try:
            while not self._closed:
                try:
                    async with asyncio.timeout(KEEPALIVE):
                        text = await listener.queue.get()
                except TimeoutError:
                    text = ""
                if text is None:
                    return
                yield text
        finally:
            self._listeners.discard(listener)

    def _begin_round(self) -> None:
        """Tell all pages, each after the time that those before it may take.

        Readers of one page come together, so that it is drawn once for them.
        """
        loop = asyncio.get_running_loop()
        readers: dict[Hashable, list[_Listener]] = {}
        for listener in self._listeners:
            readers.setdefault(listener.sees, []).append(listener)
        self._began, spent = loop.time(), 0.0
        for listeners in readers.values():
            for listener in listeners:
                loop.call_later(spent / SHARE, _put_latest, listener.queue, self._latest)
                spent += SERVING
            spent += self.costs.of(listeners[0].kind)
        self._round_planned = False
        self._next_round_at = self._began + max(PACE, spent / SHARE)


def _put_latest(queue: asyncio.Queue[str | None], text: str | None) -> None:
    """Replace what a slow reader has not read yet: one text is enough to make it refresh."""
    # None ends the stream and must not be lost to a later text
    if queue.full() and queue.get_nowait() is None:
        text = None
    queue.put_nowait(text)


class LiveEvents:
    """GET /events. `sees` says what a reader would see at a path and query."""

    def __init__(self, hub: LiveHub, sees: Callable[[Request, str, bytes], Hashable]) -> None:
        self._hub, self._sees = hub, sees

    async def stream(self, request: Request) -> StreamingResponse:
        path, _, query = request.query_params.get("page", "").partition("?")
        lines = self._lines(self._sees(request, path, query.encode()), kind_of(path))
        # the header keeps nginx from collecting the events into a buffer
        return StreamingResponse(
            lines, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
        )

    async def _lines(self, sees: Hashable = "", kind: str = "") -> AsyncIterator[str]:
        if self._hub.crowded:
            yield f"retry: {CROWDED_RETRY_MS}\n\n"
            return
        yield f"retry: {RETRY_MS}\n\n"
        told = False  # that Redis is away
        async for text in self._hub.listen(sees, kind):
            # compared each time: a slow reader gets the latest text only
            if told != self._hub.redis_away:
                told = self._hub.redis_away
                yield f"event: redis\ndata: {'away' if told else 'back'}\n\n"
            if told and text == REDIS_CHANGED:
                continue
            if not text:
                yield ": still here\n\n"
                continue
            # the age (ms) that a page with this change may have; split(): a line break would
            # begin a forged field of the stream
            yield f"data: {self._hub.age() * 1000:.0f} {' '.join(text.split())}\n\n"
