"""Guarded, atomic changes: the Python side of commit.lua."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from amproxy.store import keys
from amproxy.store.wire import Wire, Word

_encode = msgspec.msgpack.Encoder().encode


def binary(data: bytes) -> msgspec.Raw:
    """Encode bytes as a msgpack text: Redis' cmsgpack does not know msgpack's type for binary."""
    size = len(data)
    if size < 32:
        return msgspec.Raw(bytes((0xA0 | size,)) + data)
    if size < 1 << 8:
        return msgspec.Raw(bytes((0xD9, size)) + data)
    if size < 1 << 16:
        return msgspec.Raw(b"\xda" + size.to_bytes(2, "big") + data)
    return msgspec.Raw(b"\xdb" + size.to_bytes(4, "big") + data)


def word(given: Word) -> str | msgspec.Raw:
    """Encode a word for a script; numbers as text, because Lua would round large ones."""
    return binary(given) if isinstance(given, bytes) else str(given)


@dataclass
class Operations:
    """Guards, and the operations that are carried out only if all of the guards are met.

    `ops` are Redis commands, or those that commit.lua adds ("!settle" …).
    """

    guards: list[tuple[str, str, str | msgspec.Raw]] = field(default_factory=list)
    ops: list[list[str | msgspec.Raw]] = field(default_factory=list)

    def guard(self, key: str, name: str, expected: str | bytes) -> None:
        """Demand that a field of a hash has this value; "" = that it is absent."""
        self.guards.append((key, name, word(expected)))

    def guard_unfinished(self, consumers: str, entry: str) -> None:
        """Demand that no process has finished a message of the outbox."""
        self.guards.append(("!unfinished", consumers, word(entry)))

    def do(self, *words: Word) -> None:
        """Add one operation."""
        self.ops.append([word(given) for given in words])

    def extend(self, other: Operations) -> None:
        """Add the guards and operations of another."""
        self.guards += other.guards
        self.ops += other.ops


async def commit(wire: Wire, operations: Operations) -> bool:
    """Commit all; return False when a guard is not met, and then nothing has changed.

    Raises StoreUnavailable: then it is unknown whether it was committed.
    """
    change = _encode((operations.guards, operations.ops))
    return bool(await wire.script("commit", keys.P, change) == 1)
