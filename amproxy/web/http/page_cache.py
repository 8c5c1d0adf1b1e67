"""Pages that only stay up to date are drawn once for all readers who see the same: two hundred open pages ask at nearly the same time.

Only live.js asks so, by a header that says how old the page may be: not older than what the reader was told of, and never older
than what they see. Whoever follows a link or has just acted gets a page of their own, drawn after that.
"""

from __future__ import annotations

import asyncio
import time
import types
from collections.abc import Awaitable, Callable, Generator, Hashable
from typing import Any, Final, NamedTuple

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from amproxy.context import Context
from amproxy.web.http.errors import PROGRAM_PREFIXES
from amproxy.web.http.live import LiveHub
from amproxy.web.http.permissions import principal_of
from amproxy.web.http.templates import acting_user, reader_texts

LIVE_HEADER: Final = "x-live"
MAX_PAGE_AGE: Final = 1.0  # seconds that a page is good for at most


class CachedPage(NamedTuple):
    since: float  # time.monotonic() at which drawing began
    messages: asyncio.Task[list[Message]]


class PageCache:
    """Pure ASGI."""

    def __init__(self, app: ASGIApp, hub: LiveHub, context: Context) -> None:
        self._app, self._hub, self._context = app, hub, context
        self._drawn: dict[Hashable, CachedPage] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        page = scope["type"] == "http" and scope["method"] == "GET" and not scope["path"].startswith(PROGRAM_PREFIXES)
        allowed = Headers(scope=scope).get(LIVE_HEADER, "") if page else ""
        if not (allowed.isascii() and allowed.isdigit() and len(allowed) < 12):
            await self._app(scope, receive, send)
            return
        now, request = time.monotonic(), Request(scope)
        self._drawn = {key: drawn for key, drawn in self._drawn.items() if now - drawn.since <= MAX_PAGE_AGE}
        reader = (principal_of(request), acting_user(request, self._context), reader_texts(request).language)
        key = (scope["path"], scope["query_string"], reader)
        drawn = self._drawn.get(key)
        if drawn is None or (now - drawn.since) * 1000 > int(allowed):
            drawn = self._drawn[key] = CachedPage(now, asyncio.create_task(self._draw(scope)))
        for message in await asyncio.shield(drawn.messages):
            await send(dict(message))

    async def _draw(self, scope: Scope) -> list[Message]:
        """The answer, whether or not the one who asked first still waits for it."""
        messages: list[Message] = []

        async def collect(message: Message) -> None:
            messages.append(message)

        await _measure_turns(self._app(scope, _receive_nothing, collect), self._hub.spend)
        return messages


@types.coroutine
def _measure_turns(awaited: Awaitable[None], spend: Callable[[float], None]) -> Generator[Any, None, None]:
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


async def _receive_nothing() -> Message:
    never: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
    return await never
