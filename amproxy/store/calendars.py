"""Calendars in Redis: those that schedules read, and the feeds that show shifts as a calendar.

Of a calendar that is read, by id: the last good text, the time of it, and the error since. A feed
is a secret address, one for each schedule and each person that wants one.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Literal, NamedTuple

import msgspec

from amproxy.errors import NotFound
from amproxy.store import keys
from amproxy.store.commit import Operations, commit
from amproxy.store.wire import Wire
from amproxy.text import Phrase, Words

CALENDAR_TTL = 90 * 86400  # seconds that a calendar is stored after its last check
CALENDAR_CHANGED = "calendar"  # published on keys.CHANGES, with the id

FeedKind = Literal["schedule", "user"]


class StoredCalendar(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a calendar besides its text. Times are Unix seconds, 0 = never."""

    digest: str = ""  # of the text; "" = there is none (files stay where they are)
    etag: str = ""  # with the text, for conditional requests
    modified: str = ""  # the Last-Modified of the text, as sent
    good_at: float = 0.0  # the last time that it was good
    checked_at: float = 0.0  # the last check
    error: Words = ""  # of the last check; "" = it is good
    failures: int = 0  # checks in a row with an error


class Feed(msgspec.Struct, frozen=True):
    """The owner of the shifts that are shown."""

    kind: FeedKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


_encode = msgspec.msgpack.Encoder().encode
_names = msgspec.msgpack.Decoder(list[str]).decode
_feed = msgspec.msgpack.Decoder(Feed).decode
_encode_phrase = msgspec.json.Encoder().encode
_decode_phrase = msgspec.json.Decoder(Phrase).decode
_CALENDAR_FIELDS = StoredCalendar.__struct_fields__


def text_digest(text: bytes) -> str:
    """The SHA-256 of a text, which changes with it."""
    return hashlib.sha256(text).hexdigest()


async def load_calendar(wire: Wire, calendar_id: str) -> StoredCalendar:
    """The state of a calendar; an empty one where it was never checked. Raises StoreUnavailable."""
    values = await wire.call("HMGET", keys.calendar(calendar_id), *_CALENDAR_FIELDS)
    given = {
        field: value.decode()
        for field, value in zip(_CALENDAR_FIELDS, values, strict=True)
        if value is not None and field != "error"
    }
    stored = msgspec.convert(given, StoredCalendar, strict=False)
    error = values[_CALENDAR_FIELDS.index("error")]
    return msgspec.structs.replace(stored, error=_read_words(error)) if error else stored


def _read_words(stored: bytes) -> Words:
    """The phrase that was stored; the sentence that an earlier version stored."""
    try:
        return _decode_phrase(stored)
    except msgspec.DecodeError:
        return stored.decode()


async def load_text(wire: Wire, calendar_id: str) -> bytes | None:
    """The last good text; None = there is none. Raises StoreUnavailable."""
    text: bytes | None = await wire.call("HGET", keys.calendar(calendar_id), "text")
    return text


async def save_text(
    wire: Wire, calendar_id: str, text: bytes, *, etag: str, modified: str, now: float
) -> None:
    """Store a new good text, and publish it to all processes. Raises StoreUnavailable."""
    operations = _update_calendar(
        calendar_id,
        now,
        good_at=repr(now),
        error="",
        failures="0",
        text=text,
        digest=text_digest(text),
        etag=etag,
        modified=modified,
    )
    operations.do("PUBLISH", keys.CHANGES, f"{CALENDAR_CHANGED} {calendar_id}")
    await commit(wire, operations)


async def save_good(wire: Wire, calendar_id: str, now: float) -> None:
    """Store that a check found the text good and unchanged. Raises StoreUnavailable."""
    await commit(
        wire, _update_calendar(calendar_id, now, good_at=repr(now), error="", failures="0")
    )


