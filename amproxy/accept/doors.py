"""Doors in the place of other systems': Grafana OnCall's integrations, PagerDuty's events.

Their senders change the host of an address and nothing else. So the key in the path or body is the
token of a source, and the answers are those that the senders know.
"""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from amproxy import offload
from amproxy.accept import origin, tokens
from amproxy.accept.answers import (
    error_body,
    pagerduty_error,
    send_answer,
    send_method_not_allowed,
)
from amproxy.accept.big_bodies import BigBody
from amproxy.accept.body import (
    BIG_BODY,
    MAX_DEPTH,
    ClientDisconnected,
    PushRefused,
    Receive,
    Scope,
    Send,
    decompress_body,
    header,
    is_nested_too_deeply,
    read_body,
)
from amproxy.accept.forms import to_json
from amproxy.accept.push import (
    BYTES_OF_ALERT,
    HEARTBEAT_SOURCE,
    UNKNOWN_SOURCE,
    PushEndpoints,
)
from amproxy.accept.senders import keep_body
from amproxy.accept.webhook import load_json
from amproxy.accept.words import words
from amproxy.config.structs import Source
from amproxy.correlate import heartbeats
from amproxy.errors import StoreUnavailable
from amproxy.text import phrase

INTEGRATIONS_PATH: Final = "/integrations/v1/"
ENQUEUE_PATH: Final = "/v2/enqueue"
HEARTBEAT: Final = "heartbeat"
# OnCall's types whose senders send JSON. What a body is its keys say, so that a type is no more
# than the name of the source where the file has none.
TYPES: Final = words(
    """
    alertmanager legacy_alertmanager grafana grafana_alerting legacy_grafana_alerting webhook
    formatted_webhook zabbix elastalert heartbeat amazon_sns kapacitor sentry sentry_platform
    datadog newrelic pagerduty stackdriver uptimerobot pingdom prtg jira appdynamics curler fabric
    zendesk
    """
)
MAX_EVENT: Final = 512 * 1024  # bytes; they are read before anybody has shown a key
MAX_DEDUP_KEY: Final = 255  # characters
_ACTIONS: Final = ("trigger", "acknowledge", "resolve")
# OnCall's answers: JSON texts; a POST of a beat has none.
_OK: Final = b'"Ok."'
_BEAT: Final = b'":)"'


