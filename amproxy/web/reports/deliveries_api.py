"""/api/v1/deliveries, /api/v1/channels and test notifications: what became of messages, and how each way out does."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from amproxy.clock import rfc3339
from amproxy.context import Context
from amproxy.notify.channel_health import Health, health
from amproxy.oncall.reachable import reach
from amproxy.respond import test_messages
from amproxy.store import contacts, deliveries, outbox
from amproxy.store.deliveries import Delivery, Listed
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import require, say
from amproxy.web.http.request import json_body
from amproxy.web.incidents.api import json
from amproxy.web.incidents.views import View
from amproxy.web.reports.asked_deliveries import asked, find

HOUR = 3600.0  # seconds that the rate of failures is taken over


class TestBody(msgspec.Struct, forbid_unknown_fields=True):
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
        page = await find(self._context, asked(request))
        return json({"deliveries": [_entry(one) for one in page.found], "next": page.next or None})

    async def channels(self, request: Request) -> Response:
        return json({"channels": [_channel(one) for one in await channels(self._context)]})

    async def test(self, request: Request) -> Response:
        """Send a test notification; what became of it stands in the log of deliveries."""
        require(request, "responder")
        name, body = request.path_params["name"], await json_body(request, TestBody)
        sent = await test_messages.notify(self._context, name, body.integration)
        say(request, f"Sent a test notification to the receiver {name}.")
        return json({"receiver": name, "sent": sent}, 202)


async def channels(context: Context) -> list[Health]:
    """How every channel in use does. Raises StoreUnavailable."""
    wire = context.wire
    reached = reach(context.config, await contacts.load_all(wire))
    rates = await deliveries.rates(wire, context.now() - HOUR)
    return health(context.config, reached, await deliveries.last(wire), rates, await outbox.depths(wire))


def _entry(one: Listed) -> View:
    return {"id": one.id, **_view(one.delivery)}


def _view(delivery: Delivery) -> View:
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


def _channel(one: Health) -> View:
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
