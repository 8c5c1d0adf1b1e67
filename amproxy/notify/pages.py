"""A page of one incident, and the changes of its message later.

A bundle: one message about many incidents, each looked at again at the moment of sending.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from amproxy import metrics
from amproxy.clock import utc
from amproxy.config.structs import Config
from amproxy.errors import DeliveryError, NotFound
from amproxy.machine.deliveries import skip_reason
from amproxy.machine.events import Event, Failed, Sent, Skipped, Updated
from amproxy.model import Incident, Outcome, OutgoingMessage, Page
from amproxy.notify import compose
from amproxy.notify import storms as notify_storms
from amproxy.notify.channels import Channel
from amproxy.notify.compose import SignLink, bundle_card
from amproxy.notify.delivery import DeliveryService
from amproxy.notify.message import Card
from amproxy.notify.templates import render_settings
from amproxy.oncall.hours import classify_daytime
from amproxy.store import deliveries, incidents, outbox
from amproxy.store import storms as store_storms
from amproxy.store.commit import Operations
from amproxy.store.outbox import OutboxMessage

log = logging.getLogger(__name__)


class PageSender:
    def __init__(self, desk: DeliveryService, sign: SignLink) -> None:
        self._desk, self._context, self._sign = desk, desk.context, sign

    async def page(self, taken: OutboxMessage) -> None:
        """Send a page, or hold it for a bundle, and record it. Raises StoreUnavailable only before anything was sent."""
        message = taken.message
        found, before = await asyncio.gather(
            self._find(message), deliveries.load_contact_outcome(self._context.wire, message.user, message.channel)
        )
        if found is None or found[1].state != "due":
            await self._desk.done(taken)
            return
        incident, page = found
        if reason := skip_reason(incident, page):
            count_page(page, "skipped")
            operations = self._desk.log(outbox.finish(taken), message, "skipped", about=(incident,), page=page, error=reason)
            await self._desk.record(incident.id, Skipped(page=page.id, reason=reason), operations)
            return
        if await notify_storms.hold_for_bundle(self._context, taken, incident, page):
            return
        await self.alone(taken, incident, page, before)

    async def alone(self, taken: OutboxMessage, incident: Incident, page: Page, before: Outcome | None) -> None:
        """Send a page that still stands as a message of its own, and record it. before: what is known of the contact."""
        message = taken.message
        try:
            called = await self._desk.call(message, lambda: self._send(incident, page))
        except DeliveryError as error:
            if await self._desk.tried_later(taken, error, about=(incident,), page=page):
                return
            count_page(page, "failed")
            operations = self._desk.log(outbox.finish(taken), message, "failed", about=(incident,), page=page, error=error)
            self._desk.noted(operations, page.user, page.channel, page.address, before, str(error))
            await self._desk.record(incident.id, Failed(page=page.id, error=str(error), attempt=message.attempt), operations)
            return
        count_delivered_page(self._context.config, incident, page, self._context.now())
        operations = self._desk.log(outbox.finish(taken), message, "sent", about=(incident,), page=page, took=called.took)
        self._desk.noted(operations, page.user, page.channel, page.address, before)
        sent = Sent(page=page.id, ref=called.ref, look=incident.look, attempt=message.attempt)
        await self._desk.record(incident.id, sent, operations)

    async def update(self, taken: OutboxMessage) -> None:
        """Have a message show what its incident is now. Raises StoreUnavailable only before anything was sent."""
        message = taken.message
        found = await self._find(message)
        if found is None or not found[1].ref:
            await self._desk.done(taken)
            return
        incident, page = found
        ref: dict[str, str] | None = None
        operations = outbox.finish(taken)
        try:
            ref = (await self._desk.call(message, lambda: self._edit(incident, page))).ref
        except DeliveryError as error:
            if await self._desk.tried_later(taken, error, about=(incident,), page=page):
                return
            self._desk.log(operations, message, "failed", about=(incident,), page=page, error=error)
            log.warning("message of #%s over %s cannot be changed: %s", incident.number, page.channel, error)
        await self._desk.record(incident.id, Updated(page=page.id, ref=ref, look=incident.look), operations)

    async def _send(self, incident: Incident, page: Page) -> dict[str, str]:
        channel, settings = self._target(page)
        card = await self._card(incident, page)
        settings = render_settings(settings, card)
        earlier = next((p for p in incident.pages if channel.threads and p.receiver and _is_same_integration(p, page) and p.ref), None)
        if earlier is not None:
            return await channel.edit(settings, earlier.ref, msgspec.structs.replace(card, news=f"Paged again (round {page.round})."))
        return await channel.send(settings, card)

    async def _edit(self, incident: Incident, page: Page) -> dict[str, str]:
        channel, settings = self._target(page)
        card = await self._card(incident, page)
        return await channel.edit(render_settings(settings, card), page.ref, card)

    async def _find(self, message: OutgoingMessage) -> tuple[Incident, Page] | None:
        try:
            incident = await incidents.load(self._context.wire, message.incident)
        except NotFound:
            return None
        page = find_page(incident, message.page)
        return (incident, page) if page else None

    async def _card(self, incident: Incident, page: Page) -> Card:
        alerts = await incidents.load_alerts(self._context.wire, incident.id)
        return compose.incident_card(
            self._context.config, incident, alerts, page, now=self._context.now(), external_url=self._context.external_url,
            sign=self._sign,
        )  # fmt: skip

    def _target(self, page: Page) -> tuple[Channel, Any]:
        """The channel and the settings that reach a page's person or receiver. Raises DeliveryError where nothing does."""
        channel = self._desk.channel(page.channel)
        if page.user:
            return channel, channel.person(self._context.config.global_, page.address)
        return channel, self._desk.integration(page.receiver, page.integration).settings


