"""What one update of Telegram means: a button pressed, or somebody asking for an id. All else is ignored."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from amproxy.errors import DeliveryError
from amproxy.notify.channels.press import OnPress, Press
from amproxy.notify.channels.telegram.api import TelegramError
from amproxy.notify.channels.text import clip, line

PATIENCE = 8.0  # seconds for one press: Telegram stops waiting soon, and other presses stand behind it
FAILED = "That could not be done, try again."
ANSWER_LIMIT = 200  # characters

Api = Callable[[str, dict[str, Any]], Awaitable[Any]]  # method and payload to result; raises DeliveryError

log = logging.getLogger(__name__)


async def handle(update: dict[str, Any], api: Api, press: OnPress) -> None:
    """Deal with one update; whatever goes wrong is logged, so that the next one gets its turn."""
    query, message = update.get("callback_query"), update.get("message")
    try:
        if isinstance(query, dict):
            await _answer(str(query["id"]), await _pressed(query, press), api)
        elif isinstance(message, dict):
            await _introduce(message, api)
    except TelegramError as error:
        if not error.says("query is too old", "query id is invalid"):
            log.warning("An answer in Telegram was not given: %s", error)
    except DeliveryError as error:
        log.warning("An answer in Telegram was not given: %s", error)
    except (KeyError, TypeError, AttributeError, ValueError):
        log.warning("Telegram sent an update of an unknown form; it is passed over")


async def _pressed(query: dict[str, Any], press: OnPress) -> str:
    """Hand a press on and return what to answer. The message itself may be inaccessible and is not looked at."""
    value, person = query.get("data"), query["from"]
    if not isinstance(value, str) or not value:
        return ""
    name = " ".join(part for part in (person.get("first_name"), person.get("last_name")) if part) or person.get("username") or ""
    pressed = Press(value=value, channel="telegram", account=str(person["id"]), name=line(str(name), 100))
    try:
        async with asyncio.timeout(PATIENCE):
            return await press(pressed)
    except Exception:  # whatever went wrong behind the button, the one who pressed must hear of it and polling must go on
        log.exception("A button pressed in Telegram could not be acted on")
        return FAILED


async def _answer(query: str, text: str, api: Api) -> None:
    """Answer a press (else its button spins); a second time where the first was lost on the way."""
    payload = {"callback_query_id": query} | ({"text": clip(text, ANSWER_LIMIT)} if text else {})
    try:
        await api("answerCallbackQuery", payload)
    except DeliveryError as error:
        if error.permanent or error.retry_after:
            raise
        await api("answerCallbackQuery", payload)


async def _introduce(message: dict[str, Any], api: Api) -> None:
    """Answer /start and /id with the id that belongs into routes.yaml."""
    words = str(message.get("text") or "").split()
    command, _, addressee = words[0].partition("@") if words else ("", "", "")
    if command.lower() not in {"/start", "/id"}:
        return
    if addressee and addressee.lower() != str((await api("getMe", {}))["username"]).lower():
        return
    chat, kind = int(message["chat"]["id"]), message["chat"].get("type")
    whose, example = "Your Telegram id", f"contacts: {{telegram: {chat}}}"
    if kind != "private":
        whose, example = "The id of this chat", f"telegram_configs: [{{chat_id: {chat}}}]"
    text = f"{whose} is <code>{chat}</code>. To be told of alerts here, put it in routes.yaml: <code>{example}</code>"
    payload: dict[str, Any] = {"chat_id": chat, "text": text, "parse_mode": "HTML"}
    if message.get("is_topic_message"):
        payload["message_thread_id"] = message["message_thread_id"]
    await api("sendMessage", payload)
