"""The worker that empties the outbox: look at the state again, send, and commit what became of it.

Delivery is at least once. A message that a dead process had is sent again, counted, and said so in the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import defaultdict, deque
from collections.abc import Mapping

from amproxy import metrics
from amproxy.context import Context
from amproxy.errors import StoreUnavailable
from amproxy.machine.draft import new_id
from amproxy.model import OutgoingMessage
from amproxy.notify.channels import Channel
from amproxy.notify.compose import SignLink
from amproxy.notify.delivery import ApplyEvent
from amproxy.notify.sender import MessageSender
from amproxy.store import outbox
from amproxy.store.outbox import OutboxMessage

log = logging.getLogger(__name__)

POLL_INTERVAL = 1.0  # seconds between looks for what another process left
MAX_IN_PROGRESS = 1000  # messages taken from the outbox at once: enough that those which wait for a slow receiver leave room for others
MAX_CONCURRENT = 32  # calls under way in one channel, or to one receiver


class DeliveryWorker:
    """One lane for each recipient keeps the order; lanes of a channel, or of one receiver, share a limit."""

    def __init__(self, context: Context, channels: Mapping[str, Channel], sign: SignLink, apply: ApplyEvent) -> None:
        self._context = context
        self._handler = MessageSender(context, channels, sign, apply)
        self._name = new_id()
        self._lanes: dict[str, deque[OutboxMessage]] = {}
        self._limits: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(MAX_CONCURRENT))
        self._tasks: set[asyncio.Task[None]] = set()
        self._held = 0

    async def run(self) -> None:
        """Deliver for ever; cancel to stop. What is under way then is finished by another process or the next start."""
        looked = -POLL_INTERVAL  # when this process last said that it lives, and looked for the messages of those that do not
        while True:
            with contextlib.suppress(TimeoutError):
                # not wait_for: in Python 3.11 that may swallow the cancellation that ends us
                async with asyncio.timeout(POLL_INTERVAL):
                    await self._context.outbox_filled.wait()
                self._context.outbox_filled.clear()
            try:
                if time.monotonic() - looked >= POLL_INTERVAL:
                    await outbox.join(self._context.wire)
                    await outbox.keep_alive(self._context.wire, self._name)
                    self._accept(await outbox.take_over(self._context.wire, self._name))
                    looked = time.monotonic()
                while self._held < MAX_IN_PROGRESS and (batch := await outbox.read(self._context.wire, self._name, MAX_IN_PROGRESS)):
                    self._accept(batch)
            except StoreUnavailable:
                looked = -POLL_INTERVAL
                await asyncio.sleep(POLL_INTERVAL / 4)

    def _accept(self, batch: list[OutboxMessage]) -> None:
        if again := [taken for taken in batch if taken.again]:
            log.warning("%s messages were in the hands of a process that died: those under way may arrive twice", len(again))
        for taken in batch:
            if taken.again:
                metrics.deliveries_repeated.labels(taken.message.channel).inc()
            lane = _queue_key(taken.message)
            queue = self._lanes.get(lane)
            self._held += 1
            if queue is None:
                self._lanes[lane] = deque([taken])
                task = asyncio.create_task(self._work(lane, self._lanes[lane]))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            elif taken.message.urgent:
                queue.insert(sum(waiting.message.urgent for waiting in queue), taken)
            else:
                queue.append(taken)

    async def _work(self, lane: str, queue: deque[OutboxMessage]) -> None:
        while queue:
            taken = queue.popleft()
            try:
                async with self._limits[_limit_key(taken.message)]:
                    await self._one(taken)
            finally:
                self._held -= 1
        del self._lanes[lane]
        if self._held < MAX_IN_PROGRESS:
            self._context.wake(outbox=True)

    async def _one(self, taken: OutboxMessage) -> None:
        while True:
            try:
                await self._handler.handle(taken)
                return
            except StoreUnavailable:  # nothing was sent yet
                await asyncio.sleep(POLL_INTERVAL / 4)
            except Exception:
                # a defect must not stop the lane; the message stays in the stream, and the next start takes it over
                metrics.unexpected_errors.labels("deliver").inc()
                log.exception("message %s failed unexpectedly", taken.message.id)
                return


def _limit_key(message: OutgoingMessage) -> str:
    """Who shares a limit: a receiver that hangs must not keep others waiting."""
    return message.channel if message.group is None else f"{message.channel}/{message.group.receiver}/{message.integration}"


def _queue_key(message: OutgoingMessage) -> str:
    """What goes out one after the other. People read in order; a program at the end of a webhook takes groups side by side."""
    if message.group is None:
        return f"{message.channel}/{message.user or message.integration}"
    return f"{_limit_key(message)}/{message.group.id}" if message.channel == "webhook" else _limit_key(message)
