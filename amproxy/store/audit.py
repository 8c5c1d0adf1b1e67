"""The audit log, a stream bounded by number and age.

No secret is ever written to the log.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final, Literal, NamedTuple

import msgspec

from amproxy.store import keys
from amproxy.store.wire import Wire
from amproxy.text import Phrase, Words

MAX_ENTRIES: Final = 100_000  # entries
READ_SIZE: Final = 500  # entries read at once
CLOCK_SKEW: Final = 3600.0  # seconds that replicas' clocks, and so entries, may be out of order
LONGEST_TEXT: Final = 500  # characters of a text, alone or as a value of a phrase
CURSOR_PATTERN: Final = re.compile(r"[0-9]{1,20}-[0-9]{1,20}", re.ASCII)

AuditResult = Literal["done", "refused"]


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One change, or one attempt to sign in."""

    at: float  # Unix seconds
    user: str = ""  # name in the file, or the one that a refused sign-in gave; "" = unknown
    role: str = ""
    via: str = ""  # open, basic, session, proxy, token, link, sign-in, or the channel of a chat
    token: str = ""  # name of the API token
    address: str = ""  # of the client; of a chat the account
    what: Words  # entries of earlier versions have a sentence
    reason: Phrase | None = None  # why it was refused
    result: AuditResult = "done"


class AuditEntries(NamedTuple):
    """One page of the log."""

    entries: list[AuditEntry]
    cursor: str  # for older ones; "" = there are none


_encode = msgspec.msgpack.Encoder().encode
_entry = msgspec.msgpack.Decoder(AuditEntry).decode


async def add(wire: Wire, entry: AuditEntry, retention: float) -> None:
    """Log an entry; delete those older than the retention (seconds). Raises StoreUnavailable."""
    entry = msgspec.structs.replace(entry, what=_cut(entry.what), user=entry.user[:100])
    written = wire.call("XADD", keys.AUDIT, "MAXLEN", "~", MAX_ENTRIES, "*", "m", _encode(entry))
    trimmed = wire.call(
        "XTRIM", keys.AUDIT, "MINID", "~", max(0, int((entry.at - retention) * 1000))
    )
    await asyncio.gather(written, trimmed)


def _cut(value: Any) -> Any:
    """A text, a phrase or a value of one, without longer texts than LONGEST_TEXT."""
    if isinstance(value, str):
        return value[:LONGEST_TEXT]
    if isinstance(value, Phrase):
        return Phrase(value.key, {name: _cut(inner) for name, inner in value.values.items()})
    return tuple(map(_cut, value)) if isinstance(value, tuple) else value


async def find(
    wire: Wire,
    *,
    user: str = "",
    start: float = 0.0,
    end: float = float("inf"),
    limit: int = 100,
    cursor: str = "",
) -> AuditEntries:
    """Entries of a period (Unix seconds), newest first; of one person where a user is given.

    Raises StoreUnavailable.
    """
    found: list[AuditEntry] = []
    last = cursor
    while read := await wire.call(
        "XREVRANGE", keys.AUDIT, f"({last}" if last else "+", "-", "COUNT", READ_SIZE
    ):
        for name, fields in read:
            entry = _entry(fields[1])
            if entry.at < start - CLOCK_SKEW:
                return AuditEntries(found, "")
            if start <= entry.at < end and user in ("", entry.user):
                if len(found) == limit:
                    return AuditEntries(found, last)
                found.append(entry)
            last = name.decode()
        await asyncio.sleep(0)  # a push that came in meanwhile goes first
    return AuditEntries(found, "")
