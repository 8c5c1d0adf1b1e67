"""Read the body of a push: its size first, then gzip, then values the store can write, and times.

Nothing here takes more memory than the limit allows. Times are read as Alertmanager reads them.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

import msgspec

from amproxy.text import Phrase, phrase

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_TIME_NS: Final = 2**63 - 1
BIG_BODY: Final = 128 * 1024  # bytes; larger ones are decoded in pieces, beside the event loop
# One call into C decodes so many members in 0.1 s, and skips so many separators in 0.2 s; all of
# the process waits for it.
MAX_MEMBERS: Final = 250_000
MAX_SEPARATORS: Final = 3_000_000
MAX_DEPTH: Final = 64  # levels of what a sender adds to an alert
TOO_MANY_ALERTS: Final = phrase("refusal.many_alerts", most=MAX_MEMBERS)
TOO_DEEP: Final = phrase("refusal.too_deep", most=MAX_DEPTH)
GO_ZERO_TIME: Final = "0001-01-01T00:00:00"  # Go's zero time: "not given"
_MIN_INTEGER: Final = -(2**63)  # the range of MessagePack's integers
_MAX_INTEGER: Final = 2**64 - 1
_GZIP_ONLY: Final = 16 + zlib.MAX_WBITS  # zlib's word for "a gzip header must come first"
# Escapes of JSON, each taken whole: an escaped backslash, a pair of surrogates, or half of one.
_SURROGATES = re.compile(
    r"\\(?:\\|u[dD][89abAB]..\\u[dD][c-fC-F]..|(?P<lone>u[dD][89a-fA-F]..))", re.DOTALL
)
# Charsets that senders use. Python knows more, some of which take time or are none of texts.
_CHARSET = re.compile(
    r"utf[-_]?(?:8(?:[-_]?sig)?|(?:16|32)(?:[-_]?[lb]e)?)|(?:us-)?ascii|iso[-_]?8859[-_]\d{1,2}"
    r"|latin[-_]?\d|(?:windows|cp)[-_]?\d{3,4}|koi8[-_][rut]|gbk|gb2312|gb18030|big5|euc[-_](?:jp|kr)"
    r"|shift[-_]?jis|iso-2022-jp",
    re.IGNORECASE,
)
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)([Tt ])(\d\d:\d\d:\d\d)(?:[.,](\d+))?([Zz]|[+-]\d\d:?\d\d)?", re.ASCII
)


class PushRefused(Exception):
    """A push that is refused: the HTTP status, and the reason for the sender and the admins."""

    def __init__(self, status: int, words: Phrase) -> None:
        super().__init__(words)
        self.status, self.words = status, words

    @property
    def detail(self) -> str:
        """The reason as a sentence in English."""
        return str(self.words)


class ClientDisconnected(Exception):
    """The sender hung up before its body was complete; nobody waits for an answer."""


class BadTime(ValueError):
    """A time that cannot be read; words: the reason, for the sender."""

    def __init__(self, words: Phrase) -> None:
        super().__init__(words)
        self.words = words


def header(scope: Scope, name: bytes) -> str:
    """Return a request header, "" where it is missing."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value.decode("latin-1"))
    return ""


async def read_body(
    scope: Scope,
    receive: Receive,
    limit: int,
    begin_big: Callable[[], Awaitable[None]] | None = None,
) -> bytes:
    """Return the body as sent, of at most `limit` bytes.

    begin_big: awaited before more than BIG_BODY bytes are kept. Raises PushRefused(413) as soon as
    the body is known to be too large, ClientDisconnected, and what begin_big raises.
    """
    declared = header(scope, b"content-length")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(int(declared), limit)
    event = await receive()
    # Nearly every body comes in one event: it is passed on without a copy.
    if event["type"] == "http.request" and not event.get("more_body"):
        return _check_size(event.get("body", b""), limit)
    chunks, size = [], 0
    while True:
        if event["type"] == "http.disconnect":
            raise ClientDisconnected
        chunk = event.get("body", b"")
        size += len(chunk)
        # Content-Length may be missing or wrong, so what arrives is counted as well.
        if size > limit:
            raise PushRefused(413, phrase("refusal.body_over", most=limit))
        chunks.append(chunk)
        if size > BIG_BODY and begin_big:
            await begin_big()
            begin_big = None
        if not event.get("more_body"):
            return b"".join(chunks)
        event = await receive()


def _check_size(body: bytes, limit: int) -> bytes:
    if len(body) > limit:
        raise _too_large(len(body), limit)
    return body


def _too_large(size: int, limit: int) -> PushRefused:
    # Content-Length may be any number of digits, and 64 bits are stored.
    given = min(size, _MAX_INTEGER)
    return PushRefused(413, phrase("refusal.body_size", given=given, most=limit))


def is_charset(name: str) -> bool:
    """Check for the name of a charset, which some senders put where an encoding should stand."""
    return _CHARSET.fullmatch(name) is not None


