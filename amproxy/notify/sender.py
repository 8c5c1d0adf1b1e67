"""Dispatch of one outbox message by its kind; notifications of groups and notices are sent here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Final

import msgspec

from amproxy import metrics, offload
from amproxy.config.channels import (
    addresses_people,
    channel_kind,
    is_deliverable,
    own_channels,
)
from amproxy.config.structs import Config
from amproxy.context import Context
from amproxy.errors import DeliveryError
from amproxy.event_recorder import message_told, notification, resolved_events
from amproxy.machine.draft import new_id
from amproxy.model import LogEntry, OutgoingMessage
from amproxy.notify.alertmanager_texts import failure_note, fill_route_labels, fill_settings
from amproxy.notify.bundles import BundleSender
from amproxy.notify.channels import Channel
from amproxy.notify.compose import SignLink, group_card
from amproxy.notify.delivery import (
    ApplyEvent,
    DeliveryService,
    PreparedSend,
    is_too_old,
    next_attempt,
)
from amproxy.notify.lanes import LaneHealth
from amproxy.notify.message import Card
from amproxy.notify.pages import PageSender
from amproxy.notify.pictures import MessagePictures
from amproxy.store import deliveries, groups, outbox
from amproxy.store.commit import Operations, commit
from amproxy.store.incidents import enqueue
from amproxy.store.outbox import OutboxMessage
from amproxy.text import Phrase, Words, phrase
from amproxy.text.render import in_english

SUPERSEDED: Final = phrase("outcome.superseded")
# The texts of a message name some alerts at least once: a thread pays sooner than for other work.
TEXTS_PER_ALERT: Final = 20
# Reason of a DeliveryError → Alertmanager's word for it in its metrics.
_ALERTMANAGER_REASONS: Final = {
    "timeout": "contextDeadlineExceeded",
    "rate_limited": "rateLimited",
    "auth_error": "authError",
    "client_error": "clientError",
    "server_error": "serverError",
}


class MessageSender:
    """Sends over the channels; knows no queue."""

    def __init__(
        self,
        context: Context,
        channels: Mapping[str, Channel],
        sign: SignLink,
        apply: ApplyEvent,
        pictures: MessagePictures,
    ) -> None:
        self._context, self._service = context, DeliveryService(context, channels, apply)
        self._pages = PageSender(self._service, sign, pictures)
        self._bundles = BundleSender(self._service, self._pages)

    @property
    def health(self) -> LaneHealth:
        """The outcomes of calls by destination."""
        return self._service.health

    async def handle(self, queued: OutboxMessage) -> bool:
        """Send one message and record it; False for a page that nobody needs any more.

        Raises StoreUnavailable, NotOurs and Throttled only before anything was sent.
        """
        match queued.message.kind:
            case "page":
                return await self._pages.send_page(queued)
            case "update":
                await self._pages.update_page(queued)
            case "bundle":
                await self._bundles.send(queued)
            case "notification":
                await self._handle_notification(queued)
            case "notice":
                await self._handle_notice(queued)
        return True

    async def skip_needless(self, queued: OutboxMessage) -> bool:
        """Record a page that nobody needs; False for any other message, which stays as it is.

        Raises StoreUnavailable.
        """
        return queued.message.kind == "page" and await self._pages.skip_needless(queued)

    async def divert(self, queued: OutboxMessage, reason: Phrase) -> bool:
        """Give a message up whose destination hangs, where its person has another contact.

        False where it has to wait. reason: what the destination does. Raises StoreUnavailable.
        """
        words = phrase("failure.because", service=queued.message.channel, reason=reason)
        error = DeliveryError(words, reason="timeout")
        match queued.message.kind:
            case "page":
                return await self._pages.divert_page(queued, error)
            case "bundle":
                return await self._bundles.divert(queued, error)
        return False

    async def put_back(self, queued: OutboxMessage, error: Exception) -> None:
        """Postpone a message that met a defect, perhaps after it was sent; drop it after long."""
        message, now = queued.message, self._context.now()
        words = phrase("failure.unexpected", error=type(error).__name__)
        failure = DeliveryError(words, reason="unexpected", ambiguous=True)
        if is_too_old(message, now):
            operations = Operations()
            self._service.log_delivery(operations, message, "failed", error=failure)
            await self._service.finish(queued, operations)
            return
        at = next_attempt(failure, message.attempt, now, message.unclear)
        await self._service.postpone(queued, at, failure)

    async def _handle_notification(self, queued: OutboxMessage) -> None:
        service, message, now = self._service, queued.message, self._context.now()
        operations = outbox.finish_once(queued)
        if message.deadline is not None and now > message.deadline:
            # The notification log stays as it is, so the group's next flush notifies the same.
            service.log_delivery(operations, message, "skipped", error=SUPERSEDED)
            await self._finish_notification(message, None, operations)
            return
        try:
            result = await service.call(queued, lambda: self._prepare_notification(message))
        except DeliveryError as error:
            _count_request(message, error)
            unclear = message.unclear if addresses_people(message.channel) else None
            at = next_attempt(error, message.attempt, now, unclear)
            if not error.permanent and (message.deadline is None or at <= message.deadline):
                await service.postpone(queued, at, error)
                return
            metrics.notifications.labels(message.channel).inc()
            reason = _ALERTMANAGER_REASONS.get(error.reason, "other")
            metrics.notifications_failed.labels(message.channel, reason).inc()
            service.log_delivery(operations, message, "failed", error=error)
            await self._finish_notification(message, None, operations)
            return
        _count_request(message, None, result.seconds)
        metrics.notifications.labels(message.channel).inc()
        service.log_delivery(operations, message, "sent", seconds=result.seconds, error=result.note)
        entry = message.log and msgspec.structs.replace(message.log, ref=result.ref)
        await self._finish_notification(message, entry, operations)

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
        events = self._context.events
        operations.removed = [] if events.active else None
        await self._service.write_until_saved(lambda: commit(self._context.wire, operations))
        self._context.wake(timers=True)
        if events.active:
            await self._record_events(message, operations.removed or (), delivered=delivered)

    async def _record_events(
        self, message: OutgoingMessage, removed: Iterable[str], *, delivered: bool
    ) -> None:
        """Record that a notification has arrived, and which alerts of its group are done with."""
        assert message.group is not None
        events, now_ns = self._context.events, int(self._context.now() * 10**9)
        route = self._context.route_of(message.group)
        told = message_told(message, route.matchers if route else (), now_ns)
        if told is None:
            return
        if delivered:
            events.record("notification", partial(notification, told), len(told.alerts))
        size = len(told.alerts)
        ended = await offload.run(
            size, resolved_events, told.alerts, removed, message.group, now_ns
        )
        events.record_all(ended)

    async def _prepare_notification(self, message: OutgoingMessage) -> PreparedSend:
        assert message.group is not None
        channel = self._service.channel(message.channel)
        integration = self._service.integration(message.group.receiver, message.integration)
        url = self._context.external_url
        build = partial(group_card, message, now=self._context.now(), external_url=url)
        card = fill_route_labels(
            self._context.config, await offload.run(len(message.alerts), build)
        )
        settings, failed = await offload.run(
            len(card.alerts) * TEXTS_PER_ALERT,
            *(fill_settings, self._context.config, message.channel, integration.settings, card),
        )
        send = partial(_notify_group, channel, settings, message, card)
        return PreparedSend(send, channel.rate_limit(settings), failure_note(failed))

    async def _handle_notice(self, queued: OutboxMessage) -> None:
        service, message = self._service, queued.message
        error: Words = ""
        operations = Operations()
        before = await deliveries.load_contact_outcome(
            self._context.wire, message.user, message.channel
        )
        try:
            result = await service.call(queued, lambda: self._prepare_notice(message))
        except DeliveryError as failure:
            following = next_notice(self._context.config, message, self._context.now())
            # a notice is given up where a page would go on: it wakes nobody
            if await service.retry_later(queued, failure, other_contact=True):
                return
            error = failure.words
            if following is not None:
                enqueue(operations, following)
            service.log_delivery(operations, message, "failed", error=failure)
        else:
            service.log_delivery(operations, message, "sent", seconds=result.seconds)
            metrics.notices.labels(message.reason, message.channel).inc()
        service.save_contact_outcome(operations, message, message.address, before, error)
        await service.finish(queued, operations)
        self._context.wake(outbox=bool(error))

    async def _prepare_notice(self, message: OutgoingMessage) -> PreparedSend:
        channel, settings = self._service.person(message.channel, message.address)
        card = Card(
            kind="notice",
            key=message.id,
            title=in_english(message.subject),
            text=message.text,
            at=self._context.now(),
            url=self._context.external_url,
        )
        return PreparedSend(lambda: channel.send(settings, card), channel.rate_limit(settings))


async def _notify_group(
    channel: Channel, settings: Any, message: OutgoingMessage, card: Card
) -> dict[str, str]:
    """Send a group's message, or change its first one; return what the next change needs."""
    if not channel_kind(message.channel).updates_groups(settings):
        await channel.send(settings, card)
        return {}
    ref = message.log.ref if message.log is not None else {}
    return await (channel.edit(settings, ref, card) if ref else channel.send(settings, card))


def _count_request(
    message: OutgoingMessage, error: DeliveryError | None, seconds: float = 0.0
) -> None:
    """Count an attempt of a receiver's notification under Alertmanager's names."""
    metrics.notification_requests.labels(message.channel).inc()
    if error is not None:
        metrics.notification_requests_failed.labels(message.channel).inc()
    lasted = seconds if error is None else error.latency or 0.0
    metrics.notification_latency.labels(message.channel).observe(lasted)


def next_notice(config: Config, message: OutgoingMessage, now: float) -> OutgoingMessage | None:
    """The same notice over the person's next contact; None where there is none, or for a test.

    now: Unix seconds.
    """
    user = config.users.get(message.user)
    if user is None or not message.reason:
        return None
    tried = [*message.tried, message.channel]
    # over these it goes out anyhow
    chosen = [one for kind in user.notices if kind == message.reason for one in user.notices[kind]]
    for channel in own_channels(user):
        if channel not in (*tried, *chosen) and is_deliverable(config, user, channel):
            return msgspec.structs.replace(
                message,
                id=new_id(),
                channel=channel,
                address=user.contacts[channel],
                due=now,
                attempt=1,
                unclear=0,
                tried=tried,
            )
    return None
