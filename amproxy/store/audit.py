"""The audit log, a stream bounded by number and age, and the trimming of old incidents.

No secret is ever written to the log.
"""

from __future__ import annotations

import asyncio
import re
from typing import Final, Literal, NamedTuple

import msgspec

from amproxy.store import incidents, keys
from amproxy.store.commit import Operations, commit
from amproxy.store.incidents import STATES, policy_of
from amproxy.store.wire import Wire

MAX_ENTRIES: Final = 100_000  # entries
READ_SIZE: Final = 500  # entries read at once
CLOCK_SKEW: Final = 3600.0  # seconds that replicas' clocks, and so entries, may be out of order
TRIM_LIMIT = 500  # incidents, or manual changes of one kind, deleted in one commit
LONGEST_WHAT: Final = 500  # characters of `what`
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
    what: str
    result: AuditResult = "done"


class AuditEntries(NamedTuple):
    """One page of the log."""

    entries: list[AuditEntry]
    cursor: str  # for older ones; "" = there are none


_encode = msgspec.msgpack.Encoder().encode
_entry = msgspec.msgpack.Decoder(AuditEntry).decode


async def add(wire: Wire, entry: AuditEntry, retention: float) -> None:
    """Log an entry; delete those older than the retention (seconds). Raises StoreUnavailable."""
    entry = msgspec.structs.replace(entry, what=entry.what[:LONGEST_WHAT], user=entry.user[:100])
    written = wire.call("XADD", keys.AUDIT, "MAXLEN", "~", MAX_ENTRIES, "*", "m", _encode(entry))
    trimmed = wire.call(
        "XTRIM", keys.AUDIT, "MINID", "~", max(0, int((entry.at - retention) * 1000))
    )
    await asyncio.gather(written, trimmed)


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


async def trim_incidents(wire: Wire, before: float) -> int:
    """Delete resolved incidents that started before a time (Unix seconds), TRIM_LIMIT at most.

    Returns how many. Raises StoreUnavailable.
    """
    resolved, limit = keys.incidents("resolved"), ("LIMIT", 0, TRIM_LIMIT)
    found = await wire.call("ZRANGE", resolved, "-inf", before, "BYSCORE", *limit)
    ids = [name.decode() for name in found]
    if not ids:
        return 0
    operations = Operations()
    for name in ids:
        data = await wire.call("HGET", keys.incident(name), "data")
        operations.do("DEL", keys.incident(name), keys.timeline(name), keys.incident_alerts(name))
        operations.do("ZREM", keys.INCIDENTS, name)
        incidents.delete_summaries(operations, name)
        for state in STATES:
            operations.do("ZREM", keys.incidents(state), name)
        if data is not None:
            operations.do("HINCRBY", keys.COUNTS, f"{policy_of(data)} resolved", -1)
    await commit(wire, operations)
    return len(ids)
