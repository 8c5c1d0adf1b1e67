"""Webhooks of the event recorder: each event is POSTed, or JSON arrays of them."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from amproxy import metrics
from amproxy.config.structs import EventBatch, EventWebhook
from amproxy.errors import DeliveryError
from amproxy.log import EventLog
from amproxy.notify.channels.http import HttpClients, send_request
from amproxy.notify.event_outputs import WEBHOOK_BACKLOG, EncodedEvent, EventBacklog, count_event
from amproxy.text.render import in_english

log = EventLog(__name__)

MAX_BACKOFF: Final = 30.0  # seconds


class WebhookOutput:
    """POSTs each event, or JSON arrays of them. Any 2xx is success; all else is tried again."""

    def __init__(self, settings: EventWebhook) -> None:
        self._settings = settings
        self.name = f"webhook:{settings.name}"
        self._backlog = EventBacklog(self.name, WEBHOOK_BACKLOG)
        self._changed = asyncio.Event()
        self._ended = self._failed = False
        self._busy = 0  # requests that are under way, with their waits
        self._idle = asyncio.Event()  # nothing is waiting or under way
        self._idle.set()
        self._collecting = asyncio.Lock()
        self._clients = HttpClients()
        self._workers = [asyncio.create_task(self._work()) for _ in range(settings.workers)]

    def offer(self, event: EncodedEvent) -> None:
        if self._backlog.put(event):
            count_event(self.name, event, len(event.data), ok=True)
            self._idle.clear()
            self._changed.set()

    async def close(self, within: float) -> None:
        self._ended = True
        self._changed.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._idle.wait()
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        self._lose(len(self._backlog.events))
        await self._clients.close()

    async def _work(self) -> None:
        batch = self._settings.batch
        while True:
            if batch is None:
                events = [await self._first()]
            else:
                # One at a time: several that wait for more would share what comes.
                async with self._collecting:
                    events = await self._collect(batch)
            try:
                data = [event.data for event in events]
                body = data[0] if batch is None else b"[" + b",".join(data) + b"]"
                if not await self._deliver(body):
                    self._lose(len(events))
            except asyncio.CancelledError:
                self._lose(len(events))
                raise
            finally:
                self._busy -= 1
                if not (self._busy or self._backlog.events):
                    self._idle.set()

    async def _first(self) -> EncodedEvent:
        while (event := self._backlog.pop()) is None:
            self._changed.clear()
            await self._changed.wait()
        self._busy += 1
        return event

    async def _collect(self, batch: EventBatch) -> list[EncodedEvent]:
        events = [await self._first()]
        waiting = self._backlog
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(batch.flush_interval):
                while (
                    not self._ended
                    and len(waiting.events) < batch.max_events - 1
                    and waiting.size < batch.max_bytes
                ):
                    self._changed.clear()
                    await self._changed.wait()
        size = 2 + len(events[0].data)
        while len(events) < batch.max_events and waiting.events:
            size += 1 + len(waiting.events[0].data)
            if size > batch.max_bytes or (event := waiting.pop()) is None:
                break
            events.append(event)
        return events

    async def _deliver(self, body: bytes) -> bool:
        settings = self._settings
        for attempt in range(settings.max_retries):
            reason = await self._post(body)
            if not reason:
                if self._failed:
                    log.info("events can be delivered again", output=self.name)
                self._failed = False
                return True
            if not self._failed:
                log.warning("events cannot be delivered", output=self.name, reason=reason)
            self._failed = True
            if attempt + 1 < settings.max_retries:
                # The power is bounded because a float overflows at a huge attempt.
                wait = settings.retry_backoff * 2.0 ** min(attempt, 100)
                await asyncio.sleep(min(wait, MAX_BACKOFF))
        return False

    async def _post(self, body: bytes) -> str:
        """Send one request; return why it failed, "" = it did not."""
        settings = self._settings
        try:
            response = await send_request(
                self._clients.client(settings.http, settings.timeout),
                "the webhook of events",
                settings.url.reveal(),
                within=settings.timeout,
                ignore_body=True,
                content=body,
                headers={"Content-Type": "application/json"},
            )
        except DeliveryError as error:
            return in_english(error.words)
        return "" if 200 <= response.status < 300 else f"HTTP {response.status}"

    def _lose(self, number: int) -> None:
        if number:
            metrics.event_output_drops.labels(self.name).inc(number)
