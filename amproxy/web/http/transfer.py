"""Answers as they go over the wire: a tag for those that may be asked for again, and gzip.

What shows a secret says `no-transform` (UNCHANGED_CACHE) and is never compressed, and neither is
what a page of another site led the reader to: whoever can put words beside a secret and sees how
long the answer is would learn it letter by letter (BREACH).
"""

from __future__ import annotations

import asyncio
import hashlib
import zlib
from collections import OrderedDict
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

UNCHANGED_CACHE: Final = "no-store, no-transform"  # Cache-Control of what shows a secret
_MEDIA: Final = (
    *("text/html", "text/css", "text/plain", "text/csv", "text/javascript"),
    *("application/json", "application/javascript", "image/svg+xml"),
)
MIN_BYTES: Final = 600  # shorter answers fit into a packet anyway
MAX_BYTES: Final = 1 << 20  # programs on the same machine read longer ones faster as they are
LEVEL: Final = 1  # of zlib: a tenth longer than the usual 6, in a third of the time
# Bytes that take longer to compress than a change of threads; zlib needs no interpreter meanwhile.
BESIDE_LOOP: Final = 32 * 1024
REMEMBERED: Final = 4 << 20  # bytes of compressed answers that are kept, for equal ones
_READER: Final = ("Cookie", "Accept-Language")  # what a page depends on
_OWN_SITES: Final = ("", "same-origin", "none")


def tag_of(body: bytes) -> str:
    """The entity tag of a body: weak, because it is the same for every encoding."""
    return f'W/"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'


def is_known(tag: str, asked: str) -> bool:
    """True where an If-None-Match header names a tag."""
    names = (word.strip().removeprefix("W/") for word in asked.split(","))
    return bool(tag) and tag.removeprefix("W/") in names


class Transfer:
    """Pure ASGI. Looks at answers to GET that come in one piece; the others pass as they are."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._compressed: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._kept = 0  # bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        asked = Headers(scope=scope)
        start: Message | None = None

        async def send_whole(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and _may_be_whole(message):
                start = message  # until it is known whether more than one piece follows
                return
            if start is not None:
                head, start = start, None
                if not message.get("more_body") and message.get("body"):
                    message = await self._shorten(asked, head, message)
                await send(head)
            await send(message)

        await self._app(scope, receive, send_whole)

    async def _shorten(self, asked: Headers, head: Message, whole: Message) -> Message:
        """Return what is sent of a whole body, and change its head accordingly."""
        body, headers = bytes(whole["body"]), MutableHeaders(scope=head)
        tag = headers.get("etag", "")
        if not tag:
            tag = headers["ETag"] = tag_of(body)
        if is_known(tag, asked.get("if-none-match", "")):
            head["status"] = 304
            for name in ("content-length", "content-type"):
                if name in headers:
                    del headers[name]
            return {**whole, "body": b""}
        if _media(headers) not in _MEDIA or "no-transform" in headers.get("cache-control", ""):
            return whole
        for name in ("Accept-Encoding", *(_READER if _media(headers) == "text/html" else ())):
            headers.add_vary_header(name)
        takes = _takes_gzip(asked.get("accept-encoding", ""))
        own = asked.get("sec-fetch-site", "") in _OWN_SITES
        if not takes or not own or len(body) < MIN_BYTES:
            return whole
        # The tag was given for the words; with another encoding it is weak.
        headers["ETag"] = tag if tag.startswith("W/") else f"W/{tag}"
        short = await self._compress(tag, body)
        headers["Content-Encoding"] = "gzip"
        headers["Content-Length"] = str(len(short))
        return {**whole, "body": short}

    async def _compress(self, tag: str, body: bytes) -> bytes:
        key = tag, hash(body)
        if (short := self._compressed.get(key)) is not None:
            self._compressed.move_to_end(key)
            return short
        if len(body) > BESIDE_LOOP:
            short = await asyncio.to_thread(gzip, body)
        else:
            short = gzip(body)
        if key not in self._compressed:
            self._compressed[key] = short
            self._kept += len(short)
        while self._kept > REMEMBERED:
            self._kept -= len(self._compressed.popitem(last=False)[1])
        return short


def gzip(body: bytes) -> bytes:
    """A body in the format of gzip, without a time, so that equal bodies stay equal."""
    packer = zlib.compressobj(LEVEL, wbits=31)
    return packer.compress(body) + packer.flush()


def _may_be_whole(start: Message) -> bool:
    """Tell from a response's head that it may come in one piece, and is short enough."""
    headers = Headers(scope=start)
    length = headers.get("content-length", "")
    is_short = length.isdigit() and int(length) <= MAX_BYTES
    plain = "set-cookie" not in headers and "content-encoding" not in headers
    return start["status"] == 200 and is_short and plain


def _media(headers: Headers) -> str:
    return headers.get("content-type", "").partition(";")[0].strip()


def _takes_gzip(accepted: str) -> bool:
    """Read an Accept-Encoding header: gzip, or anything, with a quality that is not 0."""
    found = dict[str, bool]()
    for word in accepted.lower().split(","):
        name, _, quality = word.partition(";")
        quality = quality.replace(" ", "").removeprefix("q=")
        found[name.strip()] = quality.strip("0.") != "" or not quality
    return found.get("gzip", found.get("*", False))