class ForeignDoors:
    """Answer `/integrations/v1/TYPE/TOKEN/`, the same with `heartbeat/`, and `/v2/enqueue`."""

    def __init__(self, endpoints: PushEndpoints) -> None:
        self._context, self._endpoints = endpoints.context, endpoints

    async def integration(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`POST` alerts or a beat, `GET` a beat."""
        kind, _, rest = scope["path"][len(INTEGRATIONS_PATH) :].strip("/").partition("/")
        key, _, behind = rest.partition("/")
        is_beat = HEARTBEAT in (kind, behind)
        if scope["method"] not in (("GET", "HEAD", "POST") if is_beat else ("POST", "PUT")):
            await send_method_not_allowed(send, "GET, POST" if is_beat else "POST, PUT")
            return
        started, source, big = time.perf_counter(), UNKNOWN_SOURCE, self._endpoints.new_body()
        if is_beat:
            source = HEARTBEAT_SOURCE
        try:
            origin.refuse_foreign_page(scope, self._context)
            if kind not in TYPES or not key or behind not in ("", HEARTBEAT):
                raise PushRefused(404, phrase("refusal.no_door"))
            if is_beat:
                answer = await self._beat(scope, unquote(key))
            else:
                self._endpoints.check_running()
                known = self._find_source(scope, unquote(key), kind)
                source = self._endpoints.metrics_source(known)
                await self._endpoints.take_webhook(scope, receive, known, big)
                answer = _OK
            status = 200
        except ClientDisconnected:
            return
        except PushRefused as error:
            status, answer = error.status, error_body(error.status, error.words)
            self._endpoints.log_refusal(scope, source, status, error.words)
        except StoreUnavailable as error:
            status, answer = 503, error_body(503, error.words)
            self._endpoints.log_refusal(scope, source, status, error.words)
        finally:
            big.end()
        await send_answer(send, status, answer, source, started)

    async def _beat(self, scope: Scope, key: str) -> bytes:
        heartbeat = tokens.heartbeat_by_key(self._context.config, key)
        self._endpoints.check_name(scope, heartbeat)
        await heartbeats.record_heartbeat(self._context, heartbeat.name)
        return b"" if scope["method"] == "POST" else _BEAT

    def _find_source(self, scope: Scope, key: str, otherwise: str) -> Source:
        known = tokens.source_by_key(self._context.config, scope, key, otherwise)
        self._endpoints.check_name(scope, known)
        return known

    async def enqueue(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`POST` an event of PagerDuty's events API v2, whose routing key is a source's token."""
        if scope["method"] != "POST":
            await send_method_not_allowed(send, "POST")
            return
        started, source, big = time.perf_counter(), UNKNOWN_SOURCE, self._endpoints.new_body()
        try:
            origin.refuse_foreign_page(scope, self._context)
            self._endpoints.check_running()
            sent, event = await self._read_event(scope, receive, big)
            known = self._find_source(scope, _routing_key(scope, event), "pagerduty")
            source = self._endpoints.metrics_source(known)
            tokens.check_signature(known, scope, sent, self._context.now())
            dedup_key = _check_event(event)
            body = json.dumps({**event, "dedup_key": dedup_key}).encode()
            await self._endpoints.store_webhook(body, known)
            taken = {"status": "success", "message": "Event processed", "dedup_key": dedup_key}
            status, answer = 202, msgspec.json.encode(taken)
        except ClientDisconnected:
            return
        except PushRefused as error:
            status = 400 if error.status == 422 else error.status
            answer = pagerduty_error(status, error.words)
            self._endpoints.log_refusal(scope, source, status, error.words)
        except StoreUnavailable as error:
            status, answer = 503, pagerduty_error(503, error.words)
            self._endpoints.log_refusal(scope, source, status, error.words)
        finally:
            big.end()
        await send_answer(send, status, answer, source, started)

    async def _read_event(
        self, scope: Scope, receive: Receive, big: BigBody
    ) -> tuple[bytes, dict[str, Any]]:
        """Return an event as sent, and decoded. Raises PushRefused: 400, 413, 415, 503."""
        limit = min(MAX_EVENT, self._context.config.web.max_body)
        sent = await read_body(scope, receive, limit, big.begin)
        keep_body(scope, sent)
        encoding = header(scope, b"content-encoding")
        body = decompress_body(scope, sent, limit)
        body = to_json(body, header(scope, b"content-type"), encoding)
        if len(body) > BIG_BODY:
            await big.process()
        event = await offload.run(len(body) // BYTES_OF_ALERT, load_json, body)
        if not isinstance(event, dict):
            raise PushRefused(400, phrase("refusal.event_object"))
        if is_nested_too_deeply(event):
            raise PushRefused(400, phrase("refusal.event_depth", most=MAX_DEPTH))
        return sent, event


def _routing_key(scope: Scope, event: dict[str, Any]) -> str:
    """The key that an event shows, in its body or beside it. Raises PushRefused(400)."""
    given = event.get("routing_key") or header(scope, b"x-routing-key")
    key = given or tokens.parse_credential(scope)
    if not isinstance(key, str) or not key:
        raise PushRefused(400, phrase("refusal.blank_key", key="routing_key"))
    return key


def _check_event(event: dict[str, Any]) -> str:
    """Return the key of an event, made of its content where it has none.

    Raises PushRefused(400).
    """
    action, key = event.get("event_action"), event.get("dedup_key")
    if action not in _ACTIONS:
        raise PushRefused(400, phrase("refusal.event_action", known=", ".join(_ACTIONS)))
    if key in (None, ""):
        if action != "trigger":
            raise PushRefused(400, phrase("refusal.blank_key", key="dedup_key"))
        content = {name: value for name, value in event.items() if name != "routing_key"}
        return hashlib.blake2b(
            json.dumps(content, sort_keys=True).encode(), digest_size=16
        ).hexdigest()
    if not isinstance(key, str) or len(key) > MAX_DEDUP_KEY:
        raise PushRefused(400, phrase("refusal.dedup_key", most=MAX_DEDUP_KEY))
    return key
