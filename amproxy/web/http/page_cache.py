"""A cache of pages that live.js refreshes: readers who see the same page share one rendering.

Two hundred open pages refresh at nearly the same time. Only live.js sends LIVE_HEADER, the page's
allowed age in milliseconds: not older than the change it was notified of, nor than the page that
the reader sees. Any other request (a link, a form) gets a rendering of its own, begun after it.
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
from amproxy.web.http.live import LiveHub
from amproxy.web.http.permissions import principal_of
from amproxy.web.http.response import PROGRAM_PREFIXES
from amproxy.web.http.templates import acting_user, reader_texts, reader_zone

LIVE_HEADER: Final = "x-live"
MAX_PAGE_AGE: Final = 1.0  # seconds


class CachedPage(NamedTuple):
    since: float  # time.monotonic() at the start of the rendering
    messages: asyncio.Task[list[Message]]


class PageCache:
    """Pure ASGI."""

    def __init__(self, app: ASGIApp, hub: LiveHub, context: Context) -> None:
        self._app, self._hub, self._context = app, hub, context
        self._pages: dict[Hashable, CachedPage] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        allowed = _allowed_age(scope)
        if allowed is None:
            await self._app(scope, receive, send)
            return
        now = time.monotonic()
        self._pages = {
            key: page for key, page in self._pages.items() if now - page.since <= MAX_PAGE_AGE
        }
        key = self._key(scope)
        page = self._pages.get(key)
        if page is None or (now - page.since) * 1000 > allowed:
            page = self._pages[key] = CachedPage(now, asyncio.create_task(self._render(scope)))
        # shield: a reader who goes away must not cancel the rendering that others wait for
        for message in await asyncio.shield(page.messages):
            await send(dict(message))

    def _key(self, scope: Scope) -> Hashable:
        """Everything that a page depends on beside the state: address, rights, and the reader."""
        request = Request(scope)
        user = acting_user(request, self._context)
        language, zone = reader_texts(request).language, reader_zone(request, self._context)
        reader = (principal_of(request), user, language, zone)
        return (scope["path"], scope["query_string"], reader)

    async def _render(self, scope: Scope) -> list[Message]:
        """Collect the response, even if the client that caused the rendering has gone."""
        messages: list[Message] = []

        async def collect(message: Message) -> None:
            messages.append(message)

        # the hub slows its rounds down by what pages cost
        await _measure_steps(self._app(scope, _receive_nothing, collect), self._hub.add_cost)
        return messages


def _allowed_age(scope: Scope) -> int | None:
    """Milliseconds that a page may be old; None where live.js has not asked for one."""
    if (
        scope["type"] != "http"
        or scope["method"] != "GET"
        or scope["path"].startswith(PROGRAM_PREFIXES)
    ):
        return None
    text = Headers(scope=scope).get(LIVE_HEADER, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None


@types.coroutine
def _measure_steps(
    awaited: Awaitable[None], add_cost: Callable[[float], None]
) -> Generator[Any, None, None]:
    """Run a coroutine and report the seconds of each step between its awaits.

    One clock around the whole would count the time in which other requests run.
    """
    work = awaited.__await__()
    thrown: BaseException | None = None
    while True:
        began = time.perf_counter()
        try:
            waits_for = work.throw(thrown) if thrown else work.send(None)
        except StopIteration:
            return
        finally:
            add_cost(time.perf_counter() - began)
        thrown = None
        try:
            yield waits_for
        except BaseException as error:  # noqa: BLE001  # a cancellation too is the coroutine's
            thrown = error


async def _receive_nothing() -> Message:
    """Never disconnect: the rendering goes on for other readers."""
    never: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
    return await never
