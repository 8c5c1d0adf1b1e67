"""/api/v1/deliveries and /api/v1/channels: the log of messages, the health of channels, tests."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request

from amproxy.clock import Timestamp, rfc3339
from amproxy.notify.channel_health import ChannelHealth, ChannelState
from amproxy.oncall.reachable import ContactState
from amproxy.respond import test_messages
from amproxy.store.deliveries import Delivery, DeliveryKind, DeliveryOutcome
from amproxy.text.render import arguments_of, code_of, in_english
from amproxy.web.http.api import Accepted, JsonBody, operation
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import require_receiver, set_audit_text
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


class ChannelReceiverView(msgspec.Struct, kw_only=True):
    receiver: str
    integration: str
    undeliverable: str | None


class ChannelView(msgspec.Struct, kw_only=True):
    channel: str
    state: ChannelState
    last_sent: Timestamp | None
    last_failed: Timestamp | None
    last_error: str | None
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
        set_audit_text(request, f"Sent a test notification to the receiver {name}.")
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
        subject=delivery.subject,
        attempt=delivery.attempt,
        error=in_english(delivery.error) or None,
        error_code=code_of(delivery.error),
        error_arguments=arguments_of(delivery.error),
        duration_ms=delivery.ms,
    )


def _channel_view(one: ChannelHealth) -> ChannelView:
    return ChannelView(
        channel=one.channel,
        state=one.state,
        last_sent=rfc3339(one.last_sent.at if one.last_sent else None),
        last_failed=rfc3339(one.last_failed.at if one.last_failed else None),
        last_error=(in_english(one.last_failed.error) or None) if one.last_failed else None,
        attempts=one.rate.attempts,
        failed=one.rate.failed,
        waiting=one.waiting,
        answers=one.answers,
        people=[
            ChannelPersonView(
                user=person.user,
                state=person.contact.state,
                used=person.contact.used,
                error=person.contact.error
                or (in_english(person.contact.reason) if person.contact.reason else None),
            )
            for person in one.people
        ],
        receivers=[
            ChannelReceiverView(
                receiver=target.receiver,
                integration=target.integration,
                undeliverable=in_english(target.undeliverable) if target.undeliverable else None,
            )
            for target in one.receivers
        ],
    )
