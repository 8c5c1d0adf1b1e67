"""One call of Telegram's Bot API, and what its errors mean."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx

from amproxy.config.structs import TelegramSettings
from amproxy.errors import DeliveryError
from amproxy.notify.channels import http
from amproxy.secret import reveal

SERVICE_NAME = "Telegram"


class TelegramError(DeliveryError):
    """What Telegram itself refused: `code` and `description` (lower case) tell the cases apart."""

    def __init__(self, cause: DeliveryError, code: int, description: str, parameters: dict[str, Any]) -> None:
        super().__init__(
            str(cause), permanent=cause.permanent, reason=cause.reason, retry_after=cause.retry_after, ambiguous=cause.ambiguous
        )
        self.code, self.description, self.parameters = code, description.lower(), parameters

    def says(self, *texts: str) -> bool:
        """Whether the description holds one of the texts (given in lower case)."""
        return any(text in self.description for text in texts)


async def call_telegram(
    client: httpx.AsyncClient, settings: TelegramSettings, method: str, payload: dict[str, Any], *, within: float = http.TIMEOUT
) -> Any:
    """Call a method and return its `result`; `within` so many seconds.

    Raises TelegramError where Telegram refused, else DeliveryError (ambiguous where the answer is not Telegram's).
    """
    url = f"{settings.api_url.rstrip('/')}/bot{quote(read_telegram_token(settings), safe=':')}/{method}"
    answer = await http.send_request(client, SERVICE_NAME, url, within=within, json=payload)
    body = answer.json()
    if not isinstance(body, dict) or not isinstance(body.get("ok"), bool):
        raise http.unreadable_response_error(SERVICE_NAME) if answer.status < 300 else http.response_error(answer, SERVICE_NAME)
    if body["ok"] and answer.status < 300:
        return body.get("result")
    raise _build_error(answer, body)


def _build_error(answer: http.RemoteResponse, body: dict[str, Any]) -> TelegramError:
    stated, extra, description = body.get("error_code"), body.get("parameters"), str(body.get("description", ""))
    code = stated if isinstance(stated, int) else answer.status
    parameters = extra if isinstance(extra, dict) else {}
    cause = http.response_error(answer, SERVICE_NAME, description, status=code)
    wait = http.parse_retry_after(parameters.get("retry_after"))
    if code == 429 and wait is not None:
        cause.retry_after = wait
    return TelegramError(cause, code, description, parameters)


def read_telegram_token(settings: TelegramSettings) -> str:
    """The bot's token. Raises DeliveryError (permanent) where there is none, or its file cannot be read."""
    try:
        text = reveal(settings.bot_token, settings.bot_token_file)
    except (OSError, UnicodeDecodeError):
        raise DeliveryError("Telegram: the file of the bot token cannot be read", permanent=True, reason="auth_error") from None
    if not text:
        raise DeliveryError("Telegram: no bot token is configured", permanent=True, reason="auth_error")
    return text
