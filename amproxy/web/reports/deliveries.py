"""Which deliveries a query asks for: the same for the API and the page.

/api/v1/deliveries, /api/v1/channels and test notifications: what became of messages, and how each way out does.

The page of deliveries: how each way out does, tests of it, and the log of what became of messages.
"""

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
from amproxy.config.contacts import CHANNELS
from amproxy.context import Context
from amproxy.errors import NotFound
from amproxy.notify.channel_health import ChannelHealth, assess_channels
from amproxy.oncall.reachable import assess_reachability
from amproxy.respond import test_messages
from amproxy.respond.targets import BadAction
from amproxy.store import deliveries, outbox
from amproxy.store.deliveries import Delivery, DeliveryListItem, DeliveryOutcome
from amproxy.web.http.deps import Deps
from amproxy.web.http.errors import describe_error
from amproxy.web.http.permissions import may, principal_of, require_role, set_audit_text
from amproxy.web.http.request import invalid, parse_form, parse_json_body, parse_time_param
from amproxy.web.http.templates import PageTemplates, acting_user
from amproxy.web.incidents.api import json_response
from amproxy.web.incidents.views import View

DEFAULT_DELIVERIES_LIMIT, MAX_DELIVERIES_LIMIT = 100, 500  # entries of a page
_DELIVERY_CURSOR = re.compile(r"\d{1,16}-\d{1,10}", re.ASCII)
OUTCOMES: tuple[DeliveryOutcome, ...] = get_args(DeliveryOutcome)


class DeliveryQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Texts are empty where all are wanted; times are Unix seconds."""

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

    def wants(self, delivery: Delivery) -> bool:
        return (
            self.channel in ("", delivery.channel)
            and self.user in ("", delivery.user)
            and self.receiver in ("", delivery.receiver)
            and (not self.outcomes or delivery.outcome in self.outcomes)
            and (not self.incident or any(self.incident in (id_, str(number)) for id_, number in delivery.incidents))
            and (not self.text or any(self.text in text.casefold() for text in (delivery.subject, delivery.error)))
        )


def parse_delivery_query(request: Request, zone: str | None = None) -> DeliveryQuery:
    """zone: of times without offset; None = they are refused. Raises HTTPException 422."""
    query = request.query_params
    outcomes = tuple(outcome for outcome in OUTCOMES if outcome in query.getlist("outcome"))
    for outcome in query.getlist("outcome"):
        if outcome and outcome not in OUTCOMES:
            raise invalid(f"outcome is one of {', '.join(OUTCOMES)}, not {outcome[:60]!r}")
    limit, cursor = query.get("limit", str(DEFAULT_DELIVERIES_LIMIT)), query.get("cursor", "")
    if not re.fullmatch("[0-9]{1,9}", limit) or not 1 <= int(limit) <= MAX_DELIVERIES_LIMIT:
        raise invalid(f"limit is a number from 1 to {MAX_DELIVERIES_LIMIT}")
    if cursor and not _DELIVERY_CURSOR.fullmatch(cursor):
        raise invalid("cursor is not one that an earlier answer gave")
    since, until = (parse_time_param(query[name], name, zone).timestamp() if query.get(name) else None for name in ("from", "to"))
    return DeliveryQuery(
        channel=query.get("channel", ""), user=query.get("user", ""), receiver=query.get("receiver", ""), outcomes=outcomes,
        incident=query.get("incident", "").strip().lstrip("#"), text=query.get("text", "").strip().casefold(), since=since, until=until,
        limit=int(limit), cursor=cursor,
    )  # fmt: skip


async def find_deliveries(context: Context, query: DeliveryQuery) -> deliveries.DeliveryList:
    """Raises StoreUnavailable."""
    return await deliveries.list_deliveries(
        context.wire, query.wants, since=query.since, until=query.until, limit=query.limit, before=query.cursor
    )


FAILURE_RATE_SECONDS = 3600.0  # seconds that the rate of failures is taken over


class TestReceiverRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Of a test notification. Without an integration ("slack/0") it goes to every one of the receiver."""

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
        """Newest first. A page may be short although there is a next one: a call looks at so many entries at most."""
        page = await find_deliveries(self._context, parse_delivery_query(request))
        return json_response({"deliveries": [_logged_delivery_view(one) for one in page.found], "next": page.next or None})

    async def channels(self, request: Request) -> Response:
        return json_response({"channels": [_channel_view(one) for one in await load_channel_health(self._context)]})

    async def test(self, request: Request) -> Response:
        """Send a test notification; what became of it stands in the log of deliveries."""
        require_role(request, "responder")
        name, body = request.path_params["name"], await parse_json_body(request, TestReceiverRequest)
        sent = await test_messages.send_test_notification(self._context, name, body.integration)
        set_audit_text(request, f"Sent a test notification to the receiver {name}.")
        return json_response({"receiver": name, "sent": sent}, 202)


