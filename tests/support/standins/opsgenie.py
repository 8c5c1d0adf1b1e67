"""Opsgenie's Alert API v2 on loopback, refusing what the real one refuses."""

from __future__ import annotations

import json
from typing import Any

from tests.support.standins.services import ServiceStandIn, check
from tests.support.standins.serving import Request, Response

API_KEY = "0123abcd-opsgenie-key"
_LONGEST = {"message": 130, "alias": 512, "description": 15000, "entity": 512, "source": 100}
_LONGEST |= {"note": 25000}
_KEYS = {*_LONGEST, "details", "responders", "tags", "actions", "priority", "visibleTo", "user"}


class OpsgenieStandIn(ServiceStandIn):
    """`alerts` are the open ones by their aliases."""

    def __init__(self) -> None:
        super().__init__()
        self.alerts: dict[str, dict[str, Any]] = {}

    def take(self, request: Request) -> Response:
        known = request.headers.get("authorization") == f"GenieKey {API_KEY}"
        check(known, 403, {"message": "Could not authenticate", "took": 0.0})
        check(request.headers.get("content-type") == "application/json", 415, {})
        body = json.loads(request.body)
        match request.method, request.path.strip("/").split("/"):
            case "POST", ["v2", "alerts"]:
                self._open(body)
            case "POST", ["v2", "alerts", alias, "close"]:
                _by_alias(request)
                _valid(set(body) <= {"user", "note", "source"}, "unknown field")
                self.alerts.pop(alias, None)
            case "PUT", ["v2", "alerts", alias, ("message" | "description") as field]:
                _by_alias(request)
                _valid(set(body) == {field}, f"{field} can not be empty")
                self.alerts[alias] |= body
            case _:
                check(False, 404, {"message": "no such path"})
        return Response.json({"result": "Request will be processed", "requestId": "1"}, 202)

    def _open(self, body: dict[str, Any]) -> None:
        _valid(set(body) <= _KEYS, f"unknown fields {set(body) - _KEYS}")
        _valid(body.get("message"), "message can not be empty")
        for key, longest in _LONGEST.items():
            text = body.get(key, "")
            _valid(isinstance(text, str) and len(text) <= longest, f"{key} is too long")
        details = body.get("details", {})
        texts = all(isinstance(value, str) for value in details.values())
        _valid(isinstance(details, dict) and texts, "details must be texts")
        _valid(body.get("priority", "P3") in ("P1", "P2", "P3", "P4", "P5"), "priority")
        for key, most in (("tags", 20), ("actions", 10)):
            listed = body.get(key, [])
            _valid(len(listed) <= most and all(0 < len(one) <= 50 for one in listed), key)
        for one in body.get("responders", ()):
            kind = one.get("type") in ("team", "user", "escalation", "schedule")
            _valid(kind and (one.get("id") or one.get("name") or one.get("username")), "responders")
        # one that is open already keeps its texts
        self.alerts.setdefault(body["alias"], body)


def _by_alias(request: Request) -> None:
    _valid(request.query == "identifierType=alias", "the identifier is no id")


def _valid(fine: object, error: str) -> None:
    check(fine, 422, {"message": "Request body is not processable", "errors": {"field": error}})
