"""A page of one incident, and the changes of its message later."""

from __future__ import annotations

import asyncio
import logging
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from amproxy import metrics
from amproxy.clock import utc
from amproxy.config.structs import Config
from amproxy.errors import DeliveryError, NotFound
from amproxy.machine.events import Failed, Sent, Skipped, Updated
from amproxy.machine.standing import why_not
from amproxy.model import Incident, Outcome, Outgoing, Page
from amproxy.notify import compose, storms
from amproxy.notify.channels import Channel
from amproxy.notify.compose import SignLink
from amproxy.notify.delivery import Desk
from amproxy.notify.message import Card
from amproxy.notify.templates import render_settings
from amproxy.oncall.daytime import daytime
from amproxy.store import contacts, incidents, outbox
from amproxy.store.outbox import Taken

log = logging.getLogger(__name__)


class Pages:
    def __init__(self, desk: Desk, sign: SignLink) -> None:
        self._desk, self._context, self._sign = desk, desk.context, sign

    async def page(self, taken: Taken) -> None:
        """Send a page, or hold it for a bundle, and record it. Raises StoreUnavailable only before anything was sent."""
        message = taken.message
        found, before = await asyncio.gather(self._find(message), contacts.load(self._context.wire, message.user, message.channel))
        if found is None or found[1].state != "due":
            await self._desk.done(taken)
            return
        incident, page = found
        if reason := why_not(incident, page):
            count(page, "skipped")
            operations = self._desk.log(outbox.done(taken), message, "skipped", about=(incident,), page=page, error=reason)
            await self._desk.record(incident.id, Skipped(page=page.id, reason=reason), operations)
            return
        if await storms.held(self._context, taken, incident, page):
            return
        await self.alone(taken, incident, page, before)

    async def alone(self, taken: Taken, incident: Incident, page: Page, before: Outcome | None) -> None:
        """Send a page that still stands as a message of its own, and record it. before: what is known of the contact."""
        message = taken.message
        try:
            called = await self._desk.call(message, lambda: self._send(incident, page))
        except DeliveryError as error:
            if await self._desk.tried_later(taken, error, about=(incident,), page=page):
                return
            count(page, "failed")
            operations = self._desk.log(outbox.done(taken), message, "failed", about=(incident,), page=page, error=error)
            self._desk.noted(operations, page.user, page.channel, page.address, before, str(error))
            await self._desk.record(incident.id, Failed(page=page.id, error=str(error), attempt=message.attempt), operations)
            return
        arrived(self._context.config, incident, page, self._context.now())
        operations = self._desk.log(outbox.done(taken), message, "sent", about=(incident,), page=page, took=called.took)
        self._desk.noted(operations, page.user, page.channel, page.address, before)
        sent = Sent(page=page.id, ref=called.ref, look=incident.look, attempt=message.attempt)
        await self._desk.record(incident.id, sent, operations)

    async def update(self, taken: Taken) -> None:
        """Have a message show what its incident is now. Raises StoreUnavailable only before anything was sent."""
        message = taken.message
        found = await self._find(message)
        if found is None or not found[1].ref:
            await self._desk.done(taken)
            return
        incident, page = found
        ref: dict[str, str] | None = None
        operations = outbox.done(taken)
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
        earlier = next((p for p in incident.pages if channel.threads and p.receiver and _same_place(p, page) and p.ref), None)
        if earlier is not None:
            return await channel.edit(settings, earlier.ref, msgspec.structs.replace(card, news=f"Paged again (round {page.round})."))
        return await channel.send(settings, card)

    async def _edit(self, incident: Incident, page: Page) -> dict[str, str]:
        channel, settings = self._target(page)
        card = await self._card(incident, page)
        return await channel.edit(render_settings(settings, card), page.ref, card)

    async def _find(self, message: Outgoing) -> tuple[Incident, Page] | None:
        try:
            incident = await incidents.load(self._context.wire, message.incident)
        except NotFound:
            return None
        page = page_of(incident, message.page)
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


def page_of(incident: Incident, page_id: str) -> Page | None:
    return next((page for page in incident.pages if page.id == page_id), None)


def count(page: Page, outcome: str) -> None:
    metrics.pages.labels(page.channel, page.policy, outcome).inc()


def arrived(config: Config, incident: Incident, page: Page, now: float) -> None:
    """Count a page that a channel took, and how long that lasted."""
    count(page, "sent")
    if page.user and page.kind == "page":
        user = config.users.get(page.user)
        metrics.pages_by_time.labels(page.user, daytime(utc(now), ZoneInfo(user.timezone if user else "UTC"))).inc()
    metrics.page_delay.labels(page.channel).observe(max(0.0, now - page.due))
    if not any(other.state == "sent" for other in incident.pages):
        metrics.first_page_delay.labels(page.channel).observe(max(0.0, now - incident.pushed_at))


def _same_place(one: Page, other: Page) -> bool:
    return (one.receiver, one.integration) == (other.receiver, other.integration) and one.id != other.id
