"""Deliveries in the API and as a page: the log of messages, the health of channels, and tests."""

from __future__ import annotations

import re
from typing import get_args
from urllib.parse import urlencode

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from amproxy.clock import rfc3339
from amproxy.config.channels import paging_channels
from amproxy.context import Context
from amproxy.errors import NotFound
from amproxy.notify.channel_health import ChannelHealth, assess_channels
from amproxy.oncall.reachable import assess_reachability
from amproxy.respond import test_messages
from amproxy.respond.rights import person_refusal, receiver_refusal
from amproxy.respond.targets import BadAction
from amproxy.store import deliveries, outbox
from amproxy.store.deliveries import Delivery, DeliveryListItem, DeliveryOutcome
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import (
    principal_of,
    require_person,
    require_receiver,
    set_audit_text,
)
from amproxy.web.http.request import (
    invalid,
    parse_form,
    parse_json_body,
    parse_page,
    parse_time_param,
)
from amproxy.web.http.response import View, describe_error, json_response
from amproxy.web.http.templates import PageTemplates, acting_user

FAILURE_RATE_SECONDS = 3600.0  # the period of the rate of failures
# the fields of an address that select deliveries
_TEXT_FILTERS = ("channel", "user", "receiver", "outcome", "incident", "text")
DELIVERY_FILTERS = (*_TEXT_FILTERS, "from", "to", "limit")
_DELIVERY_CURSOR = re.compile(r"\d{1,16}-\d{1,10}", re.ASCII)
OUTCOMES: tuple[DeliveryOutcome, ...] = get_args(DeliveryOutcome)


class DeliveryQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A query for deliveries; an empty text selects all, times are Unix seconds."""

    channel: str
    user: str
    receiver: str
    outcomes: tuple[DeliveryOutcome, ...]
    incident: str  # an id, or a number
    text: str
    since: float | None
    until: float | None
    limit: int
    cursor: str

    def matches(self, delivery: Delivery) -> bool:
        return (
            self.channel in ("", delivery.channel)
            and self.user in ("", delivery.user)
            and self.receiver in ("", delivery.receiver)
            and (not self.outcomes or delivery.outcome in self.outcomes)
            and (
                not self.incident
                or any(self.incident in (id_, str(number)) for id_, number in delivery.incidents)
            )
            and (
                not self.text
                or any(self.text in text.casefold() for text in (delivery.subject, delivery.error))
            )
        )


def parse_delivery_query(request: Request, zone: str | None = None) -> DeliveryQuery:
    """Read a query of the API or the page. Raises HTTPException 422.

    zone: of times without offset; None = they are refused.
    """
    query = request.query_params
    outcomes = tuple(outcome for outcome in OUTCOMES if outcome in query.getlist("outcome"))
    for outcome in query.getlist("outcome"):
        if outcome and outcome not in OUTCOMES:
            raise invalid(f"outcome is one of {', '.join(OUTCOMES)}, not {outcome[:60]!r}")
    limit, cursor = parse_page(request, _DELIVERY_CURSOR)
    since, until = (
        parse_time_param(query[name], name, zone).timestamp() if query.get(name) else None
        for name in ("from", "to")
    )
    return DeliveryQuery(
        channel=query.get("channel", ""),
        user=query.get("user", ""),
        receiver=query.get("receiver", ""),
        outcomes=outcomes,
        incident=query.get("incident", "").strip().lstrip("#"),
        text=query.get("text", "").strip().casefold(),
        since=since,
        until=until,
        limit=limit,
        cursor=cursor,
    )


async def find_deliveries(context: Context, query: DeliveryQuery) -> deliveries.DeliveryList:
    """Raises StoreUnavailable."""
    return await deliveries.list_deliveries(
        context.wire,
        query.matches,
        since=query.since,
        until=query.until,
        limit=query.limit,
        before=query.cursor,
    )


class TestReceiverRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Of a test notification; without an integration ("slack/0") it goes to all of the receiver."""

    integration: str = ""


class DeliveriesApi:
    def __init__(self, deps: Deps) -> None:
        self._context = deps.context

    def routes(self) -> list[Route]:
        return [
            Route("/api/v1/deliveries", self.index, methods=["GET"]),
            Route("/api/v1/channels", self.channels, methods=["GET"]),
            Route("/api/v1/receivers/{name:path}/test", self.test, methods=["POST"]),
        ]

    async def index(self, request: Request) -> Response:
        """Newest first. A page may be short although a next one exists: the scan is limited."""
        page = await find_deliveries(self._context, parse_delivery_query(request))
        return json_response(
            {
                "deliveries": [_logged_delivery_view(one) for one in page.items],
                "next": page.next or None,
            }
        )

    async def channels(self, request: Request) -> Response:
        return json_response(
            {"channels": [_channel_view(one) for one in await load_channel_health(self._context)]}
        )

    async def test(self, request: Request) -> Response:
        """Send a test notification; its outcome goes to the log of deliveries."""
        name = request.path_params["name"]
        require_receiver(request, self._context, name)
        body = await parse_json_body(request, TestReceiverRequest)
        sent = await test_messages.send_test_notification(self._context, name, body.integration)
        set_audit_text(request, f"Sent a test notification to the receiver {name}.")
        return json_response({"receiver": name, "sent": sent}, 202)


