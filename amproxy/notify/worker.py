"""The worker that empties the outbox: each message is sent, and its outcome is committed.

Delivery is at least once: a message whose sending a dead or stopped process had begun is sent
again, which is counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from amproxy import metrics
from amproxy.context import Context
from amproxy.errors import StoreUnavailable
from amproxy.log import EventLog
from amproxy.machine.draft import new_id
from amproxy.model import OutgoingMessage
from amproxy.notify.channels import Channel
from amproxy.notify.compose import SignLink
from amproxy.notify.delivery import ApplyEvent, NotOurs, Throttled
from amproxy.notify.lanes import Lane, LaneEntry, lane_key, limit_key
from amproxy.notify.pictures import MessagePictures
from amproxy.notify.plots.plotter import Plotter
from amproxy.notify.sender import MessageSender
from amproxy.store import outbox
from amproxy.store.outbox import ALIVE_SECONDS, OutboxMessage
from amproxy.text import Phrase

log = EventLog(__name__)

POLL_INTERVAL = 1.0  # seconds between checks for messages that another process left
RETRY_INTERVAL = POLL_INTERVAL / 4  # seconds between attempts while Redis is away
# Seconds after Redis was away in which nothing is taken over: its other processes have been unable
# to say that they live, and hold messages that are sent and not recorded yet.
TAKE_OVER_PAUSE = 3.0
RECOUNT_INTERVAL = 30.0  # seconds between searches for messages that nobody works on
BATCH = 200  # messages read at once
HANDED_OVER = 10  # messages that a commit takes at most
MAX_HELD = 200_000  # messages that a process holds; of most of them only the id
DRAIN_TIMEOUT = 4.0  # seconds that an orderly end waits for calls under way
MAX_CONCURRENT = 32  # calls under way to one receiver
MAX_SKIPPED_AT_ONCE = 64  # pages of one lane that are recorded together
MAX_PEOPLE_CONCURRENT = 128  # calls under way in one channel; each person has one at most


class DeliveryWorker:
    """One lane for each destination keeps the order.

    The lanes of a channel, or of one receiver, share a limit of concurrent calls.
    """

    def __init__(
        self,
        context: Context,
        channels: Mapping[str, Channel],
        sign: SignLink,
        apply: ApplyEvent,
        name: str = "",
        plotter: Plotter | None = None,
    ) -> None:
        """name: of the consumer in Redis, "" = one of its own. plotter: shared with pages."""
        self._context = context
        self._pictures = MessagePictures(context, plotter or Plotter(context))
        self._sender = MessageSender(context, channels, sign, apply, self._pictures)
        self._name = name or new_id()
        self._lanes: dict[str, Lane] = {}
        self._held: set[str] = set()  # entries of the outbox that are in lanes or under way
        self._limits: dict[str, asyncio.Semaphore] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._sending: set[asyncio.Task[Any]] = set()  # those of them that have a call under way
        self._draining = False
        self._renewed = 0.0  # monotonic time of the last renewal of the lease; 0 = none
        self._refused = -TAKE_OVER_PAUSE  # monotonic time of the last refusal of Redis
        self._recounted = 0.0  # monotonic time of the last such search; 0 = search now
        self._last_stray = ""  # id in the outbox up to which strays were looked for
        self._missed = False  # a response may have been lost that gave it messages

    async def run(self) -> None:
        """Deliver for ever; cancel to stop.

        Messages under way then are finished, for DRAIN_TIMEOUT at most; the others are left to
        other processes, or the next start.
        """
        try:
            while True:
                try:
                    if await self._turn():
                        continue
                except StoreUnavailable:
                    self._context.wire.taker = None
                    # A Redis that is back may be empty: the lease comes first again. And what a
                    # response that was lost has given to this process is nowhere else.
                    self._renewed = min(self._renewed, time.monotonic() - POLL_INTERVAL)
                    self._recounted, self._refused = 0.0, time.monotonic()
                    await asyncio.sleep(RETRY_INTERVAL)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL_INTERVAL):
                        await self._context.outbox_filled.wait()
                self._context.outbox_filled.clear()
        except asyncio.CancelledError:
            await self._drain()
            raise
        finally:
            self._context.wire.taker = None
            await self._pictures.close()
            await self._end_tasks()

    def take_operation(self) -> list[list[str | msgspec.Raw]]:
        if len(self._held) >= MAX_HELD:
            return []
        return outbox.take_operation(self._name, HANDED_OVER).ops

    def accept_entries(self, entries: Sequence[Any]) -> None:
        """Begin with messages that a commit of this process has stored and taken."""
        if self._context.wire.taker is not self:  # it has ended, or must find its lease again
            self._missed = True
            return
        # What cannot be read is found when it is searched for what nobody works on.
        self._accept(outbox.readable(entries, self._name))

    def miss(self) -> None:
        self._missed = True

    async def _turn(self) -> bool:
        """Renew the lease where it is time, and read a batch; True where there may be more.

        Raises StoreUnavailable.
        """
        wire, now = self._context.wire, time.monotonic()
        if now - self._renewed >= POLL_INTERVAL:
            await self._renew_lease(now)
            wire.taker = self  # not before it counts as alive: what it has would be taken over
            if now - self._refused >= TAKE_OVER_PAUSE:
                taken = await outbox.take_over(wire, self._name)
                if taken:
                    log.warning("took over messages of a process that died", messages=len(taken))
                self._accept(taken)
        if self._missed or now - self._recounted >= RECOUNT_INTERVAL:
            self._missed = False
            await self._read_own()
            await self._restore_strays()
            self._recounted = now
        if len(self._held) >= MAX_HELD:
            return False
        batch = await outbox.read(wire, self._name, BATCH)
        self._accept(batch)
        return len(batch) == BATCH

    async def _renew_lease(self, now: float) -> None:
        """Say that this process lives.

        Where it was silent for too long, drop what others have taken over.
        """
        silent = now - self._renewed if self._renewed else 0.0
        await outbox.join(self._context.wire)
        # Before taking over: this process must not count as dead itself.
        await outbox.keep_alive(self._context.wire, self._name)
        self._renewed = now
        if silent > ALIVE_SECONDS:
            await self._drop_taken(silent)

    async def _drop_taken(self, silent: float) -> None:
        own = await outbox.load_own(self._context.wire, self._name)
        dropped = [one for lane in self._lanes.values() for one in lane.drop_others(own)]
        self._held -= {one.entry for one in dropped}
        log.warning(
            "others took over messages of this process", messages=len(dropped), silent=silent
        )

    async def _read_own(self) -> None:
        """Take up messages that Redis counts as this process's and that it does not hold."""
        for entry in sorted(await outbox.load_own(self._context.wire, self._name) - self._held):
            queued = await outbox.load(self._context.wire, self._name, entry)
            self._accept([queued] if queued else [])

    async def _restore_strays(self) -> None:
        found, self._last_stray = await outbox.restore_strays(self._context.wire, self._last_stray)
        if found:
            log.error("messages were in nobody's hands; they are sent now", messages=found)

    def _accept(self, batch: list[OutboxMessage]) -> None:
        for queued in batch:
            if queued.entry in self._held:
                continue
            self._held.add(queued.entry)
            key = lane_key(queued.message)
            lane = self._lanes.get(key)
            if lane is None:
                self._lanes[key] = lane = Lane(key)
                lane.add(queued)
                self._spawn(self._work(lane))
            else:
                lane.add(queued)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)  # asyncio itself holds tasks only weakly
        task.add_done_callback(self._tasks.discard)
        return task

    async def _drain(self) -> None:
        """Finish what is being sent, begin nothing new, and leave the rest to others at once."""
        self._draining, self._context.wire.taker = True, None
        for task in self._tasks - self._sending:
            task.cancel()
        if self._sending:
            await asyncio.wait(self._sending, timeout=DRAIN_TIMEOUT)
        with contextlib.suppress(StoreUnavailable):
            await outbox.leave(self._context.wire, self._name)

    async def _end_tasks(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._held.clear()
        self._recounted, self._draining = 0.0, False

    async def _work(self, lane: Lane) -> None:
        """Deliver one lane until it is empty."""
        try:
            while lane and not self._draining:
                if reason := self._sender.health.stalled(lane.key, time.monotonic()):
                    await self._work_stalled(lane, reason)
                    continue
                lane.resume()
                if lane.needless:
                    await self._skip_needless(lane)
                one = lane.pop()
                if one is None:  # all that is left is a probe under way
                    await lane.wait(POLL_INTERVAL)
                elif await self._deliver(lane, one):
                    self._held.discard(one.entry)
        finally:
            del self._lanes[lane.key]

    async def _skip_needless(self, lane: Lane) -> None:
        """Record the next pages together, as far as nobody needs them any more.

        Where one is needless, because somebody has answered or all is over, many are, and each
        alone would wait for Redis. The more there were, the more are looked at.
        """
        ahead = lane.pop_some(min(2 * lane.needless, MAX_SKIPPED_AT_ONCE))
        with self._being_sent():
            # What meets an error is in the lane again: its delivery meets and handles it.
            results = await asyncio.gather(*map(self._skip, ahead), return_exceptions=True)
        for one, result in reversed([*zip(ahead, results, strict=True)]):
            if result is True:
                self._held.discard(one.entry)
            else:
                lane.put_back(one)
        lane.needless = len(ahead) if all(result is True for result in results) else 0

    async def _skip(self, one: LaneEntry) -> bool:
        queued = await self._load(one)
        return queued is None or await self._sender.skip_needless(queued)

    async def _work_stalled(self, lane: Lane, reason: Phrase) -> None:
        """Send one probe at a time; give the other messages to their people's next contacts."""
        wait = self._sender.health.probe_in(lane.key, time.monotonic())
        if lane.probe is None and wait == 0:
            one = lane.kept.popleft() if lane.kept else lane.pop()
            if one is not None:
                lane.probe = self._spawn(self._probe(lane, one))
        while one := lane.pop():
            if await self._divert(one, reason):
                self._held.discard(one.entry)
            else:
                lane.kept.append(one)
        if lane:
            await lane.wait(min(wait or POLL_INTERVAL, POLL_INTERVAL))

    async def _probe(self, lane: Lane, one: LaneEntry) -> None:
        try:
            if await self._deliver(lane, one):
                self._held.discard(one.entry)
        finally:
            lane.end_probe()

    async def _divert(self, one: LaneEntry, reason: Phrase) -> bool:
        """Give a message of a stalled lane up, where its person can be told in another way."""
        while True:
            try:
                queued = await self._load(one)
                return queued is None or await self._sender.divert(queued, reason)
            except StoreUnavailable:
                await asyncio.sleep(RETRY_INTERVAL)
            except NotOurs:
                return True
            except Exception:
                # A defect must not stop the lane: the message waits like those without a contact.
                metrics.unexpected_errors.labels("deliver").inc()
                log.exception("message failed unexpectedly", entry=one.entry)
                return False

    async def _deliver(self, lane: Lane, one: LaneEntry) -> bool:
        """Deliver one message; False where it is in the lane again, because it has to wait."""
        queued = one.message
        while True:
            try:
                queued = queued or await self._load(one)
                if queued is None:
                    return True
                async with self._limit(queued.message):
                    with self._being_sent():
                        needed = await self._sender.handle(queued)
                lane.needless = 0 if needed else lane.needless + 1
                return True
            except StoreUnavailable:  # nothing was sent yet
                await asyncio.sleep(RETRY_INTERVAL)
            except NotOurs:
                return True
            except Throttled as error:
                await self._wait_throttled(lane, one, error.seconds)
                return False
            except Exception as error:
                # A defect must not stop the lane, nor lose the message.
                metrics.unexpected_errors.labels("deliver").inc()
                log.exception("message failed unexpectedly", entry=one.entry)
                if queued is not None:
                    await self._sender.put_back(queued, error)
                return True

    def _limit(self, message: OutgoingMessage) -> asyncio.Semaphore:
        calls = MAX_PEOPLE_CONCURRENT if message.group is None else MAX_CONCURRENT
        return self._limits.setdefault(limit_key(message), asyncio.Semaphore(calls))

    @contextlib.contextmanager
    def _being_sent(self) -> Iterator[None]:
        """Keep the current task from being cancelled by an orderly end."""
        task = asyncio.current_task()
        assert task is not None
        self._sending.add(task)
        try:
            yield
        finally:
            self._sending.discard(task)

    async def _wait_throttled(self, lane: Lane, one: LaneEntry, seconds: float) -> None:
        """Put a message back and wait with the whole lane: its destination takes nothing now."""
        lane.put_back(one)
        self._sender.health.throttle(lane.key, seconds, time.monotonic())
        if not self._sender.health.stalled(lane.key, time.monotonic()):
            await asyncio.sleep(seconds)

    async def _load(self, one: LaneEntry) -> OutboxMessage | None:
        """The message of an entry; None where it is gone. Raises StoreUnavailable."""
        if one.message is not None:
            return one.message
        return await outbox.load(self._context.wire, self._name, one.entry)
