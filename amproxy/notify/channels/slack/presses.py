"""Presses from Slack: a signed form, posted to us. The endpoint answers 200 with an empty body within three seconds, then tells
the one who pressed by `reply`.

A request may be repeated with a valid signature within the window, so that what a press does must be idempotent.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from amproxy.errors import AmproxyError
from amproxy.notify.channels import http
from amproxy.notify.channels.slack.blocks import escape_mrkdwn
from amproxy.notify.channels.text import one_line
from amproxy.notify.message import Press

MAX_REQUEST_AGE = 300.0  # seconds that a signature is good for


class BadSlackSignature(AmproxyError):
    """The request does not come from Slack, or is too old (HTTP 401)."""


class BadInteractivityRequest(AmproxyError):
    """The request is signed but is no interactivity request (HTTP 400)."""


def verify_signature(secret: str, headers: Mapping[str, str], raw_body: bytes, now: float) -> None:
    """Check Slack's signature over the body as it came in, at `now` (Unix seconds). Raises BadSignature."""
    lower = {name.lower(): value for name, value in headers.items()}
    stamp, signature = lower.get("x-slack-request-timestamp", ""), lower.get("x-slack-signature", "")
    if not secret:
        raise BadSlackSignature("no signing secret is configured")
    if not re.fullmatch("[0-9]{1,12}", stamp) or not signature:
        raise BadSlackSignature("the signature or its time is missing")
    if abs(now - int(stamp)) > MAX_REQUEST_AGE:
        raise BadSlackSignature("the signature is too old")
    digest = hmac.new(secret.encode(), b"v0:" + stamp.encode() + b":" + raw_body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(f"v0={digest}".encode(), signature.encode("utf-8", "replace")):
        raise BadSlackSignature("the signature is wrong")


def parse_interactivity(raw_body: bytes) -> list[Press]:
    """The buttons pressed in an interactivity request; [] for other kinds of it. Raises BadRequest for anything else."""
    try:
        form = parse_qs(raw_body.decode("utf-8"), strict_parsing=True, max_num_fields=20, errors="strict")
        payload = json.loads(form["payload"][0])
        return _parse_presses(payload) if payload["type"] == "block_actions" else []
    except (UnicodeDecodeError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise BadInteractivityRequest("this is no interactivity request of Slack") from None


def _parse_presses(payload: dict[str, Any]) -> list[Press]:
    person = payload["user"]
    name = one_line(str(person.get("name") or person.get("username") or ""), 100)
    return [
        Press(value=action["value"], channel="slack", account=str(person["id"]), name=name, reply_to=str(payload.get("response_url") or ""))
        for action in payload["actions"]
        if action.get("type") == "button" and isinstance(action.get("value"), str) and action["value"]
    ]


async def send_reply(response_url: str, text: str) -> None:
    """Tell the one who pressed, and nobody else. An address that is neither https nor loopback is not called.

    Raises DeliveryError.
    """
    if not _is_allowed_url(response_url):
        return
    message = {"response_type": "ephemeral", "replace_original": False, "text": escape_mrkdwn(text)}
    clients = http.HttpClients()
    try:
        answer = await http.send_request(clients.client(), "Slack", response_url, json=message)
    finally:
        await clients.close()
    if answer.status >= 300:
        raise http.response_error(answer, "Slack")


def _is_allowed_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        if parts.scheme == "https":
            return bool(parts.hostname)
        return parts.scheme == "http" and (parts.hostname == "localhost" or ipaddress.ip_address(parts.hostname or "").is_loopback)
    except ValueError:
        return False
