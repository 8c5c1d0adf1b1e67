"""Pushover's Message API on loopback, refusing what the real one refuses."""

from __future__ import annotations

import ssl
from urllib.parse import parse_qs

from tests.support.standins.services import ServiceStandIn, check
from tests.support.standins.serving import Request, Response

TOKEN = "a0123456789012345678901234567"
USER = "u0123456789012345678901234567"
_KEYS = {"token", "user", "message", "title", "url", "url_title", "priority", "retry", "expire"}
_KEYS |= {"device", "sound", "html", "monospace", "ttl"}


class PushoverStandIn(ServiceStandIn):
    """`messages` are those that phones show. Its address is fixed, so that it is a proxy."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        super().__init__(tls)
        self.messages: list[dict[str, str]] = []

    def take(self, request: Request) -> Response:
        host = request.headers["host"] == "api.pushover.net"
        check(host and request.path == "/1/messages.json", 404, _errors("no such path"))
        check(request.method == "POST", 405, _errors("method"))
        listed = parse_qs(request.query, keep_blank_values=True, strict_parsing=True)
        check(all(len(values) == 1 for values in listed.values()), 400, _errors("given twice"))
        message = {key: values[0] for key, values in listed.items()}
        check(set(message) <= _KEYS, 400, _errors(f"unknown {set(message) - _KEYS}"))
        check(message.get("token") == TOKEN, 400, _errors("application token is invalid"))
        check(message.get("user") == USER, 400, _errors("user identifier is not a valid user"))
        check(message.get("message"), 400, _errors("message cannot be blank"))
        for key, longest in (("message", 1024), ("title", 250), ("url", 512), ("url_title", 100)):
            check(len(message.get(key, "")) <= longest, 400, _errors(f"{key} is too long"))
        check(message.get("priority", "0") in ("-2", "-1", "0", "1", "2"), 400, _errors("priority"))
        if message.get("priority") == "2":
            check(int(message["retry"]) >= 30, 400, _errors("retry must be at least 30 seconds"))
            check(0 < int(message["expire"]) <= 10800, 400, _errors("expire"))
        both = message.get("html") == "1" and message.get("monospace") == "1"
        check(not both, 400, _errors("html and monospace"))
        self.messages.append(message)
        return Response.json({"status": 1, "request": "1"})


def _errors(*errors: str) -> dict[str, object]:
    return {"status": 0, "errors": list(errors)}
