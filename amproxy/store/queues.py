"""Queues of changes of the same thing: in one process they follow each other.

A change is loaded, decided and committed under a guard; where another one was first, it begins
anew. Many at a time would lose to one another for ever. So who has lost once queues, and who comes
while somebody queues does too; where nobody loses, nobody waits.
"""

from __future__ import annotations

import asyncio
from types import TracebackType


class ChangeQueues:
    """The queues of one process, by the name of what is changed."""

    def __init__(self) -> None:
        self._queues: dict[str, _Queue] = {}  # those that somebody stands in

    def of(self, *names: str) -> QueuePlace:
        """A place in these queues for the length of an `async with`."""
        return QueuePlace(self._queues, names)


class _Queue:
    def __init__(self) -> None:
        self.lock = asyncio.Lock()  # fair: first come, first served
        self.size = 0  # who holds it, and who waits for it


class QueuePlace:
    """A place in some queues, which is taken where others queue, or by `join`."""

    def __init__(self, queues: dict[str, _Queue], names: tuple[str, ...]) -> None:
        self._queues = queues
        self._names = names
        self._first_in: list[str] = []  # queues that it is the head of
        self._joined = False

    async def __aenter__(self) -> QueuePlace:
        if self._queues and not self._queues.keys().isdisjoint(self._names):
            await self._stand_in_line()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leave()

    async def join(self, *more: str) -> None:
        """Wait until all who came before are done: for a change that has lost to another.

        more: names that were not known before it was decided; they count at the first call.
        """
        if not self._joined:
            self._names += more
            await self._stand_in_line()

    async def _stand_in_line(self) -> None:
        self._joined = True
        try:
            # in one order for all, so that no two wait for each other
            for name in sorted(set(self._names)):
                queue = self._queues.setdefault(name, _Queue())
                queue.size += 1
                try:
                    await queue.lock.acquire()
                except BaseException:  # a cancellation: who waits no longer does not count
                    self._shrink(name)
                    raise
                self._first_in.append(name)
        except BaseException:  # a cancellation, too, must not leave others waiting
            self._leave()
            raise

    def _leave(self) -> None:
        for name in self._first_in:
            self._queues[name].lock.release()
            self._shrink(name)
        self._first_in.clear()

    def _shrink(self, name: str) -> None:
        queue = self._queues[name]
        queue.size -= 1
        if not queue.size:
            del self._queues[name]
