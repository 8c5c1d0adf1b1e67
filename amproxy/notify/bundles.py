"""A bundle: one message about many incidents, each looked at again at the moment of sending."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from amproxy import metrics
from amproxy.errors import DeliveryError
from amproxy.machine.events import Event, Failed, Sent, Skipped
from amproxy.machine.standing import why_not
from amproxy.model import Incident, Outcome, Outgoing, Page
from amproxy.notify.compose_bundle import bundle_card
from amproxy.notify.delivery import Desk
from amproxy.notify.pages import Pages, arrived, count, page_of
from amproxy.store import contacts, incidents, storms
from amproxy.store.commit import Operations
from amproxy.store.outbox import Taken


class Paged(NamedTuple):
    """One page of a bundle with its incident."""

    incident: Incident
    page: Page


class Bundles:
    def __init__(self, desk: Desk, pages: Pages) -> None:
        self._desk, self._context, self._pages = desk, desk.context, pages

    async def send(self, taken: Taken) -> None:
        """Send a bundle and record each of its pages. Raises StoreUnavailable only before anything was sent.

        Pages that a process recorded before it died are not told again.
        """
        message = taken.message
        due, before = await asyncio.gather(self._due(message), contacts.load(self._context.wire, message.user, message.channel))
        standing = []
        for one in due:
            if reason := why_not(one.incident, one.page):
                count(one.page, "skipped")
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

    async def _due(self, message: Outgoing) -> list[Paged]:
        """The pages that nobody has recorded yet."""
        loaded = await incidents.load_many(self._context.wire, [incident_id for incident_id, _ in message.pages])
        found = [(loaded.get(incident_id), page_id) for incident_id, page_id in message.pages]
        paged = [(incident, page_of(incident, page_id)) for incident, page_id in found if incident]
        return [Paged(incident, page) for incident, page in paged if page and page.state == "due"]

    async def _many(self, taken: Taken, standing: list[Paged], before: Outcome | None) -> None:
        message, page = taken.message, standing[0].page
        # the button must work from the moment at which somebody can see it
        await storms.remember(self._context.wire, message.bundle, {one.incident.id: one.incident.epoch for one in standing})
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
                count(one.page, "failed")
                events.append(Failed(page=one.page.id, error=error, attempt=attempt))
            else:
                arrived(self._context.config, one.incident, one.page, self._context.now())
                metrics.pages_bundled.labels(one.page.channel, one.page.policy).inc()
                look = one.incident.look
                events.append(Sent(page=one.page.id, look=look, attempt=attempt, bundle=message.bundle, others=others))
        await asyncio.gather(*(self._desk.record(one.incident.id, event) for one, event in zip(standing, events, strict=True)))
        await self._desk.done(taken, self._desk.noted(done, page.user, page.channel, page.address, before, error))

    async def _send(self, message: Outgoing, standing: list[Paged]) -> dict[str, str]:
        channel = self._desk.channel(message.channel)
        settings = channel.person(self._context.config.global_, standing[0].page.address)
        wire, now, url = self._context.wire, self._context.now(), self._context.external_url
        alerts = await asyncio.gather(*(incidents.load_alerts(wire, one.incident.id) for one in standing))
        return await channel.send(settings, bundle_card(message, standing, alerts, now=now, external_url=url))
