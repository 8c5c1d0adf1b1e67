"""Pushes without a server and without Redis: their alerts, and the answers of an endpoint."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from amproxy.accept.body import PushRefused, Scope
from amproxy.accept.push import PushEndpoints
from amproxy.accept.v2_alerts import BadAlertsBody, PostAlertsRequest, parse_alerts
from amproxy.accept.webhook import WebhookPushRequest, parse_webhook
from amproxy.config.structs import Config, Route, Source
from amproxy.context import Context
from amproxy.grouping.placement import Placer
from amproxy.model import Alert
from amproxy.store.wire import Wire

NOW = 1_790_000_000  # Unix seconds
SECOND = 10**9  # nanoseconds
NOW_NS = NOW * SECOND
RESOLVE_TIMEOUT = 300.0  # seconds
NOBODY_LISTENS = "redis://127.0.0.1:1/0"


def config(**more: Any) -> Config:
    return Config(route=Route(receiver="all", key="{}", group_by=("alertname",)), **more)


def encoded(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def webhook_request(body: Any, source: Source | None = None) -> WebhookPushRequest:
    """The alerts of a webhook's body. Raises PushRefused."""
    return parse_webhook(encoded(body), source or Source(name="am"), Placer(config()), NOW_NS)


def webhook_alerts(body: Any, source: Source | None = None) -> list[Alert]:
    """The alerts of a webhook's body, as they would be stored. Raises PushRefused."""
    return [incoming.make() for incoming in webhook_request(body, source).alerts]


def webhook_alert(**fields: Any) -> Alert:
    """One alert of a webhook with these fields, as it would be stored. Raises PushRefused."""
    alert = {"status": "firing", "labels": {"alertname": "Disk"}, **fields}
    [stored] = webhook_alerts({"alerts": [alert]})
    return stored


def refused_webhook(body: Any) -> tuple[int, str]:
    """Status and detail with which a webhook's body is refused."""
    try:
        webhook_alerts(body)
    except PushRefused as error:
        return error.status, error.detail
    raise AssertionError("the body was accepted")


def webhook_status(body: Any) -> int:
    """200, or the status with which a webhook's body is refused."""
    try:
        webhook_alerts(body)
    except PushRefused as error:
        return error.status
    return 200


def posted_request(body: Any) -> PostAlertsRequest:
    """The alerts of a body of POST /api/v2/alerts. Raises BadAlertsBody."""
    return parse_alerts(
        encoded(body), Placer(config()), NOW_NS, resolve_timeout=RESOLVE_TIMEOUT, source="p"
    )


def posted_alerts(body: Any) -> list[Alert]:
    """The alerts of POST /api/v2/alerts, as they would be stored. Raises BadAlertsBody."""
    return [incoming.make() for incoming in posted_request(body).alerts]


def posted_alert(**fields: Any) -> Alert:
    """One alert of POST /api/v2/alerts with these fields. Raises BadAlertsBody."""
    [stored] = posted_alerts([{"labels": {"alertname": "Disk"}, **fields}])
    return stored


def refused_post(body: Any) -> tuple[int, int, str]:
    """Status, code and message with which a body of POST /api/v2/alerts is refused."""
    try:
        posted_alerts(body)
    except BadAlertsBody as error:
        return error.status, error.code, str(error)
    raise AssertionError("the body was accepted")


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: Any  # decoded; None = empty


def request_scope(
    path: str = "/webhook/am", client: tuple[str, int] | None = ("127.0.0.1", 5), **headers: str
) -> Scope:
    """A POST; of headers "_" stands for "-"."""
    named = {"content-type": "application/json"}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    encoded_headers = [(name.encode(), value.encode()) for name, value in named.items()]
    scope = {"type": "http", "method": "POST", "path": path, "headers": encoded_headers}
    return {**scope, "client": client}


async def answer_of(wanted: Config, scope: Scope, *events: dict[str, Any]) -> Answer | None:
    """The answer of an endpoint to a request whose body comes in these events; None = it hung up.

    There is no Redis: what would be stored is answered with 503.
    """
    endpoints, coming, sent = PushEndpoints(Context(wanted, Wire(NOBODY_LISTENS))), list(events), []
    is_api = scope["path"].startswith("/api/")
    endpoint = endpoints.v2_alerts if is_api else endpoints.webhook

    async def receive() -> Any:
        return coming.pop(0)

    async def send(event: Any) -> None:
        sent.append(event)

    await endpoint(scope, receive, send)
    if not sent:
        return None
    start, end = sent
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    assert int(headers["content-length"]) == len(end["body"])
    return Answer(start["status"], headers, json.loads(end["body"]) if end["body"] else None)


def chunk(body: bytes, *, more: bool = False) -> dict[str, Any]:
    """An event with a piece of the body."""
    return {"type": "http.request", "body": body, "more_body": more}
