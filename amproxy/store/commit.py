"""Guarded, atomic changes: the Python side of commit.lua."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from amproxy.errors import StoreUnavailable
from amproxy.store import keys
from amproxy.store.wire import Wire, Word

T = TypeVar("T")

COMMIT_TRIES = 50  # each loses to another change of the same thing

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


def field_name(key: str, field: str) -> str:
    """The name of a field of a hash that changes are guarded by, for `commit_decided`."""
    return f"{key} {field}"


@dataclass
class Operations:
    """Guards, and the operations that are carried out only if all of the guards are met.

    `ops` are Redis commands, or those that commit.lua adds ("!settle" …).
    """

    guards: list[tuple[str, str, str | msgspec.Raw]] = field(default_factory=list)
    ops: list[list[str | msgspec.Raw]] = field(default_factory=list)
    # Where it is a list, the commit adds the fingerprints of the alerts that it deletes.
    removed: list[str] | None = None
    sends: bool = False  # there are messages for the outbox among them

    def guard(self, key: str, name: str, expected: str | bytes) -> None:
        """Demand that a field of a hash has this value; "" = that it is absent."""
        self.guards.append((key, name, word(expected)))

    def guard_unfinished(self, consumers: str, entry: str) -> None:
        """Demand that no process has finished a message of the outbox."""
        self.guards.append(("!unfinished", consumers, word(entry)))

    def guarded(self) -> list[str]:
        """The names of what is guarded."""
        return [field_name(key, name) for key, name, _ in self.guards]

    def do(self, *words: Word) -> None:
        """Add one operation."""
        # most words are texts, and there are dozens in every change
        self.ops.append([given if type(given) is str else word(given) for given in words])

    def extend(self, other: Operations) -> None:
        """Add the guards and operations of another."""
        self.guards += other.guards
        self.ops += other.ops
        self.sends = self.sends or other.sends


async def commit(wire: Wire, operations: Operations) -> bool:
    """Commit all; return False when a guard is not met, and then nothing has changed.

    Raises StoreUnavailable: then it is unknown whether it was committed.
    """
    told = operations.removed is not None
    taker = wire.taker if operations.sends else None
    take = taker.take_operation() if taker else []
    change = _encode((operations.guards, operations.ops + take, told))
    try:
        answer = await wire.script("commit", keys.P, change)
    except BaseException:
        if take and taker:
            taker.miss()  # a cancellation, too, loses the response
        raise
    if answer == 0:
        return False
    removed, taken = answer
    if operations.removed is not None:
        operations.removed += [name.decode() for name in removed]
    if taken and taker:
        taker.accept_entries(taken)
    return True


async def commit_decided(
    wire: Wire,
    subject: str,
    decide: Callable[[], Awaitable[tuple[Operations | None, T]]],
    *guarded: str,
) -> T:
    """Commit what `decide` makes of what is stored; return the second of what it returned last.

    It is called again, behind all others who change the same, as long as another change was first.
    Instead of operations it may return None: then nothing is to be done. guarded: the names
    (`field_name`) that are known before. Raises StoreUnavailable, and what `decide` raises.
    """
    # No lock is held while it decides for the first time: seldom does anything come in between.
    async with wire.queues.of(*guarded) as place:
        for _ in range(COMMIT_TRIES):
            operations, result = await decide()
            if operations is None or await commit(wire, operations):
                return result
            await place.join(*operations.guarded())
    raise StoreUnavailable(f"{subject} keeps changing")
