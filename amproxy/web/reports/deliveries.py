"""The log of messages and the health of channels: queries for the API too, and the page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, get_args
from urllib.parse import urlencode

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from amproxy.config.channels import paging_channels
from amproxy.context import Context
from amproxy.errors import NotFound
from amproxy.grouping.rights import person_refusal, receiver_refusal
from amproxy.notify.channel_health import ChannelHealth, assess_channels
from amproxy.oncall.reachable import assess_reachability
from amproxy.respond import test_messages
from amproxy.respond.targets import BadAction
from amproxy.store import deliveries, outbox
from amproxy.store.deliveries import Delivery, DeliveryOutcome
from amproxy.text import LANGUAGES, load_texts, phrase
from amproxy.text.render import render_phrase
from amproxy.web.http.audited import test_page_phrase
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import (
    principal_of,
    require_person,
    require_receiver,
    set_audit_phrase,
)
from amproxy.web.http.query import (
    DEFAULT_PAGE_LIMIT,
    PageCursor,
    PageLimit,
    PeriodParameters,
    check_cursor,
    parse_query,
)
from amproxy.web.http.request import parse_form, parse_time_param
from amproxy.web.http.response import describe_error
from amproxy.web.http.templates import PageTemplates, reader_zone

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
                or any(self.text in text.casefold() for text in _searched_texts(delivery))
            )
        )


def _searched_texts(delivery: Delivery) -> Iterator[str]:
    """The texts of an entry, in all languages."""
    for language in LANGUAGES:
        for words in (delivery.subject, delivery.error):
            yield render_phrase(words, load_texts(language))


class DeliveryParameters(PeriodParameters, frozen=True, kw_only=True):
    channel: Annotated[str, msgspec.Meta(description="Only those of this channel.")] = ""
    user: Annotated[str, msgspec.Meta(description="Only those of this user.")] = ""
    receiver: Annotated[str, msgspec.Meta(description="Only those of this receiver.")] = ""
    outcome: Annotated[
        tuple[DeliveryOutcome, ...], msgspec.Meta(description="What became of it.")
    ] = ()
    incident: Annotated[str, msgspec.Meta(description="An id, or a number.")] = ""
    text: Annotated[str, msgspec.Meta(description="Part of the subject or of the error.")] = ""
    limit: PageLimit = DEFAULT_PAGE_LIMIT
    cursor: PageCursor = ""


def parse_delivery_query(given: DeliveryParameters, zone: str | None = None) -> DeliveryQuery:
    """Raises HTTPException 422.

    zone: of times without offset; None = they are refused.
    """
    since, until = (
        parse_time_param(text, name, zone).timestamp() if text else None
        for name, text in (("from", given.from_), ("to", given.to))
    )
    return DeliveryQuery(
        channel=given.channel,
        user=given.user,
        receiver=given.receiver,
        outcomes=tuple(outcome for outcome in OUTCOMES if outcome in given.outcome),
        incident=given.incident.strip().lstrip("#"),
        text=given.text.strip().casefold(),
        since=since,
        until=until,
        limit=given.limit,
        cursor=check_cursor(given.cursor, _DELIVERY_CURSOR),
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


async def load_channel_health(context: Context) -> list[ChannelHealth]:
    """The health of every channel in use. Raises StoreUnavailable."""
    wire = context.wire
    reached = assess_reachability(context.config, await deliveries.load_contact_outcomes(wire))
    rates = await deliveries.load_rates(wire, context.now() - FAILURE_RATE_SECONDS)
    last, waiting = await deliveries.load_last(wire), await outbox.load_depths(wire)
    return assess_channels(context.config, reached, last, rates, waiting)


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
            query = parse_query(request, DeliveryParameters)
            return await self._draw(request, parse_delivery_query(query, self._zone(request)))
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
                sent = await test_messages.send_test_page(
                    self._context, user, fields.get("channel", "")
                )
            else:
                await test_messages.send_test_notification(
                    self._context, receiver, fields.get("integration", "")
                )
        except (BadAction, NotFound) as error:
            return await self._draw(request, None, error)
        set_audit_phrase(
            request,
            test_page_phrase(user, sent)
            if user
            else phrase("audit.test_notification", receiver=receiver),
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
            problem=describe_error(error).phrase if error else "",
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
        return reader_zone(request, self._context)
