"""Bundles: one message about many incidents, whose states are checked again when it is sent."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from amproxy import metrics
from amproxy.errors import DeliveryError
from amproxy.machine.chains import has_other_contact
from amproxy.machine.deliveries import skip_reason
from amproxy.machine.events import Event, Failed, Sent
from amproxy.model import Incident, Outcome, OutgoingMessage, Page
from amproxy.notify.compose import bundle_card
from amproxy.notify.delivery import DeliveryService, PreparedSend, is_too_old
from amproxy.notify.pages import PageSender, count_delivered_page, count_page, find_page
from amproxy.store import deliveries, incidents
from amproxy.store.commit import Operations
from amproxy.store.outbox import OutboxMessage
from amproxy.store.storms import save_bundle_epochs
from amproxy.text import Words


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
        wanted, before = await asyncio.gather(
            self._select_wanted(message),
            deliveries.load_contact_outcome(self._context.wire, message.user, message.channel),
        )
        if not wanted:
            await self._service.finish(queued)
        elif len(wanted) == 1:
            await self._pages.send_single(queued, *wanted[0], before)
        else:
            await self._send_bundle(queued, wanted, before)

    async def divert(self, queued: OutboxMessage, error: DeliveryError) -> bool:
        """Fail a bundle whose channel hangs, so that the person's next contact is tried.

        False where there is none, so that the bundle has to wait. Raises StoreUnavailable.
        """
        message, context = queued.message, self._context
        wanted = await self._select_wanted(message)
        if not wanted:
            await self._service.finish(queued)
        elif has_other_contact(context.config, *wanted[0]) or is_too_old(message, context.now()):
            await self._fail(queued, wanted, error, None)
        else:
            return False
        return True

    async def _select_wanted(self, message: OutgoingMessage) -> list[BundledPage]:
        """The pages that are not recorded yet; those that somebody has answered are skipped."""
        ids = [incident_id for incident_id, _ in message.pages]
        loaded = await incidents.load_many(self._context.wire, ids)
        wanted = []
        for incident_id, page_id in message.pages:
            incident = loaded.get(incident_id)
            page = find_page(incident, page_id) if incident else None
            if not incident or not page or page.state != "due":
                continue
            if reason := skip_reason(incident, page):
                await self._pages.skip_page(Operations(), message, incident, page, reason)
            else:
                wanted.append(BundledPage(incident, page))
        return wanted

    async def _send_bundle(
        self, queued: OutboxMessage, bundled: list[BundledPage], before: Outcome | None
    ) -> None:
        service, message, page = self._service, queued.message, bundled[0].page
        # Before the message: its button must work from the moment at which somebody can see it.
        epochs = {one.incident.id: one.incident.epoch for one in bundled}
        await save_bundle_epochs(self._context.wire, message.bundle, epochs)
        operations, about = Operations(), [one.incident for one in bundled]
        try:
            result = await service.call(queued, lambda: self._prepare(message, bundled))
        except DeliveryError as failure:
            other = has_other_contact(self._context.config, *bundled[0])
            if not await service.retry_later(
                queued, failure, about=about, page=page, other_contact=other
            ):
                await self._fail(queued, bundled, failure, before)
            return
        service.log_delivery(
            operations, message, "sent", about=about, page=page, seconds=result.seconds
        )
        await self._record(message, bundled, "")
        # The message leaves the outbox last: after a crash before that, another process finds
        # here which pages are not recorded yet.
        service.save_contact_outcome(operations, message, page.address, before)
        await service.finish(queued, operations)

    async def _fail(
        self,
        queued: OutboxMessage,
        bundled: list[BundledPage],
        error: DeliveryError,
        before: Outcome | None,
    ) -> None:
        """Record that each page failed for good."""
        service, message, operations = self._service, queued.message, Operations()
        about, page = [one.incident for one in bundled], bundled[0].page
        service.log_delivery(operations, message, "failed", about=about, page=page, error=error)
        await self._record(message, bundled, error.words)
        service.save_contact_outcome(operations, message, page.address, before, error.words)
        await service.finish(queued, operations)

    async def _record(
        self, message: OutgoingMessage, bundled: list[BundledPage], error: Words
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

    async def _prepare(self, message: OutgoingMessage, bundled: list[BundledPage]) -> PreparedSend:
        channel, settings = self._service.person(message.channel, bundled[0].page.address)
        wire, now, url = self._context.wire, self._context.now(), self._context.external_url
        alerts = await asyncio.gather(
            *(incidents.load_current_alerts(wire, one.incident) for one in bundled)
        )
        card = bundle_card(
            self._context.config, message, bundled, alerts, now=now, external_url=url
        )
        return PreparedSend(lambda: channel.send(settings, card), channel.rate_limit(settings))
