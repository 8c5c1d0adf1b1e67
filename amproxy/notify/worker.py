"""The worker that empties the outbox: each message is sent, and its outcome is committed.

Delivery is at least once: a message that a dead process was sending is sent again, which is
counted and logged.
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

POLL_INTERVAL = 1.0  # seconds between checks for messages that another process left
# Messages read from the outbox and not finished: enough that those which wait for a slow receiver
# leave room for others.
MAX_IN_PROGRESS = 1000
MAX_CONCURRENT = 32  # calls under way in one channel, or to one receiver


class DeliveryWorker:
    """One queue for each destination keeps the order.

    The queues of a channel, or of one receiver, share a limit of concurrent calls.
    """

    def __init__(
        self, context: Context, channels: Mapping[str, Channel], sign: SignLink, apply: ApplyEvent
    ) -> None:
        self._context = context
        self._sender = MessageSender(context, channels, sign, apply)
        self._name = new_id()  # of the consumer in Redis
        self._queues: dict[str, deque[OutboxMessage]] = {}
        self._limits: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(MAX_CONCURRENT)
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._in_progress = 0

    async def run(self) -> None:
        """Deliver for ever; cancel to stop.

        A message under way then is finished by another process or the next start.
        """
        checked = -POLL_INTERVAL  # when the lease was renewed, and dead processes looked for
        while True:
            with contextlib.suppress(TimeoutError):
                # not wait_for: in Python 3.11 that may swallow the cancellation that ends us
                async with asyncio.timeout(POLL_INTERVAL):
                    await self._context.outbox_filled.wait()
                self._context.outbox_filled.clear()
            try:
                if time.monotonic() - checked >= POLL_INTERVAL:
                    await outbox.join(self._context.wire)
                    # Before taking over: this process must not count as dead itself.
                    await outbox.keep_alive(self._context.wire, self._name)
                    self._accept(await outbox.take_over(self._context.wire, self._name))
                    checked = time.monotonic()
                while self._in_progress < MAX_IN_PROGRESS and (
                    batch := await outbox.read(self._context.wire, self._name, MAX_IN_PROGRESS)
                ):
                    self._accept(batch)
            except StoreUnavailable:
                # A Redis that is back may be empty: join and lease come first again.
                checked = -POLL_INTERVAL
                await asyncio.sleep(POLL_INTERVAL / 4)

    def _accept(self, batch: list[OutboxMessage]) -> None:
        if again := [queued for queued in batch if queued.again]:
            log.warning(
                "%s messages were in the hands of a process that died: "
                "those under way may arrive twice",
                len(again),
            )
        for queued in batch:
            if queued.again:
                metrics.deliveries_repeated.labels(queued.message.channel).inc()
            self._enqueue(queued)

    def _enqueue(self, queued: OutboxMessage) -> None:
        """Add a message to the queue of its destination; an urgent one goes before the others."""
        self._in_progress += 1
        key = _queue_key(queued.message)
        queue = self._queues.get(key)
        if queue is None:
            self._queues[key] = queue = deque([queued])
            task = asyncio.create_task(self._work(key, queue))
            self._tasks.add(task)  # asyncio itself holds tasks only weakly
            task.add_done_callback(self._tasks.discard)
        elif queued.message.urgent:
            # behind the urgent ones, so that they stay in order among themselves
            queue.insert(sum(waiting.message.urgent for waiting in queue), queued)
        else:
            queue.append(queued)

    async def _work(self, key: str, queue: deque[OutboxMessage]) -> None:
        """Deliver one queue until it is empty."""
        while queue:
            queued = queue.popleft()
            try:
                async with self._limits[_limit_key(queued.message)]:
                    await self._deliver(queued)
            finally:
                self._in_progress -= 1
        del self._queues[key]
        if self._in_progress < MAX_IN_PROGRESS:
            self._context.wake(outbox=True)  # there is room to read more

    async def _deliver(self, queued: OutboxMessage) -> None:
        while True:
            try:
                await self._sender.handle(queued)
                return
            except StoreUnavailable:  # nothing was sent yet
                await asyncio.sleep(POLL_INTERVAL / 4)
            except Exception:
                # A defect must not stop the queue. The message stays in the stream, and the next
                # start takes it over.
                metrics.unexpected_errors.labels("deliver").inc()
                log.exception("message %s failed unexpectedly", queued.message.id)
                return


def _limit_key(message: OutgoingMessage) -> str:
    """The channel or receiver whose calls share a limit: one that hangs must not block others."""
    if message.group is None:
        return message.channel
    return f"{message.channel}/{message.group.receiver}/{message.integration}"


def _queue_key(message: OutgoingMessage) -> str:
    """The destination whose messages go out one after the other.

    People read in order; a program behind a webhook takes the messages of groups side by side.
    """
    if message.group is None:
        return f"{message.channel}/{message.user or message.integration}"
    if message.channel == "webhook":
        return f"{_limit_key(message)}/{message.group.id}"
    return _limit_key(message)
