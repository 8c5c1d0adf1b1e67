"""One message of the outbox, from the look at the state to the commit of what became of it."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from amproxy import metrics
from amproxy.context import Context
from amproxy.errors import DeliveryError
from amproxy.model import LogEntry, OutgoingMessage
from amproxy.notify import compose
from amproxy.notify.channels import Channel
from amproxy.notify.compose import SignLink
from amproxy.notify.delivery import ApplyEvent, DeliveryService, next_attempt
from amproxy.notify.message import Card
from amproxy.notify.pages import BundleSender, PageSender
from amproxy.notify.templates import render_settings
from amproxy.store import deliveries, groups, outbox
from amproxy.store.commit import Operations, commit
from amproxy.store.outbox import OutboxMessage

log = logging.getLogger(__name__)

SUPERSEDED = "its group's next notification tells it anew"


class MessageSender:
    """Sends over the channels; knows no queue."""

    def __init__(self, context: Context, channels: Mapping[str, Channel], sign: SignLink, apply: ApplyEvent) -> None:
        self._context, self._desk = context, DeliveryService(context, channels, apply)
        self._pages = PageSender(self._desk, sign)
        self._bundles = BundleSender(self._desk, self._pages)

    async def handle(self, taken: OutboxMessage) -> None:
        """Send one message and record it. Raises StoreUnavailable only before anything was sent."""
        match taken.message.kind:
            case "page":
                await self._pages.page(taken)
            case "update":
                await self._pages.update(taken)
            case "bundle":
                await self._bundles.send(taken)
            case "notification":
                await self._notification(taken)
            case "notice":
                await self._notice(taken)

    async def _notification(self, taken: OutboxMessage) -> None:
        message, now = taken.message, self._context.now()
        if message.deadline is not None and now > message.deadline:
            # the next flush tells it anew, because the log is not written
            await self._told(taken, None, self._desk.log(Operations(), message, "skipped", error=SUPERSEDED))
            return
        try:
            called = await self._desk.call(message, lambda: self._send_notification(message))
        except DeliveryError as error:
            at = next_attempt(error, message.attempt, now)
            if not error.permanent and (message.deadline is None or at <= message.deadline):
                await self._desk.later(taken, at, error)
                return
            log.warning("receiver %s, %s: %s", message.group and message.group.receiver, message.integration, error)
            await self._told(taken, None, self._desk.log(Operations(), message, "failed", error=error))
            return
        await self._told(taken, message.log, self._desk.log(Operations(), message, "sent", took=called.took))

    async def _told(self, taken: OutboxMessage, entry: LogEntry | None, also: Operations) -> None:
        """An integration is done with; entry: what its log says now, None where it was not told. also: committed with it."""
        message = taken.message
        assert message.group is not None
        operations = outbox.finish(taken)
        operations.extend(also)
        if entry is not None:
            groups.save_log_entry(operations, message.group.id, message.integration, entry)
        groups.settle_integration(operations, message.group.id, message.flush, told=entry is not None, now=self._context.now())
        await self._desk.written(lambda: commit(self._context.wire, operations))
        self._context.wake(timers=True)

    async def _send_notification(self, message: OutgoingMessage) -> dict[str, str]:
        assert message.group is not None
        channel = self._desk.channel(message.channel)
        settings = self._desk.integration(message.group.receiver, message.integration).settings
        card = compose.group_card(message, now=self._context.now(), external_url=self._context.external_url)
        return await channel.send(render_settings(settings, card), card)

    async def _notice(self, taken: OutboxMessage) -> None:
        message, error, done = taken.message, "", Operations()
        before = await deliveries.load_contact_outcome(self._context.wire, message.user, message.channel)
        try:
            called = await self._desk.call(message, lambda: self._send_notice(message))
        except DeliveryError as failure:
            if await self._desk.tried_later(taken, failure):
                return
            error = str(failure)
            self._desk.log(done, message, "failed", error=failure)
            log.warning("notice to %s over %s: %s", message.user, message.channel, error)
        else:
            self._desk.log(done, message, "sent", took=called.took)
            metrics.notices.labels(message.reason, message.channel).inc()
        await self._desk.done(taken, self._desk.noted(done, message.user, message.channel, message.address, before, error))

    async def _send_notice(self, message: OutgoingMessage) -> dict[str, str]:
        channel = self._desk.channel(message.channel)
        card = Card(
            kind="notice", key=message.id, title=message.subject, text=message.text, at=self._context.now(), url=self._context.external_url
        )
        return await channel.send(channel.person(self._context.config.global_, message.address), card)
