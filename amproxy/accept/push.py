"""The test alert: it takes the ordinary road, from the webhook's decoder on.

The push doors as one plain ASGI application: no framework on the hot path. A 200 means: it is in Redis.
"""

from __future__ import annotations

import json
import time
from urllib.parse import unquote

import msgspec

from amproxy import metrics
from amproxy.accept import body as bodies
from amproxy.accept import tokens, v2_alerts, webhook
from amproxy.accept.body import ClientDisconnected, PushRefused, Receive, Scope, Send, header
from amproxy.accept.v2_alerts import BadAlertsBody
from amproxy.clock import utc
from amproxy.config.structs import Source
from amproxy.context import Context
from amproxy.correlate import heartbeats
from amproxy.correlate.ingest import IncomingAlert, ingest
from amproxy.errors import StoreUnavailable

TEST_ALERT_SOURCE = Source(name="test", expire_after=3600.0)


def build_test_alert(now: float) -> bytes:
    """A webhook body with one firing alert; each call makes another alert, in a group of its own."""
    moment = f"{utc(now):%H:%M:%S}"
    labels = {"alertname": "TestAlert", "severity": "critical", "instance": f"test-{moment}"}
    annotations = {
        "summary": f"A test alert, sent from the page at {moment} UTC.",
        "description": "Nothing is wrong. Acknowledge it, or wait and see who is paged next.",
    }
    alert = {"status": "firing", "labels": labels, "annotations": annotations}
    return json.dumps(
        {"alerts": [alert], "groupKey": f"test-{now}", "groupLabels": {"alertname": "TestAlert", "instance": labels["instance"]}}
    ).encode()


V2_ALERTS_PATH = "/api/v2/alerts"
WEBHOOK_PATH = "/webhook/"
HEARTBEAT_PATH = "/heartbeat/"
UNKNOWN_SOURCE = "-"  # metrics' source of pushes that named none we know
_JSON_HEADERS = [(b"content-type", b"application/json")]


class PushEndpoints:
    """Answers `POST /api/v2/alerts` and `POST /webhook/NAME[/TOKEN]`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def raw(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`POST /api/v2/alerts`."""
        started, source = time.perf_counter(), UNKNOWN_SOURCE
        try:
            source = tokens.source_by_token(self._context.config, scope)
            status, answer = await self._raw(scope, receive, source)
        except ClientDisconnected:
            return
        except PushRefused as error:
            status, answer = error.status, _alertmanager_error(error.status, error.detail)
        except BadAlertsBody as error:
            status, answer = error.status, _alertmanager_error(error.code, str(error))
        except StoreUnavailable as error:
            status, answer = 503, _alertmanager_error(503, str(error))
        await self._answer(send, status, answer, source, started)

    async def webhook(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`POST /webhook/NAME` and `POST /webhook/NAME/TOKEN`."""
        started, source = time.perf_counter(), UNKNOWN_SOURCE
        try:
            name, _, token = scope["path"][len(WEBHOOK_PATH) :].rstrip("/").partition("/")
            known = tokens.webhook_source(self._context.config, scope, unquote(name), unquote(token))
            source = known.name
            limit = self._context.config.web.max_body
            body = await bodies.read_body(scope, receive, limit)
            tokens.check_signature(known, scope, body)
            now_ns = int(self._context.now() * 10**9)
            door = webhook.parse_webhook(bodies.decompress_body(scope, body, limit), known, self._context.placer, now_ns)
            await self._store(door.alerts, door.firing, source, now_ns, hurry=True)
            status, answer = 200, b'{"status":"ok"}\n'
        except ClientDisconnected:
            return
        except PushRefused as error:
            status, answer = error.status, _error_body(error.status, error.detail)
        except StoreUnavailable as error:
            status, answer = 503, _error_body(503, str(error))
        await self._answer(send, status, answer, source, started)

    async def heartbeat(self, scope: Scope, send: Send) -> None:
        """`GET` or `POST /heartbeat/NAME`."""
        started, name = time.perf_counter(), unquote(scope["path"][len(HEARTBEAT_PATH) :]).rstrip("/")
        status, answer = 200, b'{"status":"ok"}\n'
        try:
            if name not in self._context.config.heartbeats:
                raise PushRefused(404, f"there is no heartbeat {name!r}")
            await heartbeats.record_heartbeat(self._context, name)
        except PushRefused as error:
            status, answer = error.status, _error_body(error.status, error.detail)
        except StoreUnavailable as error:
            status, answer = 503, _error_body(503, str(error))
        await self._answer(send, status, answer, "heartbeat", started)

    async def trial(self) -> None:
        """Push a test alert. Raises StoreUnavailable."""
        now_ns = int(self._context.now() * 10**9)
        door = webhook.parse_webhook(build_test_alert(self._context.now()), TEST_ALERT_SOURCE, self._context.placer, now_ns)
        await self._store(door.alerts, door.firing, TEST_ALERT_SOURCE.name, now_ns, hurry=True)

    async def _raw(self, scope: Scope, receive: Receive, source: str) -> tuple[int, bytes]:
        kind = header(scope, b"content-type").partition(";")[0].strip().lower() or "application/octet-stream"
        if kind != "application/json":
            raise PushRefused(415, f'unsupported media type "{kind}", only [application/json] are allowed')
        body = await bodies.read_body(scope, receive, self._context.config.web.max_body)
        now_ns = int(self._context.now() * 10**9)
        timeout = self._context.config.global_.resolve_timeout
        door = v2_alerts.parse_alerts(body, self._context.placer, now_ns=now_ns, resolve_timeout=timeout, source=source)
        await self._store(door.alerts, door.firing, source, now_ns, hurry=False)
        if door.refused:
            return 400, msgspec.json.encode("\n".join(door.refused)) + b"\n"
        return 200, b""

    async def _store(self, alerts: list[IncomingAlert], firing: int, source: str, now_ns: int, *, hurry: bool) -> None:
        if self._context.placer.beating:
            await heartbeats.record_pushed_heartbeats(self._context, alerts, now_ns)
        taken = await ingest(self._context, alerts, now_ns, hurry=hurry)
        if firing:
            metrics.received_counter(source, "firing").inc(firing)
        if firing < len(alerts):
            metrics.received_counter(source, "resolved").inc(len(alerts) - firing)
        if taken.repeated:
            metrics.deduplicated_counter(source).inc(taken.repeated)

    async def _answer(self, send: Send, status: int, body: bytes, source: str, started: float) -> None:
        metrics.push_counter(source, status).inc()
        metrics.push_duration_of(source).observe(time.perf_counter() - started)
        headers = [(b"content-length", str(len(body)).encode())]
        if body:
            headers += _JSON_HEADERS
        if status == 503:
            headers.append((b"retry-after", b"1"))
        if status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def send_method_not_allowed(send: Send, methods: str) -> None:
    """A door knocked at in the wrong way."""
    body = _error_body(405, f"this address takes {methods}")
    headers = [*_JSON_HEADERS, (b"content-length", str(len(body)).encode()), (b"allow", methods.encode())]
    await send({"type": "http.response.start", "status": 405, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _alertmanager_error(code: int, message: str) -> bytes:
    """Alertmanager's shape of errors of schema and transport."""
    return msgspec.json.encode({"code": code, "message": message})


def _error_body(status: int, detail: str) -> bytes:
    names = {
        400: "malformed", 401: "unauthorized", 403: "forbidden", 404: "not found", 405: "method not allowed", 413: "too large",
        415: "unsupported media type", 422: "not valid", 503: "try again",
    }  # fmt: skip
    return msgspec.json.encode({"error": names[status], "detail": detail})
