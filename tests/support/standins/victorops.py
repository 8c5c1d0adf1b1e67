"""Splunk On-Call's REST endpoint on loopback, refusing what the real one refuses."""

from __future__ import annotations

import json
from typing import Any

from tests.support.standins.services import ServiceStandIn, check
from tests.support.standins.serving import Request, Response

API_KEY = "abcd-victorops-key"
ROUTE = "db team"
_STATES = ("CRITICAL", "WARNING", "INFO", "ACKNOWLEDGEMENT", "RECOVERY")


class VictorOpsStandIn(ServiceStandIn):
    """`entities` are those that have not recovered, with what was told of them last."""

    def __init__(self) -> None:
        super().__init__()
        self.entities: dict[str, dict[str, Any]] = {}

    @property
    def url(self) -> str:
        return f"{super().url}/integrations/generic/20131114/alert"

    def take(self, request: Request) -> Response:
        where = f"/integrations/generic/20131114/alert/{API_KEY}/{ROUTE}"
        check(request.method == "POST" and request.path == where, 404, _failure("no such route"))
        check(request.headers.get("content-type") == "application/json", 415, _failure("type"))
        message = json.loads(request.body)
        check(message.get("message_type") in _STATES, 400, _failure("message_type"))
        texts = all(isinstance(value, str) for value in message.values())
        check(texts and message.get("entity_id"), 400, _failure("entity_id"))
        check(len(message.get("state_message", "")) <= 20480, 400, _failure("state_message"))
        if message["message_type"] == "RECOVERY":
            self.entities.pop(message["entity_id"], None)
        else:
            self.entities[message["entity_id"]] = message
        return Response.json({"result": "success", "entity_id": message["entity_id"]})


def _failure(what: str) -> dict[str, str]:
    return {"result": "failure", "messages": what}