def find_page(incident: Incident, page_id: str) -> Page | None:
    return next((page for page in incident.pages if page.id == page_id), None)


def count_page(page: Page, outcome: str) -> None:
    metrics.pages.labels(page.channel, page.policy, outcome).inc()


def count_delivered_page(config: Config, incident: Incident, page: Page, now: float) -> None:
    """Count a page that a channel took, and how long that lasted."""
    count_page(page, "sent")
    if page.user and page.kind == "page":
        user = config.users.get(page.user)
        metrics.pages_by_time.labels(page.user, classify_daytime(utc(now), ZoneInfo(user.timezone if user else "UTC"))).inc()
    metrics.page_delay.labels(page.channel).observe(max(0.0, now - page.due))
    if not any(other.state == "sent" for other in incident.pages):
        metrics.first_page_delay.labels(page.channel).observe(max(0.0, now - incident.pushed_at))


def _is_same_integration(one: Page, other: Page) -> bool:
    return (one.receiver, one.integration) == (other.receiver, other.integration) and one.id != other.id


class BundledPage(NamedTuple):
    """One page of a bundle with its incident."""

    incident: Incident
    page: Page


class BundleSender:
    def __init__(self, desk: DeliveryService, pages: PageSender) -> None:
        self._desk, self._context, self._pages = desk, desk.context, pages

    async def send(self, taken: OutboxMessage) -> None:
        """Send a bundle and record each of its pages. Raises StoreUnavailable only before anything was sent.

        Pages that a process recorded before it died are not told again.
        """
        message = taken.message
        due, before = await asyncio.gather(
            self._due(message), deliveries.load_contact_outcome(self._context.wire, message.user, message.channel)
        )
        standing = []
        for one in due:
            if reason := skip_reason(one.incident, one.page):
                count_page(one.page, "skipped")
                skipped = self._desk.log(Operations(), message, "skipped", about=(one.incident,), page=one.page, error=reason)
                await self._desk.record(one.incident.id, Skipped(page=one.page.id, reason=reason), skipped)
            else:
                standing.append(one)
        if not standing:
            await self._desk.done(taken)
        elif len(standing) == 1:
            await self._pages.alone(taken, *standing[0], before)
        else:
            await self._many(taken, standing, before)

    async def _due(self, message: OutgoingMessage) -> list[BundledPage]:
        """The pages that nobody has recorded yet."""
        loaded = await incidents.load_many(self._context.wire, [incident_id for incident_id, _ in message.pages])
        found = [(loaded.get(incident_id), page_id) for incident_id, page_id in message.pages]
        paged = [(incident, find_page(incident, page_id)) for incident, page_id in found if incident]
        return [BundledPage(incident, page) for incident, page in paged if page and page.state == "due"]

    async def _many(self, taken: OutboxMessage, standing: list[BundledPage], before: Outcome | None) -> None:
        message, page = taken.message, standing[0].page
        # the button must work from the moment at which somebody can see it
        await store_storms.save_bundle_epochs(self._context.wire, message.bundle, {one.incident.id: one.incident.epoch for one in standing})
        error, attempt, done = "", message.attempt, Operations()
        about = [one.incident for one in standing]
        try:
            called = await self._desk.call(message, lambda: self._send(message, standing))
        except DeliveryError as failure:
            if await self._desk.tried_later(taken, failure, about=about, page=page):
                return
            error = str(failure)
            self._desk.log(done, message, "failed", about=about, page=page, error=failure)
        else:
            self._desk.log(done, message, "sent", about=about, page=page, took=called.took)
        others = len({one.incident.id for one in standing}) - 1
        events: list[Event] = []
        for one in standing:
            if error:
                count_page(one.page, "failed")
                events.append(Failed(page=one.page.id, error=error, attempt=attempt))
            else:
                count_delivered_page(self._context.config, one.incident, one.page, self._context.now())
                metrics.pages_bundled.labels(one.page.channel, one.page.policy).inc()
                look = one.incident.look
                events.append(Sent(page=one.page.id, look=look, attempt=attempt, bundle=message.bundle, others=others))
        await asyncio.gather(*(self._desk.record(one.incident.id, event) for one, event in zip(standing, events, strict=True)))
        await self._desk.done(taken, self._desk.noted(done, page.user, page.channel, page.address, before, error))

    async def _send(self, message: OutgoingMessage, standing: list[BundledPage]) -> dict[str, str]:
        channel = self._desk.channel(message.channel)
        settings = channel.person(self._context.config.global_, standing[0].page.address)
        wire, now, url = self._context.wire, self._context.now(), self._context.external_url
        alerts = await asyncio.gather(*(incidents.load_alerts(wire, one.incident.id) for one in standing))
        return await channel.send(settings, bundle_card(message, standing, alerts, now=now, external_url=url))
