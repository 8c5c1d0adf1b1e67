"""Presses from Slack: signed forms that it posts to amproxy, and the replies to them.

The endpoint responds 200 with an empty body within three seconds; the result goes to the person who
pressed by `send_reply`. A request may be repeated with a valid signature within MAX_REQUEST_AGE, so
that the action of a press must be idempotent.
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
from amproxy.notify.channels.slack.api import SERVICE_NAME
from amproxy.notify.channels.slack.blocks import escape_mrkdwn
from amproxy.notify.channels.text import one_line
from amproxy.notify.message import Press

MAX_REQUEST_AGE = 300.0  # seconds that a signature is good for


class BadSlackSignature(AmproxyError):
    """The request does not come from Slack, or is too old (HTTP 401)."""


class BadInteractivityRequest(AmproxyError):
    """The request is signed but is no interactivity request (HTTP 400)."""


def verify_signature(secret: str, headers: Mapping[str, str], raw_body: bytes, now: float) -> None:
    """Check Slack's signature over the raw body at `now` (Unix seconds).

    Raises BadSlackSignature.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    stamp = lower.get("x-slack-request-timestamp", "")
    signature = lower.get("x-slack-signature", "")
    if not secret:
        raise BadSlackSignature("no signing secret is configured")
    if not re.fullmatch("[0-9]{1,12}", stamp) or not signature:
        raise BadSlackSignature("the signature or its time is missing")
    # Against replays, and in both directions: a stamp from far ahead would be good for too long.
    if abs(now - int(stamp)) > MAX_REQUEST_AGE:
        raise BadSlackSignature("the signature is too old")
    signed = b"v0:" + stamp.encode() + b":" + raw_body
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    # In constant time: the time of a plain comparison would give the digest away, byte by byte.
    if not hmac.compare_digest(f"v0={digest}".encode(), signature.encode("utf-8", "replace")):
        raise BadSlackSignature("the signature is wrong")


def parse_interactivity(raw_body: bytes) -> list[Press]:
    """The buttons pressed in an interactivity request; [] for other kinds of it.

    Raises BadInteractivityRequest for anything else.
    """
    try:
        form = parse_qs(
            raw_body.decode("utf-8"), strict_parsing=True, max_num_fields=20, errors="strict"
        )
        payload = json.loads(form["payload"][0])
        return _parse_presses(payload) if payload["type"] == "block_actions" else []
    except (UnicodeDecodeError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise BadInteractivityRequest("this is no interactivity request of Slack") from None


def _parse_presses(payload: dict[str, Any]) -> list[Press]:
    person = payload["user"]
    name = one_line(str(person.get("name") or person.get("username") or ""), 100)
    buttons = [action for action in payload["actions"] if action.get("type") == "button"]
    return [
        Press(
            value=button["value"],
            channel="slack",
            account=str(person["id"]),
            name=name,
            reply_to=str(payload.get("response_url") or ""),
        )
        for button in buttons
        if isinstance(button.get("value"), str) and button["value"]
    ]


async def send_reply(response_url: str, text: str) -> None:
    """Send a text to the person who pressed, and to nobody else. Raises DeliveryError.

    An address that is neither https nor loopback is not called.
    """
    if not _is_allowed_url(response_url):
        return
    message = {"response_type": "ephemeral", "replace_original": False, "text": escape_mrkdwn(text)}
    clients = http.HttpClients()
    try:
        response = await http.send_request(
            clients.client(), SERVICE_NAME, response_url, json=message
        )
    finally:
        await clients.close()
    if response.status >= 300:
        raise http.response_error(response, SERVICE_NAME)


def _is_allowed_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        if parts.scheme == "https":
            return bool(parts.hostname)
        if parts.scheme != "http":
            return False
        host = parts.hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
