"""One call of Slack's Web API or of an incoming webhook, and what their errors mean."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx

from amproxy.config.structs import SlackSettings
from amproxy.errors import DeliveryError
from amproxy.notify.channels import http
from amproxy.secret import reveal

SERVICE_NAME = "Slack"
CREDENTIAL_ERRORS = {
    *("not_authed", "invalid_auth", "account_inactive", "token_revoked", "token_expired", "missing_scope", "no_permission"),
    *("org_login_required", "not_allowed_token_type", "access_denied"),
}
RATE_LIMIT_ERRORS = {"ratelimited", "rate_limited"}
SERVER_ERRORS = {"internal_error", "fatal_error", "service_unavailable", "request_timeout"}  # it may have been posted all the same


class SlackError(DeliveryError):
    """What Slack itself refused: `error` is its word for it."""

    def __init__(self, error: str, detail: str = "", *, reason: str, permanent: bool, ambiguous: bool, retry_after: float | None) -> None:
        message = f"{SERVICE_NAME}: {error}" + (f" ({detail})" if detail else "")
        super().__init__(message, permanent=permanent, reason=reason, retry_after=retry_after, ambiguous=ambiguous)
        self.error = error


async def call_slack(client: httpx.AsyncClient, settings: SlackSettings, method: str, payload: dict[str, Any]) -> dict[str, Any]:
    """Call a method of the Web API and return its answer, which is `ok`.

    Raises SlackError where Slack refused, else DeliveryError (ambiguous where the answer is not Slack's).
    """
    url = f"{settings.app_url.rstrip('/').rpartition('/')[0]}/{method}"
    headers = {"Authorization": f"Bearer {read_slack_token(settings)}"}
    answer = await _send(client, settings, url, payload, headers)
    body = answer.json()
    if not isinstance(body, dict) or not isinstance(body.get("ok"), bool):
        raise http.unreadable_response_error(SERVICE_NAME) if answer.status < 300 else http.response_error(answer, SERVICE_NAME)
    if body["ok"] and answer.status < 300:
        return body
    if answer.status == 429 or answer.status >= 500:
        raise http.response_error(answer, SERVICE_NAME, str(body.get("error", "")))
    raise _build_error(answer, body)


async def post_webhook(client: httpx.AsyncClient, settings: SlackSettings, payload: dict[str, Any]) -> None:
    """Post by an incoming webhook, which answers in plain text. Raises DeliveryError."""
    try:
        url = reveal(settings.api_url, settings.api_url_file)
    except (OSError, UnicodeDecodeError):
        raise DeliveryError("Slack: the file of the webhook's URL cannot be read", permanent=True, reason="auth_error") from None
    if not url:
        raise DeliveryError("Slack: neither an app token nor a webhook's URL is configured", permanent=True, reason="auth_error")
    answer = await _send(client, settings, url, payload, {})
    if answer.status != 200:
        words = answer.body[:64].decode("ascii", "replace").strip()
        raise http.response_error(answer, SERVICE_NAME, words if re.fullmatch("[a-z_]+", words) else "")
    if answer.body.strip() != b"ok":
        raise http.unreadable_response_error(SERVICE_NAME)


async def _send(
    client: httpx.AsyncClient, settings: SlackSettings, url: str, payload: dict[str, Any], headers: dict[str, str]
) -> http.RemoteResponse:
    content = json.dumps(payload).encode()
    headers = headers | {"Content-Type": "application/json; charset=utf-8"}
    return await http.send_request(client, SERVICE_NAME, url, within=settings.timeout or http.TIMEOUT, content=content, headers=headers)


def _build_error(answer: http.RemoteResponse, body: dict[str, Any]) -> SlackError:
    error = http.clean_for_log(str(body.get("error", "unknown_error")), 80)
    if error in RATE_LIMIT_ERRORS:
        wait = http.parse_retry_after(answer.headers.get("retry-after"))
        return SlackError(error, reason="rate_limited", permanent=False, ambiguous=False, retry_after=wait)
    if error in SERVER_ERRORS:
        reason = "timeout" if error == "request_timeout" else "server_error"
        return SlackError(error, reason=reason, permanent=False, ambiguous=True, retry_after=None)
    reason = "auth_error" if error in CREDENTIAL_ERRORS else "client_error"
    detail = http.clean_for_log(f"needs {body['needed']}") if body.get("needed") else ""
    return SlackError(error, detail, reason=reason, permanent=True, ambiguous=False, retry_after=None)


def read_slack_token(settings: SlackSettings) -> str:
    """The app's token. Raises DeliveryError (permanent) where there is none, or its file cannot be read."""
    try:
        text = reveal(settings.app_token, settings.app_token_file)
    except (OSError, UnicodeDecodeError):
        raise DeliveryError("Slack: the file of the app token cannot be read", permanent=True, reason="auth_error") from None
    if not text:
        raise DeliveryError("Slack: no app token is configured", permanent=True, reason="auth_error")
    return text
