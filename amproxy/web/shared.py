"""Pages that only stay up to date are drawn once for all readers who see the same: two hundred open pages ask at nearly the same time.

Only live.js asks so, by a header. Whoever follows a link or has just acted gets a page of their own, drawn after that.
"""

from __future__ import annotations

import asyncio
import time
import types
from collections.abc import Awaitable, Callable, Generator, Hashable
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from amproxy.context import Context
from amproxy.web.errors import PROGRAMS
from amproxy.web.live import Hub
from amproxy.web.looks import acting, language
from amproxy.web.principal import principal_of

HEADER: Final = "x-live"
KEPT: Final = 1.0  # seconds that a page is good for


class Shared:
    """Pure ASGI."""

    def __init__(self, app: ASGIApp, hub: Hub, context: Context) -> None:
        self._app, self._hub, self._context = app, hub, context
        self._drawn: dict[Hashable, asyncio.Task[list[Message]]] = {}
        self._since = (0, 0.0)  # round and time.monotonic() of the oldest of them

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        page = scope["type"] == "http" and scope["method"] == "GET" and not scope["path"].startswith(PROGRAMS)
        if not page or HEADER not in Headers(scope=scope):
            await self._app(scope, receive, send)
            return
        round_, now = self._hub.round, time.monotonic()
        if self._since[0] != round_ or now - self._since[1] > KEPT:
            self._drawn.clear()
            self._since = (round_, now)
        request = Request(scope)
        reader = (principal_of(request), acting(request, self._context), language(request).language)
        key = (scope["path"], scope["query_string"], reader)
        if key not in self._drawn:
            self._drawn[key] = asyncio.create_task(self._draw(scope))
        for message in await asyncio.shield(self._drawn[key]):
            await send(dict(message))

    async def _draw(self, scope: Scope) -> list[Message]:
        """The answer, whether or not the one who asked first still waits for it."""
        messages: list[Message] = []

        async def collect(message: Message) -> None:
            messages.append(message)

        await _timed(self._app(scope, _asks_no_more, collect), self._hub.spend)
        return messages


@types.coroutine
def _timed(awaited: Awaitable[None], spend: Callable[[float], None]) -> Generator[Any, None, None]:
    """Do the work, and say of each of its turns how many seconds it took; what it waits for is not counted."""
    work = awaited.__await__()
    thrown: BaseException | None = None
    while True:
        began = time.perf_counter()
        try:
            waits_for = work.throw(thrown) if thrown else work.send(None)
        except StopIteration:
            return
        finally:
            spend(time.perf_counter() - began)
        thrown = None
        try:
            yield waits_for
        except BaseException as error:  # noqa: BLE001  # a cancellation too is the work's to hear of
            thrown = error


async def _asks_no_more() -> Message:
    never: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
    return await never