def decompress_body(scope: Scope, body: bytes, limit: int) -> bytes:
    """Undo Content-Encoding.

    The name of a charset in it is none. Raises PushRefused: 415 for another encoding than gzip, 413
    over the limit, 400 when broken.
    """
    given = header(scope, b"content-encoding").lower().split(",")
    names = [name.strip() for name in given]
    encoding = ", ".join(
        name for name in names if name not in ("", "identity") and not is_charset(name)
    )
    if not encoding:
        return body
    if encoding not in ("gzip", "x-gzip"):
        raise PushRefused(415, phrase("refusal.encoding", encoding=encoding))
    unpacker = zlib.decompressobj(wbits=_GZIP_ONLY)
    try:
        # One byte over the limit is enough to know; a gzip bomb never unfolds in memory.
        unpacked = unpacker.decompress(body, limit + 1)
    except zlib.error as error:
        raise PushRefused(400, phrase("refusal.not_gzip", said=str(error))) from None
    if len(unpacked) > limit:
        raise PushRefused(413, phrase("refusal.unpacked_over", most=limit))
    if not unpacker.eof:
        raise PushRefused(400, phrase("refusal.gzip_short"))
    return unpacked


def check_separators(body: bytes) -> None:
    """Refuse a body that takes long even to skip. Raises PushRefused(413)."""
    if body.count(b",") > MAX_SEPARATORS:
        raise PushRefused(413, phrase("refusal.many_values", most=MAX_SEPARATORS))


def split_list(raw: bytes | msgspec.Raw) -> list[msgspec.Raw]:
    """Return the items of a JSON list, not decoded yet.

    Raises PushRefused(413), msgspec.DecodeError, UnicodeDecodeError, RecursionError.
    """
    items = _decode_list(raw)
    if len(items) > MAX_MEMBERS:
        raise PushRefused(413, TOO_MANY_ALERTS)
    return items


def check_members(raw: bytes) -> None:
    """Refuse JSON whose lists and objects have too many members to decode in one go.

    Raises PushRefused(413).
    """
    if len(raw) <= BIG_BODY or _count_members(raw) <= MAX_MEMBERS:
        return
    # Texts have commas and brackets too. Without escapes, every second piece between quotes is one.
    bare = raw.replace(rb"\\", b"").replace(rb"\"", b"")
    outside = bare.split(b'"')[::2] if bare.count(b'"') <= 4 * MAX_MEMBERS else []
    if not outside or sum(map(_count_members, outside)) > MAX_MEMBERS:
        raise PushRefused(413, phrase("refusal.many_alert_values", most=MAX_MEMBERS))


def _count_members(raw: bytes) -> int:
    return raw.count(b",") + raw.count(b"[") + raw.count(b"{")


def is_nested_too_deeply(value: Any) -> bool:
    """Check for more than MAX_DEPTH levels of objects and lists."""
    row = [value]
    for _ in range(MAX_DEPTH):
        row = [
            inner
            for one in row
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not row:
            return False
    return True


def make_storable(value: Any) -> Any:
    """Return a JSON value as MessagePack can hold it.

    Whole numbers of more than 64 bits become text.
    """
    match value:
        case int() if not _MIN_INTEGER <= value <= _MAX_INTEGER:
            return str(value)
        case list():
            return [make_storable(item) for item in value]
        case dict():
            return {key: make_storable(item) for key, item in value.items()}
    return value


def tidy_json(body: bytes) -> bytes:
    """Return JSON with U+FFFD for what is not UTF-8 and for lone surrogates, as Go reads it."""
    text = body.decode("utf-8", "replace").removeprefix("\ufeff")
    return _SURROGATES.sub(_replace_lone, text).encode()


def _replace_lone(found: re.Match[str]) -> str:
    return "\\ufffd" if found["lone"] else found[0]


def replace_surrogates(text: str) -> str:
    """Return the text with U+FFFD for lone surrogates, as in Go: UTF-8 cannot write them."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


# Alert times have a parser of their own, beside those of amproxy.times: they need nanoseconds,
# which datetime lacks, and the sender's offset, and are read for every alert of every push. The
# cache makes a repeat cheap: senders push the same startsAt until the alert is over.
@lru_cache(maxsize=16384)  # 350 bytes each
def parse_time(text: str | None) -> tuple[int, int] | None:
    """Return ns since 1970 and the sender's offset in minutes; None for null and Go's zero time.

    As in Alertmanager, an empty text is the year 1970, a time without zone is UTC, and a blank
    instead of T is allowed only there. Raises BadTime.
    """
    if text is None or text.startswith(GO_ZERO_TIME):
        return None
    if text == "":
        return 1, 0  # not 0, which means "no end" in a stored alert
    found = _RFC3339.fullmatch(text)
    if found is None:
        raise BadTime(phrase("refusal.not_time", text=text))
    day, between, clock, fraction, zone = found.groups()
    if between == " " and zone:
        raise BadTime(phrase("refusal.not_time_blank", text=text))
    try:
        at = datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=UTC)
    except ValueError as error:
        raise BadTime(phrase("refusal.not_time_said", text=text, said=str(error))) from None
    offset = _parse_utc_offset(zone)
    nanoseconds = int((fraction or "0")[:9].ljust(9, "0"))
    return (int(at.timestamp()) - offset * 60) * 10**9 + nanoseconds or 1, offset


def clamp_time(time: tuple[int, int] | None) -> tuple[int, int] | None:
    """Move a time beyond 64 bits of nanoseconds (the years 1678 to 2262) to the nearest within."""
    return None if time is None else (max(-MAX_TIME_NS, min(time[0], MAX_TIME_NS)), time[1])


def _parse_utc_offset(zone: str | None) -> int:
    """Return minutes east of UTC. Raises BadTime."""
    if zone is None or zone in "Zz":
        return 0
    hours, minutes = int(zone[1:3]), int(zone[-2:])
    if hours > 23 or minutes > 59:
        raise BadTime(phrase("refusal.not_offset", offset=zone))
    return (hours * 60 + minutes) * (-1 if zone[0] == "-" else 1)
