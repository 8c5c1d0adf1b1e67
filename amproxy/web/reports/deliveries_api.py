"""/api/v1/deliveries and /api/v1/channels: the log of messages, the health of channels, tests."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request

from amproxy.clock import Timestamp, rfc3339
from amproxy.notify.channel_health import (
    ChannelHealth,
    ChannelPerson,
    ChannelReceiver,
    ChannelState,
)
from amproxy.oncall.reachable import ContactState
from amproxy.respond import test_messages
from amproxy.store.deliveries import Delivery, DeliveryKind, DeliveryOutcome
from amproxy.text import phrase
from amproxy.text.render import arguments_of, code_of, in_english
from amproxy.web.http.api import Accepted, JsonBody, operation
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import require_receiver, set_audit_phrase
from amproxy.web.reports.deliveries import (
    DeliveryParameters,
    find_deliveries,
    load_channel_health,
    parse_delivery_query,
)


class TestReceiverRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Of a test notification; without an integration ("slack/0") it goes to all of the receiver."""

    integration: str = ""


class DeliveryIncidentView(msgspec.Struct, kw_only=True):
    id: str
    number: int


class DeliveryView(msgspec.Struct, kw_only=True):
    id: str
    at: Timestamp
    kind: DeliveryKind
    channel: str
    outcome: DeliveryOutcome
    user: str | None
    receiver: str | None
    integration: str | None
    incidents: list[DeliveryIncidentView]
    subject: str
    subject_code: str | None  # null of a text from outside
    subject_arguments: dict[str, Any] | None
    attempt: int
    error: str | None
    error_code: str | None
    error_arguments: dict[str, Any] | None
    duration_ms: int | None  # null where nothing was called


class DeliveriesView(msgspec.Struct, kw_only=True):
    deliveries: list[DeliveryView]
    next: str | None  # cursor


class ChannelPersonView(msgspec.Struct, kw_only=True):
    user: str
    state: ContactState
    used: bool
    error: str | None
    error_code: str | None
    error_arguments: dict[str, Any] | None


class ChannelReceiverView(msgspec.Struct, kw_only=True):
    receiver: str
    integration: str
    undeliverable: str | None
    undeliverable_code: str | None
    undeliverable_arguments: dict[str, Any] | None


class ChannelView(msgspec.Struct, kw_only=True):
    channel: str
    state: ChannelState
    last_sent: Timestamp | None
    last_failed: Timestamp | None
    last_error: str | None
    last_error_code: str | None
    last_error_arguments: dict[str, Any] | None
    attempts: int
    failed: int
    waiting: int
    answers: bool | None
    people: list[ChannelPersonView]
    receivers: list[ChannelReceiverView]


class ChannelsView(msgspec.Struct, kw_only=True):
    channels: list[ChannelView]


class TestNotificationView(msgspec.Struct, kw_only=True):
    receiver: str
    sent: tuple[str, ...]  # integrations


class DeliveriesApi:
    def __init__(self, deps: Deps) -> None:
        self._context = deps.context

    @operation(
        "deliveries",
        "GET /api/v1/deliveries",
        "listDeliveries",
        "What became of messages, newest first",
    )
    async def index(self, request: Request, query: DeliveryParameters) -> DeliveriesView:
        """Newest first. A page may be short although a next one exists: the scan is limited."""
        page = await find_deliveries(self._context, parse_delivery_query(query))
        return DeliveriesView(
            deliveries=[_delivery_view(one.id, one.delivery) for one in page.items],
            next=page.next or None,
        )

    @operation("deliveries", "GET /api/v1/channels", "listChannels", "How each way out does")
    async def channels(self, request: Request) -> ChannelsView:
        found = await load_channel_health(self._context)
        return ChannelsView(channels=[_channel_view(one) for one in found])

    @operation(
        "deliveries",
        "POST /api/v1/receivers/{name:path}/test",
        "testReceiver",
        "Send a test notification",
        errors=(409,),
    )
    async def test(
        self, request: Request, body: JsonBody[TestReceiverRequest]
    ) -> Accepted[TestNotificationView]:
        """Send a test notification; its outcome goes to the log of deliveries."""
        name = request.path_params["name"]
        require_receiver(request, self._context, name)
        integration = (await body.read()).integration
        sent = await test_messages.send_test_notification(self._context, name, integration)
        set_audit_phrase(request, phrase("audit.test_notification", receiver=name))
        return Accepted(TestNotificationView(receiver=name, sent=sent))


def _delivery_view(delivery_id: str, delivery: Delivery) -> DeliveryView:
    return DeliveryView(
        id=delivery_id,
        at=rfc3339(delivery.at),
        kind=delivery.kind,
        channel=delivery.channel,
        outcome=delivery.outcome,
        user=delivery.user or None,
        receiver=delivery.receiver or None,
        integration=delivery.integration or None,
        incidents=[
            DeliveryIncidentView(id=id_, number=number) for id_, number in delivery.incidents
        ],
        subject=in_english(delivery.subject),
        subject_code=code_of(delivery.subject),
        subject_arguments=arguments_of(delivery.subject),
        attempt=delivery.attempt,
        error=in_english(delivery.error) or None,
        error_code=code_of(delivery.error),
        error_arguments=arguments_of(delivery.error),
        duration_ms=delivery.ms,
    )


def _channel_view(one: ChannelHealth) -> ChannelView:
    last_error = one.last_failed.error if one.last_failed else None
    return ChannelView(
        channel=one.channel,
        state=one.state,
        last_sent=rfc3339(one.last_sent.at if one.last_sent else None),
        last_failed=rfc3339(one.last_failed.at if one.last_failed else None),
        last_error=in_english(last_error) if last_error else None,
        last_error_code=code_of(last_error),
        last_error_arguments=arguments_of(last_error),
        attempts=one.rate.attempts,
        failed=one.rate.failed,
        waiting=one.waiting,
        answers=one.answers,
        people=[_channel_person_view(person) for person in one.people],
        receivers=[_channel_receiver_view(target) for target in one.receivers],
    )


def _channel_person_view(person: ChannelPerson) -> ChannelPersonView:
    contact, error = person.contact, person.contact.error or person.contact.reason
    return ChannelPersonView(
        user=person.user,
        state=contact.state,
        used=contact.used,
        error=in_english(error) if error else None,
        error_code=code_of(error),
        error_arguments=arguments_of(error),
    )


def _channel_receiver_view(target: ChannelReceiver) -> ChannelReceiverView:
    reason = target.undeliverable
    return ChannelReceiverView(
        receiver=target.receiver,
        integration=target.integration,
        undeliverable=in_english(reason) if reason else None,
        undeliverable_code=code_of(reason),
        undeliverable_arguments=arguments_of(reason),
    )
