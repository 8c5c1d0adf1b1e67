"""Pages about one incident each, and the later updates of their messages."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from amproxy import metrics, offload
from amproxy.clock import utc
from amproxy.config.structs import Config
from amproxy.errors import DeliveryError, NotFound
from amproxy.machine.chains import has_other_contact
from amproxy.machine.deliveries import skip_reason
from amproxy.machine.events import Failed, Sent, Skipped, Updated
from amproxy.model import Incident, Outcome, OutgoingMessage, Page
from amproxy.notify.alertmanager_texts import failure_note, fill_settings
from amproxy.notify.channels import Channel
from amproxy.notify.compose import SignLink, incident_card
from amproxy.notify.delivery import DeliveryService, PreparedSend, is_too_old
from amproxy.notify.message import Card
from amproxy.notify.pictures import EmbeddedPictures, MessagePictures, PictureReplies
from amproxy.notify.storms import hold_for_bundle
from amproxy.oncall.hours import classify_daytime
from amproxy.store import deliveries, incidents, outbox
from amproxy.store.commit import Operations
from amproxy.store.outbox import OutboxMessage
from amproxy.text import Phrase, phrase
from amproxy.text.render import in_english


class PageSender:
    """Sends pages, and updates their messages when the incident changes."""

    def __init__(self, service: DeliveryService, sign: SignLink, pictures: MessagePictures) -> None:
        self._service, self._context, self._sign = service, service.context, sign
        self._pictures = pictures

    async def send_page(self, queued: OutboxMessage) -> bool:
        """Send a page, or hold it for a bundle, and record it; False where nobody needs it.

        Raises StoreUnavailable only before anything was sent.
        """
        message = queued.message
        found, before = await asyncio.gather(
            self._find(message),
            deliveries.load_contact_outcome(self._context.wire, message.user, message.channel),
        )
        if await self._end_needless(queued, found) or found is None:
            return False
        if not await hold_for_bundle(self._context, queued, *found):
            await self.send_single(queued, *found, before)
        return True

    async def skip_needless(self, queued: OutboxMessage) -> bool:
        """Record a page that nobody needs; False where it has to be sent. Raises StoreUnavailable.

        Many at a time are recorded by a few writes.
        """
        return await self._end_needless(queued, await self._find(queued.message))

    async def _end_needless(
        self, queued: OutboxMessage, found: tuple[Incident, Page] | None
    ) -> bool:
        # The incident is gone, or another process has recorded the page.
        if found is None or found[1].state != "due":
            await self._service.finish(queued)
            return True
        incident, page = found
        reason = skip_reason(incident, page)
        if reason is None:
            return False
        await self.skip_page(outbox.finish(queued), queued.message, incident, page, reason)
        return True

    async def skip_page(
        self,
        operations: Operations,
        message: OutgoingMessage,
        incident: Incident,
        page: Page,
        reason: Phrase,
    ) -> None:
        """Record that a page is not sent, and commit the operations with that."""
        count_page(page, "skipped")
        self._service.log_delivery(
            operations, message, "skipped", about=(incident,), page=page, error=reason
        )
        await self._service.record(incident.id, Skipped(page=page.id, reason=reason), operations)

    async def send_single(
        self, queued: OutboxMessage, incident: Incident, page: Page, before: Outcome | None
    ) -> None:
        """Send a page as a message of its own, and record it.

        before: the stored outcome of the contact's last delivery.
        """
        service, message, about = self._service, queued.message, (incident,)
        try:
            result = await service.call(queued, lambda: self._prepare(incident, page))
        except DeliveryError as error:
            other = has_other_contact(self._context.config, incident, page)
            if not await service.retry_later(
                queued, error, about=about, page=page, other_contact=other
            ):
                await self._fail(queued, incident, page, error, before)
            return
        count_delivered_page(self._context.config, incident, page, self._context.now())
        operations = outbox.finish(queued)
        service.log_delivery(
            operations, message, "sent", about=about, page=page, seconds=result.seconds
        )
        service.save_contact_outcome(operations, message, page.address, before)
        sent = Sent(page=page.id, ref=result.ref, look=incident.look, attempt=message.attempt)
        await service.record(incident.id, sent, operations)

    async def _fail(
        self,
        queued: OutboxMessage,
        incident: Incident,
        page: Page,
        error: DeliveryError,
        before: Outcome | None,
    ) -> None:
        """Record that a page failed for good: its person's next contact is tried."""
        service, message, operations = self._service, queued.message, outbox.finish(queued)
        count_page(page, "failed")
        service.log_delivery(
            operations, message, "failed", about=(incident,), page=page, error=error
        )
        service.save_contact_outcome(operations, message, page.address, before, error.words)
        failed = Failed(page=page.id, error=error.words, attempt=message.attempt)
        await service.record(incident.id, failed, operations)

    async def divert_page(self, queued: OutboxMessage, error: DeliveryError) -> bool:
        """Fail a page whose channel hangs, so that the person's next contact is tried.

        False where there is none, so that the page has to wait. Raises StoreUnavailable.
        """
        found = await self._find(queued.message)
        if found is None or found[1].state != "due" or skip_reason(*found):
            await self.send_page(queued)  # nothing is sent: it is over
            return True
        if not has_other_contact(self._context.config, *found) and not is_too_old(
            queued.message, self._context.now()
        ):
            return False
        await self._fail(queued, *found, error, None)
        return True

    async def update_page(self, queued: OutboxMessage) -> None:
        """Make a message show the incident as it is now.

        Raises StoreUnavailable only before anything was sent.
        """
        message = queued.message
        found = await self._find(message)
        if found is None or not found[1].ref:
            await self._service.finish(queued)
            return
        incident, page = found
        about, operations = (incident,), outbox.finish(queued)
        ref: dict[str, str] | None = None  # the message cannot be changed any more
        try:
            ref = (await self._service.call(queued, lambda: self._prepare_edit(incident, page))).ref
        except DeliveryError as error:
            if await self._service.retry_later(queued, error, about=about, page=page):
                return
            self._service.log_delivery(
                operations, message, "failed", about=about, page=page, error=error
            )
        updated = Updated(page=page.id, ref=ref, look=incident.look)
        await self._service.record(incident.id, updated, operations)

    async def _prepare(self, incident: Incident, page: Page) -> PreparedSend:
        channel, settings = self._target(page)
        card = await self._card(incident, page)
        settings, note = self._fill(page, settings, card)
        limit = channel.rate_limit(settings)
        earlier = _earlier_page(incident, page) if channel.threads else None
        if earlier is None:
            if isinstance(channel, EmbeddedPictures) and channel.embeds_pictures:
                card = replace(card, plot=await self._pictures.find(card, self._zone(page)))
            return PreparedSend(lambda: self._send(channel, settings, card, page), limit, note)
        # A chat that has the incident already gets news in the thread, not a second message.
        news = replace(card, news=in_english(phrase("event.paged_again", round=page.round)))
        return PreparedSend(lambda: channel.edit(settings, earlier.ref, news), limit, note)

    async def _send(
        self, channel: Channel, settings: Any, card: Card, page: Page
    ) -> dict[str, str]:
        """Send a first message; its picture follows once it is there."""
        ref = await channel.send(settings, card)
        if page.kind == "page" and isinstance(channel, PictureReplies):
            self._pictures.follow(channel, settings, ref, card, self._zone(page))
        return ref

    def _zone(self, page: Page) -> str:
        """The zone of the times in a message."""
        user = self._context.config.users.get(page.user)
        return user.timezone if user else "UTC"

    async def _prepare_edit(self, incident: Incident, page: Page) -> PreparedSend:
        channel, settings = self._target(page)
        card = await self._card(incident, page)
        settings, note = self._fill(page, settings, card)
        limit = channel.rate_limit(settings)
        return PreparedSend(lambda: channel.edit(settings, page.ref, card), limit, note)

    def _fill(self, page: Page, settings: Any, card: Card) -> tuple[Any, Phrase | None]:
        """The settings with a receiver's texts filled in, and what failed; a person has none."""
        if page.user:
            return settings, None
        filled, failed = fill_settings(self._context.config, page.channel, settings, card)
        return filled, failure_note(failed)

    async def _find(self, message: OutgoingMessage) -> tuple[Incident, Page] | None:
        try:
            incident = await incidents.load(self._context.wire, message.incident)
        except NotFound:
            return None
        page = find_page(incident, message.page)
        return (incident, page) if page else None

    async def _card(self, incident: Incident, page: Page) -> Card:
        context = self._context
        alerts = await incidents.load_current_alerts(context.wire, incident)
        build = partial(
            incident_card, now=context.now(), external_url=context.external_url, sign=self._sign
        )
        card = await offload.run(len(alerts), build, context.config, incident, alerts, page)
        await offload.scrap(alerts)
        return card

    def _target(self, page: Page) -> tuple[Channel, Any]:
        """The channel and the settings that reach a page's person or receiver.

        Raises DeliveryError where nothing does.
        """
        if page.user:
            return self._service.person(page.channel, page.address)
        integration = self._service.integration(page.receiver, page.integration)
        return self._service.channel(page.channel), integration.settings


def find_page(incident: Incident, page_id: str) -> Page | None:
    return next((page for page in incident.pages if page.id == page_id), None)


def _earlier_page(incident: Incident, page: Page) -> Page | None:
    """Another page of the incident whose message the same integration of a receiver shows."""
    target = page.receiver, page.integration
    for other in incident.pages:
        same = (other.receiver, other.integration) == target and other.id != page.id
        if same and other.receiver and other.ref:
            return other
    return None


def count_page(page: Page, outcome: str) -> None:
    metrics.pages.labels(page.channel, page.policy, outcome).inc()


def count_delivered_page(config: Config, incident: Incident, page: Page, now: float) -> None:
    """Count a page that a channel accepted, and its delay."""
    count_page(page, "sent")
    if page.user and page.kind == "page":
        user = config.users.get(page.user)
        daytime = classify_daytime(utc(now), ZoneInfo(user.timezone if user else "UTC"))
        metrics.pages_by_time.labels(page.user, daytime).inc()
    metrics.page_delay.labels(page.channel).observe(max(0.0, now - page.due))
    if not any(other.state == "sent" for other in incident.pages):
        metrics.first_page_delay.labels(page.channel).observe(max(0.0, now - incident.pushed_at))
