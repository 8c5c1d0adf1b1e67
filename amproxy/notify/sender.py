"""Dispatch of one outbox message by its kind; notifications of groups and notices are sent here."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from amproxy import metrics
from amproxy.context import Context
from amproxy.errors import DeliveryError
from amproxy.model import LogEntry, OutgoingMessage
from amproxy.notify.bundles import BundleSender
from amproxy.notify.channels import Channel
from amproxy.notify.compose import SignLink, group_card
from amproxy.notify.delivery import ApplyEvent, DeliveryService, next_attempt
from amproxy.notify.message import Card
from amproxy.notify.pages import PageSender
from amproxy.notify.templates import render_settings
from amproxy.store import deliveries, groups, outbox
from amproxy.store.commit import Operations, commit
from amproxy.store.outbox import OutboxMessage

log = logging.getLogger(__name__)

SUPERSEDED = "its group's next notification tells it anew"


class MessageSender:
    """Sends over the channels; knows no queue."""

    def __init__(
        self, context: Context, channels: Mapping[str, Channel], sign: SignLink, apply: ApplyEvent
    ) -> None:
        self._context, self._service = context, DeliveryService(context, channels, apply)
        self._pages = PageSender(self._service, sign)
        self._bundles = BundleSender(self._service, self._pages)

    async def handle(self, queued: OutboxMessage) -> None:
        """Send one message and record it. Raises StoreUnavailable only before anything was sent."""
        match queued.message.kind:
            case "page":
                await self._pages.send_page(queued)
            case "update":
                await self._pages.update_page(queued)
            case "bundle":
                await self._bundles.send(queued)
            case "notification":
                await self._handle_notification(queued)
            case "notice":
                await self._handle_notice(queued)

    async def _handle_notification(self, queued: OutboxMessage) -> None:
        service, message, now = self._service, queued.message, self._context.now()
        operations = outbox.finish(queued)
        if message.deadline is not None and now > message.deadline:
            # The notification log stays as it is, so the group's next flush notifies the same.
            service.log_delivery(operations, message, "skipped", error=SUPERSEDED)
            await self._finish_notification(message, None, operations)
            return
        try:
            result = await service.call(message, lambda: self._send_notification(message))
        except DeliveryError as error:
            at = next_attempt(error, message.attempt, now)
            if not error.permanent and (message.deadline is None or at <= message.deadline):
                await service.postpone(queued, at, error)
                return
            receiver = message.group and message.group.receiver
            log.warning("receiver %s, %s: %s", receiver, message.integration, error)
            service.log_delivery(operations, message, "failed", error=error)
            await self._finish_notification(message, None, operations)
            return
        service.log_delivery(operations, message, "sent", seconds=result.seconds)
        await self._finish_notification(message, message.log, operations)

    async def _finish_notification(
        self, message: OutgoingMessage, entry: LogEntry | None, operations: Operations
    ) -> None:
        """Settle an integration's part in a flush, and commit the operations with that.

        entry: the new notification log; None where the integration was not notified.
        """
        assert message.group is not None
        group_id, delivered = message.group.id, entry is not None
        if entry is not None:
            groups.save_log_entry(operations, group_id, message.integration, entry)
        groups.settle_integration(
            operations, group_id, message.flush, delivered=delivered, now=self._context.now()
        )
        await self._service.write_until_saved(lambda: commit(self._context.wire, operations))
        self._context.wake(timers=True)

    async def _send_notification(self, message: OutgoingMessage) -> dict[str, str]:
        assert message.group is not None
        channel = self._service.channel(message.channel)
        integration = self._service.integration(message.group.receiver, message.integration)
        url = self._context.external_url
        card = group_card(message, now=self._context.now(), external_url=url)
        settings = render_settings(message.channel, integration.settings, card)
        return await channel.send(settings, card)

    async def _handle_notice(self, queued: OutboxMessage) -> None:
        service, message = self._service, queued.message
        error, operations = "", Operations()
        before = await deliveries.load_contact_outcome(
            self._context.wire, message.user, message.channel
        )
        try:
            result = await service.call(message, lambda: self._send_notice(message))
        except DeliveryError as failure:
            if await service.retry_later(queued, failure):
                return
            error = str(failure)
            service.log_delivery(operations, message, "failed", error=failure)
            log.warning("notice to %s over %s: %s", message.user, message.channel, error)
        else:
            service.log_delivery(operations, message, "sent", seconds=result.seconds)
            metrics.notices.labels(message.reason, message.channel).inc()
        service.save_contact_outcome(operations, message, message.address, before, error)
        await service.finish(queued, operations)

    async def _send_notice(self, message: OutgoingMessage) -> dict[str, str]:
        channel = self._service.channel(message.channel)
        settings = channel.person(self._context.config.global_, message.address)
        card = Card(
            kind="notice",
            key=message.id,
            title=message.subject,
            text=message.text,
            at=self._context.now(),
            url=self._context.external_url,
        )
        return await channel.send(settings, card)
