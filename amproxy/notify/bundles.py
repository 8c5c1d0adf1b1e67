"""Bundles: one message about many incidents, whose states are checked again when it is sent."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from amproxy import metrics
from amproxy.errors import DeliveryError
from amproxy.machine.deliveries import skip_reason
from amproxy.machine.events import Event, Failed, Sent
from amproxy.model import Incident, Outcome, OutgoingMessage, Page
from amproxy.notify.compose import bundle_card
from amproxy.notify.delivery import DeliveryService
from amproxy.notify.pages import PageSender, count_delivered_page, count_page, find_page
from amproxy.store import deliveries, incidents
from amproxy.store.commit import Operations
from amproxy.store.outbox import OutboxMessage, save_bundle_epochs


class BundledPage(NamedTuple):
    """One page of a bundle with its incident."""

    incident: Incident
    page: Page


class BundleSender:
    """Sends bundles; a bundle of which one page is left goes out as a page of its own."""

    def __init__(self, service: DeliveryService, pages: PageSender) -> None:
        self._service, self._context, self._pages = service, service.context, pages

    async def send(self, queued: OutboxMessage) -> None:
        """Send a bundle and record each of its pages.

        Raises StoreUnavailable only before anything was sent. Pages that a process recorded
        before it died are not sent again.
        """
        message = queued.message
        due, before = await asyncio.gather(
            self._load_due(message),
            deliveries.load_contact_outcome(self._context.wire, message.user, message.channel),
        )
        wanted = []
        for one in due:
            if reason := skip_reason(one.incident, one.page):
                await self._pages.skip_page(Operations(), message, one.incident, one.page, reason)
            else:
                wanted.append(one)
        if not wanted:
            await self._service.finish(queued)
        elif len(wanted) == 1:
            await self._pages.send_single(queued, *wanted[0], before)
        else:
            await self._send_bundle(queued, wanted, before)

    async def _load_due(self, message: OutgoingMessage) -> list[BundledPage]:
        """The pages that are not recorded yet."""
        ids = [incident_id for incident_id, _ in message.pages]
        loaded = await incidents.load_many(self._context.wire, ids)
        due = []
        for incident_id, page_id in message.pages:
            incident = loaded.get(incident_id)
            page = find_page(incident, page_id) if incident else None
            if incident and page and page.state == "due":
                due.append(BundledPage(incident, page))
        return due

    async def _send_bundle(
        self, queued: OutboxMessage, bundled: list[BundledPage], before: Outcome | None
    ) -> None:
        service, message, page = self._service, queued.message, bundled[0].page
        # Before the message: its button must work from the moment at which somebody can see it.
        epochs = {one.incident.id: one.incident.epoch for one in bundled}
        await save_bundle_epochs(self._context.wire, message.bundle, epochs)
        error, operations = "", Operations()
        about = [one.incident for one in bundled]
        try:
            result = await service.call(message, lambda: self._send(message, bundled))
        except DeliveryError as failure:
            if await service.retry_later(queued, failure, about=about, page=page):
                return
            error = str(failure)
            service.log_delivery(
                operations, message, "failed", about=about, page=page, error=failure
            )
        else:
            service.log_delivery(
                operations, message, "sent", about=about, page=page, seconds=result.seconds
            )
        await self._record(message, bundled, error)
        # The message leaves the outbox last: after a crash before that, another process finds
        # here which pages are not recorded yet.
        service.save_contact_outcome(operations, message, page.address, before, error)
        await service.finish(queued, operations)

    async def _record(
        self, message: OutgoingMessage, bundled: list[BundledPage], error: str
    ) -> None:
        """Count each page and record it in its incident. error: "" = the bundle was sent."""
        others = len({one.incident.id for one in bundled}) - 1
        events: list[Event] = []
        for incident, page in bundled:
            if error:
                count_page(page, "failed")
                events.append(Failed(page=page.id, error=error, attempt=message.attempt))
                continue
            count_delivered_page(self._context.config, incident, page, self._context.now())
            metrics.pages_bundled.labels(page.channel, page.policy).inc()
            sent = Sent(
                page=page.id,
                look=incident.look,
                attempt=message.attempt,
                bundle=message.bundle,
                others=others,
            )
            events.append(sent)
        await asyncio.gather(
            *(
                self._service.record(one.incident.id, event)
                for one, event in zip(bundled, events, strict=True)
            )
        )

    async def _send(self, message: OutgoingMessage, bundled: list[BundledPage]) -> dict[str, str]:
        channel = self._service.channel(message.channel)
        settings = channel.person(self._context.config.global_, bundled[0].page.address)
        wire, now, url = self._context.wire, self._context.now(), self._context.external_url
        alerts = await asyncio.gather(
            *(incidents.load_alerts(wire, one.incident.id) for one in bundled)
        )
        card = bundle_card(message, bundled, alerts, now=now, external_url=url)
        return await channel.send(settings, card)
