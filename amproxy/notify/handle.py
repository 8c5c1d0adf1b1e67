"""One message of the outbox, from the look at the state to the commit of what became of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from amproxy import metrics
from amproxy.clock import utc
from amproxy.config.structs import Integration
from amproxy.context import Context
from amproxy.decide.daytime import daytime
from amproxy.errors import DeliveryError, NotFound, StoreUnavailable
from amproxy.machine.events import Event, Failed, Sent, Skipped, Updated
from amproxy.model import Incident, LogEntry, Outgoing, Page
from amproxy.notify import compose
from amproxy.notify.card import Card
from amproxy.notify.channels import Channel
from amproxy.notify.compose import SignLink
from amproxy.notify.retry import PATIENCE, next_attempt
from amproxy.notify.templates import render_settings
from amproxy.store import groups, incidents, outbox
from amproxy.store.commit import Operations, commit
from amproxy.store.outbox import Taken

log = logging.getLogger(__name__)

# Applies an event to an incident and commits the operations with it (escalate.apply). Raises NotFound, StoreUnavailable.
Apply = Callable[[str, Event, Operations], Awaitable[object]]

AGAIN = 0.25  # seconds between attempts to write down what became of a message while Redis is away


class Handler:
    """Sends over the channels; knows no queue."""

    def __init__(self, context: Context, channels: Mapping[str, Channel], sign: SignLink, apply: Apply) -> None:
        self._context = context
        self._apply = apply
        self._channels = channels
        self._sign = sign

    async def handle(self, taken: Taken) -> None:
        """Send one message and record it. Raises StoreUnavailable only before anything was sent."""
        match taken.message.kind:
            case "page":
                await self._page(taken)
            case "update":
                await self._update(taken)
            case "notification":
                await self._notification(taken)
            case "notice":
                await self._notice(taken)

    # ------------------------------------------------------------------------------------------------- incidents

    async def _page(self, taken: Taken) -> None:
        message = taken.message
        found = await self._find(message)
        if found is None:
            await self._written(lambda: self._done(taken))
            return
        incident, page = found
        if page.state != "due":
            await self._written(lambda: self._done(taken))
            return
        if incident.state != "triggered":
            self._count(page, "skipped")
            await self._recorded(taken, Skipped(page=page.id, reason=f"#{incident.number} is {incident.state} by now"))
            return
        try:
            ref = await self._call(message, lambda: self._send_page(incident, page))
        except DeliveryError as error:
            await self._page_failed(taken, page, error)
            return
        now = self._context.now()
        self._count(page, "sent")
        self._count_daytime(page, now)
        metrics.page_delay.labels(page.channel).observe(max(0.0, now - page.due))
        if not any(other.state == "sent" for other in incident.pages):
            metrics.first_page_delay.labels(page.channel).observe(max(0.0, now - incident.pushed_at))
        await self._recorded(taken, Sent(page=page.id, ref=ref, look=incident.look, attempt=message.attempt))

    async def _send_page(self, incident: Incident, page: Page) -> dict[str, str]:
        channel, settings = self._target(page)
        card = await self._card(incident, page)
        settings = render_settings(settings, card)
        earlier = next((p for p in incident.pages if channel.threads and p.receiver and _same_place(p, page) and p.ref), None)
        if earlier is not None:
            return await channel.edit(settings, earlier.ref, msgspec.structs.replace(card, news=f"Paged again (round {page.round})."))
        return await channel.send(settings, card)

    async def _page_failed(self, taken: Taken, page: Page, error: DeliveryError) -> None:
        if await self._tried_later(taken, error):
            return
        self._count(page, "failed")
        await self._recorded(taken, Failed(page=page.id, error=str(error), attempt=taken.message.attempt))

    async def _update(self, taken: Taken) -> None:
        message = taken.message
        found = await self._find(message)
        if found is None or not found[1].ref:
            await self._written(lambda: self._done(taken))
            return
        incident, page = found
        ref: dict[str, str] | None
        try:
            ref = await self._call(message, lambda: self._edit(incident, page))
        except DeliveryError as error:
            if await self._tried_later(taken, error):
                return
            log.warning("message of #%s over %s cannot be changed: %s", incident.number, page.channel, error)
            ref = None
        await self._recorded(taken, Updated(page=page.id, ref=ref, look=incident.look))

    async def _edit(self, incident: Incident, page: Page) -> dict[str, str]:
        channel, settings = self._target(page)
        card = await self._card(incident, page)
        return await channel.edit(render_settings(settings, card), page.ref, card)

    async def _find(self, message: Outgoing) -> tuple[Incident, Page] | None:
        try:
            incident = await incidents.load(self._context.wire, message.incident)
        except NotFound:
            return None
        page = next((page for page in incident.pages if page.id == message.page), None)
        return (incident, page) if page else None

    async def _card(self, incident: Incident, page: Page) -> Card:
        alerts = await incidents.load_alerts(self._context.wire, incident.id)
        return compose.incident_card(
            self._context.config, incident, alerts, page, now=self._context.now(), external_url=self._context.external_url,
            sign=self._sign,
        )  # fmt: skip

    def _target(self, page: Page) -> tuple[Channel, Any]:
        """The channel and the settings that reach a page's person or receiver. Raises DeliveryError where nothing does."""
        channel = self._channel(page.channel)
        if page.user:
            return channel, channel.person(self._context.config.global_, page.address)
        return channel, self._integration(page.receiver, page.integration).settings

    # ------------------------------------------------------------------------------------------- groups and notices

    async def _notification(self, taken: Taken) -> None:
        message, now = taken.message, self._context.now()
        if message.deadline is not None and now > message.deadline:
            await self._told(taken, None)  # the next flush tells it anew, because the log is not written
            return
        try:
            await self._call(message, lambda: self._send_notification(message))
        except DeliveryError as error:
            at = next_attempt(error, message.attempt, now)
            if not error.permanent and (message.deadline is None or at <= message.deadline):
                await self._written(lambda: self._later(taken, at))
                return
            log.warning("receiver %s, %s: %s", message.group and message.group.receiver, message.integration, error)
            await self._told(taken, None)
            return
        await self._told(taken, message.log)

    async def _told(self, taken: Taken, entry: LogEntry | None) -> None:
        """An integration is done with; entry: what its log says now, None where it was not told."""
        message = taken.message
        assert message.group is not None
        operations = outbox.done(taken)
        if entry is not None:
            groups.told(operations, message.group.id, message.integration, entry)
        groups.settle(operations, message.group.id, message.flush, told=entry is not None, now=self._context.now())
        await self._written(lambda: commit(self._context.wire, operations))
        self._context.wake(timers=True)

    async def _send_notification(self, message: Outgoing) -> dict[str, str]:
        assert message.group is not None
        channel = self._channel(message.channel)
        settings = self._integration(message.group.receiver, message.integration).settings
        card = compose.group_card(message, now=self._context.now(), external_url=self._context.external_url)
        return await channel.send(render_settings(settings, card), card)

    async def _notice(self, taken: Taken) -> None:
        message = taken.message
        try:
            await self._call(message, lambda: self._send_notice(message))
        except DeliveryError as error:
            if await self._tried_later(taken, error):
                return
            log.warning("notice to %s over %s: %s", message.user, message.channel, error)
        await self._written(lambda: self._done(taken))

    async def _send_notice(self, message: Outgoing) -> dict[str, str]:
        channel = self._channel(message.channel)
        card = Card(
            kind="notice", key=message.id, title=message.subject, text=message.text, at=self._context.now(), url=self._context.external_url
        )
        return await channel.send(channel.person(self._context.config.global_, message.address), card)

    # --------------------------------------------------------------------------------------------------- in common

    def _channel(self, name: str) -> Channel:
        channel = self._channels.get(name)
        if channel is None:
            raise DeliveryError(f"amproxy has no channel {name}", permanent=True)
        return channel

    def _integration(self, receiver: str, key: str) -> Integration:
        known = self._context.config.receivers.get(receiver)
        for integration in known.integrations if known else ():
            if f"{integration.kind}/{integration.index}" == key:
                if integration.undeliverable:
                    raise DeliveryError(integration.undeliverable, permanent=True)
                return integration
        raise DeliveryError(f"receiver {receiver} has no {key} any more", permanent=True)

    async def _call(self, message: Outgoing, send: Callable[[], Awaitable[dict[str, str]]]) -> dict[str, str]:
        """Call a channel, and count the attempt."""
        try:
            ref = await send()
        except DeliveryError as error:
            metrics.delivery_attempts.labels(message.channel, "failed", error.reason).inc()
            raise
        except StoreUnavailable:
            raise
        except Exception as error:
            # a defect in a channel must neither lose the message nor stop the lane: it is tried again like any failure
            metrics.unexpected_errors.labels("deliver").inc()
            log.exception("channel %s failed unexpectedly", message.channel)
            raise DeliveryError(f"unexpected {type(error).__name__}", reason="unexpected", ambiguous=True) from error
        metrics.delivery_attempts.labels(message.channel, "ok", "").inc()
        return ref

    def _count(self, page: Page, outcome: str) -> None:
        metrics.pages.labels(page.channel, page.policy, outcome).inc()

    def _count_daytime(self, page: Page, now: float) -> None:
        if page.user and page.kind == "page":
            user = self._context.config.users.get(page.user)
            zone = ZoneInfo(user.timezone if user else "UTC")
            metrics.pages_by_time.labels(page.user, daytime(utc(now), zone)).inc()

    async def _recorded(self, taken: Taken, event: Event) -> None:
        async def record() -> None:
            try:
                await self._apply(taken.message.incident, event, outbox.done(taken))
            except NotFound:
                await self._done(taken)

        await self._written(record)

    async def _done(self, taken: Taken) -> bool:
        return await commit(self._context.wire, outbox.done(taken))

    async def _tried_later(self, taken: Taken, error: DeliveryError) -> bool:
        """Put a message off for another attempt, where there is hope; whether there was."""
        now = self._context.now()
        if error.permanent or now - taken.message.due >= PATIENCE:
            return False
        at = next_attempt(error, taken.message.attempt, now)
        await self._written(lambda: self._later(taken, at))
        return True

    async def _later(self, taken: Taken, at: float) -> bool:
        metrics.delivery_retries.labels(taken.message.channel).inc()
        message = msgspec.structs.replace(taken.message, attempt=taken.message.attempt + 1)
        committed = await commit(self._context.wire, outbox.later(taken, message, at))
        self._context.wake(timers=True)
        return committed

    async def _written(self, write: Callable[[], Awaitable[object]]) -> None:
        """What became of a message is written down however long Redis is away: sending it again would page twice."""
        while True:
            try:
                await write()
                return
            except StoreUnavailable:
                await asyncio.sleep(AGAIN)


def _same_place(one: Page, other: Page) -> bool:
    return (one.receiver, one.integration) == (other.receiver, other.integration) and one.id != other.id