async def save_error(wire: Wire, calendar_id: str, error: Words, now: float) -> None:
    """Store the error of a check; the last good text stays. Raises StoreUnavailable."""
    stored = error if isinstance(error, str) else _encode_phrase(error)
    operations = _update_calendar(calendar_id, now, error=stored)
    operations.do("HINCRBY", keys.calendar(calendar_id), "failures", 1)
    await commit(wire, operations)


class ToldOfCalendar(NamedTuple):
    """The last news of a calendar that the people of a schedule were told, and who they are."""

    state: str  # "" = that it is well
    people: tuple[str, ...]  # while it was well


async def load_told(wire: Wire, calendar_id: str, schedule: str) -> ToldOfCalendar:
    """Raises StoreUnavailable."""
    fields = (f"told {schedule}", f"people {schedule}")
    state, people = await wire.call("HMGET", keys.calendar(calendar_id), *fields)
    return ToldOfCalendar((state or b"").decode(), tuple(_names(people)) if people else ())


def note_told(
    operations: Operations, calendar_id: str, schedule: str, before: str, state: str
) -> None:
    """Note news that go out in the same commit, unless another process has told of it."""
    key, field = keys.calendar(calendar_id), f"told {schedule}"
    operations.guard(key, field, before)
    operations.do(*(("HSET", key, field, state) if state else ("HDEL", key, field)))


def note_people(
    operations: Operations, calendar_id: str, schedule: str, people: tuple[str, ...]
) -> None:
    """Note whom a calendar puts on call."""
    operations.do("HSET", keys.calendar(calendar_id), f"people {schedule}", _encode(people))


def _update_calendar(calendar_id: str, now: float, **fields: str | bytes) -> Operations:
    key, operations = keys.calendar(calendar_id), Operations()
    words = [word for pair in fields.items() for word in pair]
    operations.do("HSET", key, "checked_at", repr(now), *words)
    operations.do("EXPIRE", key, CALENDAR_TTL)
    return operations


async def create_feed(wire: Wire, feed: Feed) -> tuple[str, bool]:
    """Return the token of a feed, and True where it is new. Raises StoreUnavailable."""
    token, operations = secrets.token_urlsafe(24), Operations()
    # of two who make it at the same time both must get the same token
    operations.guard(keys.FEED_TOKENS, str(feed), b"")
    operations.do("HSET", keys.FEED_TOKENS, str(feed), token)
    operations.do("HSET", keys.FEEDS, token, _encode(feed))
    if await commit(wire, operations):
        return token, True
    return (await _require_feed_token(wire, feed)).decode(), False


async def revoke_feed(wire: Wire, feed: Feed) -> None:
    """Delete the token of a feed. Raises NotFound, StoreUnavailable."""
    token, operations = await _require_feed_token(wire, feed), Operations()
    operations.guard(keys.FEED_TOKENS, str(feed), token)
    operations.do("HDEL", keys.FEED_TOKENS, str(feed))
    operations.do("HDEL", keys.FEEDS, token)
    if not await commit(wire, operations):
        raise _feed_not_found(feed)


async def load_feed_token(wire: Wire, feed: Feed) -> str | None:
    """The token of a feed; None where nobody has made one. Raises StoreUnavailable."""
    token: bytes | None = await wire.call("HGET", keys.FEED_TOKENS, str(feed))
    return token.decode() if token is not None else None


async def find_feed(wire: Wire, token: str) -> Feed | None:
    """The feed of a token; None for an unknown one. Raises StoreUnavailable."""
    data = await wire.call("HGET", keys.FEEDS, token)
    return None if data is None else _feed(data)


async def _require_feed_token(wire: Wire, feed: Feed) -> bytes:
    token = await load_feed_token(wire, feed)
    if token is None:
        raise _feed_not_found(feed)
    return token.encode()


def _feed_not_found(feed: Feed) -> NotFound:
    return NotFound(Phrase("refusal.no_feed", {"feed": str(feed)}))
