"""One call of Slack's Web API or of an incoming webhook, and their errors."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx

from amproxy.errors import DeliveryError
from amproxy.notify.channels import http
from amproxy.notify.channels.slack.settings import SlackSettings
from amproxy.secret import Secret, reveal
from amproxy.text import Phrase, phrase

SERVICE_NAME = "Slack"
CREDENTIAL_ERRORS = {
    *("not_authed", "invalid_auth", "account_inactive", "token_revoked", "token_expired"),
    *("missing_scope", "no_permission", "org_login_required", "not_allowed_token_type"),
    "access_denied",
}
RATE_LIMIT_ERRORS = {"ratelimited", "rate_limited"}
# After these the message may have been posted all the same, says Slack's documentation.
AMBIGUOUS_ERRORS = {"internal_error", "fatal_error", "request_timeout"}
SERVER_ERRORS = AMBIGUOUS_ERRORS | {"service_unavailable"}


class SlackError(DeliveryError):
    """A refusal by Slack itself; `error` is Slack's name for it, `needed` the scope it asks for."""

    def __init__(
        self,
        error: str,
        needed: str = "",
        *,
        reason: str,
        permanent: bool = False,
        ambiguous: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(
            phrase("failure.needs", service=SERVICE_NAME, said=error, scope=needed)
            if needed
            else phrase("failure.said", service=SERVICE_NAME, said=error),
            permanent=permanent,
            reason=reason,
            retry_after=retry_after,
            ambiguous=ambiguous,
        )
        self.error = error


async def call_slack(
    client: httpx.AsyncClient,
    settings: SlackSettings,
    method: str,
    payload: dict[str, Any],
    *,
    form: bool = False,
) -> dict[str, Any]:
    """Call a method of the Web API and return the body of its response, which is `ok`.

    form: the method takes no JSON.
    Raises SlackError where Slack refused, else DeliveryError (ambiguous where the response is not
    Slack's).
    """
    url = f"{settings.app_url.rstrip('/').rpartition('/')[0]}/{method}"
    headers = {"Authorization": f"Bearer {read_slack_token(settings)}"}
    response = await _send(client, settings, url, payload, headers, form=form)
    body = response.json()
    if not isinstance(body, dict) or not isinstance(body.get("ok"), bool):
        if response.status < 300:
            raise http.unreadable_response_error(SERVICE_NAME)
        raise http.response_error(response, SERVICE_NAME)
    if body["ok"] and response.status < 300:
        return body
    if response.status == 429 or response.status >= 500:
        raise http.response_error(response, SERVICE_NAME, str(body.get("error", "")))
    raise _build_error(response, body)


async def upload_picture(
    client: httpx.AsyncClient,
    settings: SlackSettings,
    channel: str,
    thread: str,
    picture: bytes,
    text: str,
) -> None:
    """Put a PNG into the thread of a message, in the three steps that Slack wants.

    text: what it shows. Needs the scope files:write, and no address that Slack could call. Raises
    SlackError, DeliveryError.
    """
    asked = {"filename": "metric.png", "length": str(len(picture)), "alt_txt": text[:1000]}
    given = await call_slack(client, settings, "files.getUploadURLExternal", asked, form=True)
    url, file = given.get("upload_url"), given.get("file_id")
    if not isinstance(url, str) or not isinstance(file, str):
        raise http.unreadable_response_error(SERVICE_NAME)
    within = settings.timeout or http.TIMEOUT
    # The address is a secret of its own, and the token is not for it.
    sent = await http.send_request(
        client,
        SERVICE_NAME,
        url,
        within=within,
        content=picture,
        headers={"Content-Type": "application/octet-stream"},
        auth=None,
    )
    if sent.status != 200:
        raise http.response_error(sent, SERVICE_NAME)
    shared = {
        "files": [{"id": file, "title": text[:200]}],
        "channel_id": channel,
        "thread_ts": thread,
    }
    await call_slack(client, settings, "files.completeUploadExternal", shared)


async def post_group(
    client: httpx.AsyncClient, settings: SlackSettings, method: str, payload: dict[str, Any]
) -> dict[str, Any]:
    """Post a group of alerts as Alertmanager does; return the body of a JSON response.

    The address may be that of an incoming webhook, which responds with "ok" ({}), or of the Web
    API, also by `api_url` with the token in http_config. method: in place of the address's own, ""
    = none. Raises SlackError, DeliveryError.
    """
    headers = {}
    if settings.app_token or settings.app_token_file:
        url = settings.app_url
        headers["Authorization"] = f"Bearer {read_slack_token(settings)}"
    else:
        url = read_webhook_url(settings)
    if method:
        url = f"{url.rstrip('/').rpartition('/')[0]}/{method}"
    response = await _send(client, settings, url, payload, headers)
    if "json" in response.headers.get("content-type", "") and 200 <= response.status < 300:
        body = response.json()
        if not isinstance(body, dict) or not isinstance(body.get("ok"), bool):
            raise http.unreadable_response_error(SERVICE_NAME)
        if not body["ok"]:
            raise _build_error(response, body)
        return body
    _check_words(response)
    return {}


async def post_webhook(
    client: httpx.AsyncClient, settings: SlackSettings, payload: dict[str, Any]
) -> None:
    """Post by an incoming webhook, which responds in plain text. Raises DeliveryError."""
    url = read_webhook_url(settings)
    _check_words(await _send(client, settings, url, payload, {}))


def _check_words(response: http.RemoteResponse) -> None:
    """Raises DeliveryError for any response of an incoming webhook but "ok"."""
    if response.status != 200:
        # Only a word of Slack's own: a proxy's page may quote the URL.
        words = response.body[:64].decode("ascii", "replace").strip()
        detail = words if re.fullmatch("[a-z_]+", words) else ""
        raise http.response_error(response, SERVICE_NAME, detail)
    if response.body.strip() != b"ok":
        raise http.unreadable_response_error(SERVICE_NAME)


def read_slack_token(settings: SlackSettings) -> str:
    """The app's token.

    Raises DeliveryError (permanent) where there is none, or its file cannot be read.
    """
    return _read_secret(
        *(settings.app_token, settings.app_token_file),
        unread=phrase("failure.slack_token_unread"),
        missing=phrase("failure.slack_no_token"),
    )


def read_webhook_url(settings: SlackSettings) -> str:
    """The URL of the incoming webhook.

    Raises DeliveryError (permanent) where there is none, or its file cannot be read.
    """
    return _read_secret(
        *(settings.api_url, settings.api_url_file),
        unread=phrase("failure.slack_url_unread"),
        missing=phrase("failure.slack_no_url"),
    )


def _read_secret(secret: Secret, file: str, *, unread: Phrase, missing: Phrase) -> str:
    try:
        value = reveal(secret, file)
    except (OSError, UnicodeDecodeError):
        raise _auth_error(unread) from None
    if not value:
        raise _auth_error(missing)
    return value


async def _send(
    client: httpx.AsyncClient,
    settings: SlackSettings,
    url: str,
    payload: dict[str, Any],
    headers: dict[str, str],
    *,
    form: bool = False,
) -> http.RemoteResponse:
    within = settings.timeout or http.TIMEOUT
    if form:
        return await http.send_request(
            client, SERVICE_NAME, url, within=within, data=payload, headers=headers
        )
    return await http.send_request(
        client,
        SERVICE_NAME,
        url,
        within=within,
        content=json.dumps(payload).encode(),
        headers=headers | {"Content-Type": "application/json; charset=utf-8"},
    )


def _build_error(response: http.RemoteResponse, body: dict[str, Any]) -> SlackError:
    error = http.clean_for_log(str(body.get("error", "unknown_error")), 80)
    if error in RATE_LIMIT_ERRORS:
        wait = http.parse_retry_after(response.headers.get("retry-after"))
        return SlackError(error, reason="rate_limited", retry_after=wait)
    if error in SERVER_ERRORS:
        reason = "timeout" if error == "request_timeout" else "server_error"
        return SlackError(error, reason=reason, ambiguous=error in AMBIGUOUS_ERRORS)
    reason = "auth_error" if error in CREDENTIAL_ERRORS else "client_error"
    needed = http.clean_for_log(str(body.get("needed") or ""))
    return SlackError(error, needed, reason=reason, permanent=True)


def _auth_error(words: Phrase) -> DeliveryError:
    return DeliveryError(words, permanent=True, reason="auth_error")
