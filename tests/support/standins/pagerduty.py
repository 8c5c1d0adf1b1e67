"""PagerDuty's Events API on loopback, v2 and v1, refusing what the real one refuses."""

from __future__ import annotations

import json
import ssl
from typing import Any

from tests.support.standins.services import RefusedRequest, ServiceStandIn, check
from tests.support.standins.serving import Request, Response

ROUTING_KEY = "R0123456789012345678901234567890"
SERVICE_KEY = "S0123456789012345678901234567890"
V1_PATH = "/generic/2010-04-15/create_event.json"

_V2_KEYS = {"routing_key", "dedup_key", "event_action", "payload", "client", "client_url"}
_V2_KEYS |= {"images", "links"}
_PAYLOAD_KEYS = {"summary", "source", "severity", "timestamp", "class", "component", "group"}
_PAYLOAD_KEYS |= {"custom_details"}


class PagerDutyStandIn(ServiceStandIn):
    """`alerts` are the open ones by their keys."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls)
        self.alerts: dict[str, dict[str, Any]] = {}

    @property
    def url(self) -> str:
        return f"{super().url}/v2/enqueue"

    def take(self, request: Request) -> Response:
        check(request.method == "POST", 405, {"status": "method"})
        check(request.headers.get("content-type") == "application/json", 415, {"status": "type"})
        if request.path == V1_PATH:
            check(request.headers["host"] == "events.pagerduty.com", 404, {"status": "host"})
            return self._take_v1(_decoded(request))
        check(request.path == "/v2/enqueue", 404, {"status": "path"})
        return self._take_v2(_decoded(request))

    def _take_v2(self, event: dict[str, Any]) -> Response:
        _valid(set(event) <= _V2_KEYS, f"unknown keys {set(event) - _V2_KEYS}")
        action = event.get("event_action")
        _valid(action in ("trigger", "acknowledge", "resolve"), "'event_action' is invalid")
        _valid(event.get("routing_key") == ROUTING_KEY, "Invalid routing key")
        _valid(0 < len(event.get("dedup_key", "")) <= 255, "'dedup_key' is invalid")
        payload = event.get("payload")
        _valid(isinstance(payload, dict) and set(payload) <= _PAYLOAD_KEYS, "'payload' is invalid")
        for key in ("summary", "source", "severity"):
            _valid(payload.get(key), f"'payload.{key}' is missing or blank")
        for key in ("summary", "source", "severity", "class", "component", "group"):
            _valid(isinstance(payload.get(key, ""), str), f"'payload.{key}' is no text")
        _valid(len(payload["summary"]) <= 1024, "'payload.summary' is too long")
        _valid(
            payload["severity"] in ("critical", "error", "warning", "info"),
            "'payload.severity' is invalid (must be one of the following: 'critical', ...)",
        )
        _valid(isinstance(payload.get("custom_details", {}), dict), "'custom_details' is no object")
        for image in event.get("images", ()):
            _valid(image.get("src", "").startswith("https://"), "'images.src' must be HTTPS")
        for link in event.get("links", ()):
            _valid(link.get("href", "").startswith("http"), "'links.href' is missing")
        self._keep(event["dedup_key"], event, over=action == "resolve")
        answer = {"status": "success", "message": "Event processed"}
        return Response.json(answer | {"dedup_key": event["dedup_key"]}, 202)

    def _take_v1(self, event: dict[str, Any]) -> Response:
        _valid(event.get("service_key") == SERVICE_KEY, "Service key is the wrong length")
        kind = event.get("event_type")
        _valid(kind in ("trigger", "acknowledge", "resolve"), "Event type is invalid")
        _valid(event.get("incident_key"), "Incident key is required")
        _valid(kind != "trigger" or event.get("description"), "Description is required")
        _valid(len(event.get("description", "")) <= 1024, "Description is too long")
        _valid(isinstance(event.get("details", {}), dict), "Details are invalid")
        self._keep(event["incident_key"], event, over=kind == "resolve")
        answer = {"status": "success", "message": "Event processed"}
        return Response.json(answer | {"incident_key": event["incident_key"]})

    def _keep(self, key: str, event: dict[str, Any], *, over: bool) -> None:
        if over:
            self.alerts.pop(key, None)
        else:
            self.alerts[key] = event


def _decoded(request: Request) -> dict[str, Any]:
    if len(request.body) > 512_000:
        raise RefusedRequest(413, {"status": "too large"})
    return dict(json.loads(request.body))


def _valid(fine: object, error: str) -> None:
    body = {"status": "invalid event", "message": "Event object is invalid", "errors": [error]}
    check(fine, 400, body)
