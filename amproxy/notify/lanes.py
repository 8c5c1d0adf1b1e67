"""Lanes: the messages of one destination that a process holds, and how the destination answers.

A lane has a budget of messages in memory. What is over it stays in the outbox, and only its id is
kept, so that a destination that hangs takes neither memory nor the turn of others.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass

from amproxy.model import OutgoingMessage
from amproxy.store.outbox import OutboxMessage
from amproxy.text import Length, Phrase, phrase

BUDGET = 100  # messages of a lane that are kept in memory
TIMEOUTS_TO_STALL = 3  # time-outs in a row after which a destination counts as hanging
PROBE_WAITS = (5.0, 60.0)  # seconds before the first probe of a stalled lane, and at most
LONG_THROTTLE = 60.0  # seconds; who asks for more patience than that counts as stalled


@dataclass(slots=True)
class LaneEntry:
    """One message in a lane."""

    entry: str
    urgent: bool
    message: OutboxMessage | None  # None = over the budget, to be read again

    @classmethod
    def of(cls, queued: OutboxMessage, *, in_memory: bool) -> LaneEntry:
        return cls(queued.entry, queued.message.urgent, queued if in_memory else None)


class Lane:
    """Messages in the order in which they go out: urgent ones first."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.kept: deque[LaneEntry] = deque()  # of a stalled lane: nobody else can be told
        self.probe: asyncio.Task[None] | None = None
        self.needless = 0  # messages up to now, one after the other, that nobody needed any more
        self._urgent: deque[LaneEntry] = deque()
        self._others: deque[LaneEntry] = deque()
        self._changed = asyncio.Event()

    def __bool__(self) -> bool:
        return bool(self._urgent or self._others or self.kept or self.probe)

    def add(self, queued: OutboxMessage) -> None:
        in_memory = len(self._urgent) + len(self._others) < BUDGET
        self._queue(queued.message.urgent).append(LaneEntry.of(queued, in_memory=in_memory))
        self._changed.set()

    def put_back(self, one: LaneEntry) -> None:
        """Make a message the next of its kind again."""
        self._queue(one.urgent).appendleft(one)

    def pop(self) -> LaneEntry | None:
        """The next message; None where there is none but kept ones."""
        for queue in (self._urgent, self._others):
            if queue:
                return queue.popleft()
        return None

    def pop_some(self, number: int) -> list[LaneEntry]:
        """The next messages, so many at most."""
        return [one for _ in range(number) if (one := self.pop()) is not None]

    def resume(self) -> None:
        """Put the kept messages back before the others."""
        while self.kept:
            self.put_back(self.kept.pop())

    def drop_others(self, own: Collection[str]) -> list[LaneEntry]:
        """Forget the messages that are neither under way nor among these entries; return them."""
        dropped = list[LaneEntry]()
        for queue in (self._urgent, self._others, self.kept):
            held = list(queue)
            dropped += [one for one in held if one.entry not in own]
            queue.clear()
            queue.extend(one for one in held if one.entry in own)
        self._changed.set()
        return dropped

    def end_probe(self) -> None:
        self.probe = None
        self._changed.set()

    async def wait(self, seconds: float) -> None:
        """Wait until a message comes in or a probe ends, for so long at most."""
        self._changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    def _queue(self, urgent: bool) -> deque[LaneEntry]:
        return self._urgent if urgent else self._others


@dataclass(slots=True)
class _Stall:
    timeouts: int = 0  # in a row
    probe_at: float = 0.0
    wait: float = 0.0  # seconds from the last time-out to the next probe
    throttled_until: float = 0.0
    reason: Phrase | None = None


class LaneHealth:
    """The outcomes of the calls of each lane, and which lanes they stall. Times are monotonic."""

    def __init__(self) -> None:
        self._stalls: dict[str, _Stall] = {}

    def record(self, key: str, reason: str, now: float) -> None:
        """Note the outcome of a call: "" = it was taken, else a DeliveryError's reason."""
        if reason != "timeout":
            self._stalls.pop(key, None)
            return
        stall = self._stalls.setdefault(key, _Stall())
        stall.timeouts += 1
        stall.reason = phrase("failure.hangs", n=stall.timeouts)
        first, longest = PROBE_WAITS
        if stall.timeouts <= TIMEOUTS_TO_STALL:
            stall.wait = first
        else:
            stall.wait = min(2 * stall.wait, longest)
        stall.probe_at = now + stall.wait

    def hanging(self, channel: str) -> int:
        """The number of a channel's lanes that time-outs have stalled."""
        return sum(
            stall.timeouts >= TIMEOUTS_TO_STALL
            for key, stall in self._stalls.items()
            if key.startswith(f"{channel}/")
        )

    def throttle(self, key: str, seconds: float, now: float) -> None:
        """Note that the destination takes no message for so long."""
        if seconds >= LONG_THROTTLE:
            stall = self._stalls.setdefault(key, _Stall())
            stall.throttled_until = stall.probe_at = now + seconds
            stall.reason = phrase("failure.throttled", length=Length(round(seconds)))

    def stalled(self, key: str, now: float) -> Phrase | None:
        """The reason why a lane is stalled; None = it is not."""
        stall = self._stalls.get(key)
        if stall is None or (stall.timeouts < TIMEOUTS_TO_STALL and now >= stall.throttled_until):
            return None
        return stall.reason

    def probe_in(self, key: str, now: float) -> float:
        """Seconds until a stalled lane may be probed."""
        stall = self._stalls.get(key)
        return max(0.0, stall.probe_at - now) if stall else 0.0


def limit_key(message: OutgoingMessage) -> str:
    """The channel or receiver whose calls share a limit: one that hangs must not block others."""
    if message.group is None:
        return message.channel
    return f"{message.channel}/{message.group.receiver}/{message.integration}"


def lane_key(message: OutgoingMessage) -> str:
    """The destination whose messages go out one after the other.

    People read in order; a program behind a webhook takes the messages of groups side by side.
    """
    if message.group is None:
        return f"{message.channel}/{message.user or message.integration}"
    if message.channel == "webhook":
        return f"{limit_key(message)}/{message.group.id}"
    return limit_key(message)