async def load_channel_health(context: Context) -> list[ChannelHealth]:
    """How every channel in use does. Raises StoreUnavailable."""
    wire = context.wire
    reached = assess_reachability(context.config, await deliveries.load_contact_outcomes(wire))
    rates = await deliveries.load_rates(wire, context.now() - FAILURE_RATE_SECONDS)
    return assess_channels(context.config, reached, await deliveries.load_last(wire), rates, await outbox.load_depths(wire))


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
            {"user": person.user, "state": person.contact.state, "used": person.contact.used, "error": person.contact.error or None}
            for person in one.people
        ],
        "receivers": [
            {"receiver": target.receiver, "integration": target.integration, "undeliverable": target.undeliverable or None}
            for target in one.receivers
        ],
    }


DELIVERY_FILTERS = ("channel", "user", "receiver", "outcome", "incident", "text", "from", "to", "limit")


class DeliveriesPage:
    def __init__(self, deps: Deps, looks: PageTemplates) -> None:
        self._context, self._looks = deps.context, looks

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
        """Test a person's contact, or a receiver's integration; what became of it appears in the log."""
        require_role(request, "responder")
        fields = await parse_form(request)
        user, receiver = fields.get("user", ""), fields.get("receiver", "")
        try:
            if user:
                await test_messages.send_test_page(self._context, user, fields.get("channel", ""))
            else:
                await test_messages.send_test_notification(self._context, receiver, fields.get("integration", ""))
        except (BadAction, NotFound) as error:
            return await self._draw(request, None, error)
        set_audit_text(request, f"Sent a test to {f'the receiver {receiver}' if receiver else user}.")
        return RedirectResponse(f"/deliveries?{urlencode({'tested': user or receiver})}", 303)

    async def _draw(self, request: Request, query: DeliveryQuery | None, error: Exception | None = None) -> HTMLResponse:
        """query: None = it cannot be read, or there is none."""
        context, config = self._context, self._context.config
        page = await find_deliveries(context, query) if query else deliveries.DeliveryList([], "")
        kept = [(name, value) for name, value in request.query_params.multi_items() if name in DELIVERY_FILTERS and value]
        health = await load_channel_health(context)
        tested = request.query_params.get("tested", "")
        return await self._looks.page(
            request, "deliveries.html", describe_error(error).status if error else 200, problem=describe_error(error).detail if error else "", query=query,
            written={name: request.query_params.get(name, "") for name in DELIVERY_FILTERS}, filtered=bool(kept), found=page.found,
            older=urlencode([*kept, ("cursor", page.next)]) if page.next else "", health=health, outcomes=OUTCOMES, deliverable=CHANNELS,
            channels=sorted({one.channel for one in health} | CHANNELS), receivers=sorted(config.receivers),
            tested=tested if tested in config.users or tested in config.receivers else "",
            may_change=may(principal_of(request), "responder"),
        )  # fmt: skip

    def _zone(self, request: Request) -> str:
        user = acting_user(request, self._context)
        return self._context.config.users[user].timezone if user else "UTC"