async def load_channel_health(context: Context) -> list[ChannelHealth]:
    """The health of every channel in use. Raises StoreUnavailable."""
    wire = context.wire
    reached = assess_reachability(context.config, await deliveries.load_contact_outcomes(wire))
    rates = await deliveries.load_rates(wire, context.now() - FAILURE_RATE_SECONDS)
    last, waiting = await deliveries.load_last(wire), await outbox.load_depths(wire)
    return assess_channels(context.config, reached, last, rates, waiting)


def _logged_delivery_view(one: DeliveryListItem) -> View:
    return {"id": one.id, **_delivery_view(one.delivery)}


def _delivery_view(delivery: Delivery) -> View:
    return {
        "at": rfc3339(delivery.at),
        "kind": delivery.kind,
        "channel": delivery.channel,
        "outcome": delivery.outcome,
        "user": delivery.user or None,
        "receiver": delivery.receiver or None,
        "integration": delivery.integration or None,
        "incidents": [{"id": id_, "number": number} for id_, number in delivery.incidents],
        "subject": delivery.subject,
        "attempt": delivery.attempt,
        "error": delivery.error or None,
        "duration_ms": delivery.ms,
    }


def _channel_view(one: ChannelHealth) -> View:
    return {
        "channel": one.channel,
        "state": one.state,
        "last_sent": rfc3339(one.last_sent.at if one.last_sent else None),
        "last_failed": rfc3339(one.last_failed.at if one.last_failed else None),
        "last_error": (one.last_failed.error or None) if one.last_failed else None,
        "attempts": one.rate.attempts,
        "failed": one.rate.failed,
        "waiting": one.waiting,
        "answers": one.answers,
        "people": [
            {
                "user": person.user,
                "state": person.contact.state,
                "used": person.contact.used,
                "error": person.contact.error or None,
            }
            for person in one.people
        ],
        "receivers": [
            {
                "receiver": target.receiver,
                "integration": target.integration,
                "undeliverable": target.undeliverable or None,
            }
            for target in one.receivers
        ],
    }


class DeliveriesPage:
    def __init__(self, deps: Deps, templates: PageTemplates) -> None:
        self._context, self._templates = deps.context, templates

    def routes(self) -> list[Route]:
        return [
            Route("/deliveries", self.show, methods=["GET"]),
            Route("/deliveries/test", self.test, methods=["POST"]),
        ]

    async def show(self, request: Request) -> HTMLResponse:
        try:
            return await self._draw(request, parse_delivery_query(request, self._zone(request)))
        except HTTPException as error:
            return await self._draw(request, None, error)

    async def test(self, request: Request) -> Response:
        """Test a person's contact, or a receiver's integration; the log shows its outcome."""
        fields = await parse_form(request)
        user, receiver = fields.get("user", ""), fields.get("receiver", "")
        if user:
            require_person(request, self._context, user)
        else:
            require_receiver(request, self._context, receiver)
        try:
            if user:
                await test_messages.send_test_page(self._context, user, fields.get("channel", ""))
            else:
                await test_messages.send_test_notification(
                    self._context, receiver, fields.get("integration", "")
                )
        except (BadAction, NotFound) as error:
            return await self._draw(request, None, error)
        set_audit_text(
            request, f"Sent a test to {f'the receiver {receiver}' if receiver else user}."
        )
        return RedirectResponse(f"/deliveries?{urlencode({'tested': user or receiver})}", 303)

    async def _draw(
        self, request: Request, query: DeliveryQuery | None, error: Exception | None = None
    ) -> HTMLResponse:
        """query: None = it cannot be read, or a test was refused, and no log is shown."""
        context, config, principal = self._context, self._context.config, principal_of(request)
        page = await find_deliveries(context, query) if query else deliveries.DeliveryList([], "")
        filters = [
            (name, value)
            for name, value in request.query_params.multi_items()
            if name in DELIVERY_FILTERS and value
        ]
        health = await load_channel_health(context)
        tested = request.query_params.get("tested", "")
        return await self._templates.page(
            request,
            "deliveries.html",
            describe_error(error).status if error else 200,
            problem=describe_error(error).detail if error else "",
            query=query,
            written={name: request.query_params.get(name, "") for name in DELIVERY_FILTERS},
            filtered=bool(filters),
            deliveries=page.items,
            older=urlencode([*filters, ("cursor", page.next)]) if page.next else "",
            health=health,
            outcomes=OUTCOMES,
            deliverable=paging_channels(),
            channels=sorted({one.channel for one in health} | paging_channels()),
            receivers=sorted(config.receivers),
            tested=tested if tested in config.users or tested in config.receivers else "",
            may_test_person=lambda name: not person_refusal(principal, config, name),
            may_test_receiver=lambda name: not receiver_refusal(principal, config, name),
        )

    def _zone(self, request: Request) -> str:
        user = acting_user(request, self._context)
        return self._context.config.users[user].timezone if user else "UTC"
