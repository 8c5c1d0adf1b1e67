"""A cache of pages that live.js refreshes: readers who see the same page share one drawing.

Two hundred open pages refresh at nearly the same time. Only live.js sends LIVE_HEADER, the page's
allowed age in milliseconds: not older than the change it was notified of, nor than the page that
the reader sees. Any other request (a link, a form) gets a drawing of its own, begun after it.

A reader whose page did not change gets 304, one whose page is known here the lines that did.
"""

from __future__ import annotations

import asyncio
import math
import time
import types
from collections.abc import Awaitable, Callable, Generator, Hashable
from typing import Any, Final, NamedTuple

import msgspec
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from amproxy.context import Context
from amproxy.web.http.live import LiveHub, kind_of
from amproxy.web.http.page_changes import KnownPages, find_changes
from amproxy.web.http.permissions import principal_of
from amproxy.web.http.response import PROGRAM_PREFIXES
from amproxy.web.http.templates import (
    LIVE_HEADER,
    acting_user,
    browser_zone,
    reader_texts,
    reader_theme,
    reader_zone,
)
from amproxy.web.http.transfer import is_known, tag_of

MAX_PAGE_AGE: Final = 10.0  # seconds
CHANGES_MEDIA: Final = b"application/vnd.amproxy.changes+json"
# Part of the process's time that drawings may take where more are asked for than the hub has told
# of: hundreds of pages that come back at once, after a restart, are drawn one after the other.
DRAWING_SHARE: Final = 0.3


class CachedPage:
    """A drawing. `since`: when it began, on time.monotonic()'s clock; inf = not yet."""

    def __init__(self) -> None:
        self.since = math.inf
        self.drawing: asyncio.Task[DrawnPage]


class DrawnPage(NamedTuple):
    """A response. `tag` is "" for what is no page that readers may have, such as an error."""

    messages: list[Message]
    tag: str = ""
    text: str = ""
    changes: dict[str, bytes] = {}  # noqa: RUF012  # tag of an earlier drawing → encoded pieces


def page_seen(request: Request, context: Context, path: str, query: bytes) -> Hashable:
    """All that a page depends on beside the state: address, rights, and the reader."""
    user, t = acting_user(request, context), reader_texts(request)
    zones = reader_zone(request, context), browser_zone(request)
    return (
        path,
        query,
        principal_of(request),
        user,
        t.language,
        t.times,
        zones,
        reader_theme(request),
    )


class PageCache:
    """Pure ASGI."""

    def __init__(self, app: ASGIApp, hub: LiveHub, context: Context) -> None:
        self._app, self._hub, self._context = app, hub, context
        self._pages: dict[Hashable, CachedPage] = {}
        self._known = KnownPages()
        self._next_at = 0.0  # when the next drawing may begin, on time.monotonic()'s clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        allowed = _allowed_age(scope)
        if allowed is None:
            await self._app(scope, receive, send)
            return
        now = time.monotonic()
        self._pages = {
            key: page for key, page in self._pages.items() if now - page.since <= MAX_PAGE_AGE
        }
        request = Request(scope)
        sees = page_seen(request, self._context, scope["path"], scope["query_string"])
        page = self._pages.get(sees)
        if page is None or (now - page.since) * 1000 > allowed:
            page = self._pages[sees] = CachedPage()
            page.drawing = asyncio.create_task(self._draw(scope, page))
        # shield: a reader who goes away must not cancel the drawing that others wait for
        drawn = await asyncio.shield(page.drawing)
        for message in self._answer(drawn, sees, request.headers.get("if-none-match", "")):
            await send(message)

    async def _draw(self, scope: Scope, page: CachedPage) -> DrawnPage:
        """Collect the response, even if the client that caused the drawing has gone."""
        messages: list[Message] = []
        costs, kind, cost = self._hub.costs, kind_of(scope["path"]), 0.0

        async def collect(message: Message) -> None:
            messages.append(message)

        def count(seconds: float) -> None:
            nonlocal cost
            cost += seconds

        now = time.monotonic()
        begin = max(now, self._next_at)
        self._next_at = begin + costs.of(kind) / DRAWING_SHARE
        await asyncio.sleep(begin - now)
        page.since = time.monotonic()
        await _measure_steps(self._app(scope, _receive_nothing, collect), count)
        drawn = _drawn_page(messages)
        if drawn.tag:
            costs.add(kind, cost)
        return drawn

    def _answer(self, drawn: DrawnPage, sees: Hashable, asked: str) -> list[Message]:
        """The response for one reader. asked: the tags of what they have."""
        start, *rest = (dict(message) for message in drawn.messages)
        start["headers"] = list(start["headers"])
        headers = MutableHeaders(scope=start)
        # the moment to which this device's clock is compared: a drawing may be older
        headers["X-Now"] = str(self._context.now())
        if not drawn.tag:
            return [start, *rest]
        headers["ETag"] = drawn.tag
        if is_known(drawn.tag, asked):
            start["status"] = 304
            del headers["content-length"], headers["content-type"]
            return [start, {"type": "http.response.body", "body": b""}]
        known = self._known.find(sees, map(str.strip, asked.split(","))) if asked else None
        self._known.add(sees, drawn.tag, drawn.text)
        if known is None:
            return [start, *rest]
        tag, lines = known
        if (body := drawn.changes.get(tag)) is None:
            body = msgspec.json.encode(find_changes(lines, drawn.text))
            drawn.changes[tag] = body
        headers["Content-Type"] = CHANGES_MEDIA.decode()
        headers["Content-Length"] = str(len(body))
        return [start, {"type": "http.response.body", "body": body}]


def _drawn_page(messages: list[Message]) -> DrawnPage:
    start, *bodies = messages
    media = Headers(scope=start).get("content-type", "")
    if start["status"] != 200 or not media.startswith("text/html"):
        return DrawnPage(messages)
    body = b"".join(message.get("body", b"") for message in bodies)
    return DrawnPage(messages, tag_of(body), body.decode(), {})


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
    awaited: Awaitable[None], count: Callable[[float], None]
) -> Generator[Any, None, None]:
    """Run a coroutine and report the seconds of CPU of each step between its awaits.

    One clock around the whole would count the time in which other requests run.
    """
    work = awaited.__await__()
    thrown: BaseException | None = None
    while True:
        began = time.thread_time()
        try:
            waits_for = work.throw(thrown) if thrown else work.send(None)
        except StopIteration:
            return
        finally:
            count(time.thread_time() - began)
        thrown = None
        try:
            yield waits_for
        except BaseException as error:  # noqa: BLE001  # a cancellation too is the coroutine's
            thrown = error


async def _receive_nothing() -> Message:
    """Never disconnect: the drawing goes on for other readers."""
    never: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
    return await never
