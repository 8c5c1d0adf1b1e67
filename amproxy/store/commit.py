"""Guarded, atomic changes: the Python side of commit.lua."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from amproxy.store import keys
from amproxy.store.wire import Wire, Word

_encode = msgspec.msgpack.Encoder().encode


def text(word: Word) -> str | bytes:
    """A word as Redis takes it; numbers as text, because Lua would round large ones."""
    return word if isinstance(word, str | bytes) else str(word)


@dataclass
class Operations:
    """What must hold, and what is then done. `ops` holds Redis commands, or the words that commit.lua adds ("!settle" …)."""

    guards: list[tuple[str, str, str | bytes]] = field(default_factory=list)
    ops: list[list[str | bytes]] = field(default_factory=list)

    def guard(self, key: str, name: str, expected: str | bytes) -> None:
        self.guards.append((key, name, expected))

    def do(self, *words: Word) -> None:
        self.ops.append([text(word) for word in words])

    def extend(self, other: Operations) -> None:
        self.guards += other.guards
        self.ops += other.ops


async def commit(wire: Wire, operations: Operations) -> bool:
    """True when committed; False when a guard did not hold, and then nothing has changed."""
    return bool(await wire.script("commit", keys.P, _encode((operations.guards, operations.ops))) == 1)
