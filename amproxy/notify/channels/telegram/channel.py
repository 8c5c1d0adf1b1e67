"""Telegram: a message with buttons, changed in place while the incident lives."""

from __future__ import annotations

from typing import Any

import msgspec

from amproxy.config.structs import Global, TelegramSettings
from amproxy.errors import DeliveryError
from amproxy.notify.channels import http
from amproxy.notify.channels.telegram import text as telegram_text
from amproxy.notify.channels.telegram.api import TelegramError, call_telegram, read_telegram_token
from amproxy.notify.message import Card

BUTTONS_IN_ROW = 2  # readable on a phone
MAX_CORRECTIONS = 5  # different repairs of one message; each is tried once


class TelegramMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message as it is about to be sent; Telegram's objections are answered by a corrected copy."""

    chat_id: int
    message_id: int = 0  # of the message to change; 0 = a new one
    thread: int = 0
    silent: bool = False
    text: str
    parse_mode: str = ""  # "" = plain text
    plain: str  # what is sent where the markup is refused
    keyboard: tuple[tuple[dict[str, str], ...], ...] = ()

    def payload(self) -> dict[str, Any]:
        body: dict[str, Any] = {"chat_id": self.chat_id, "text": self.text, "link_preview_options": {"is_disabled": True}}
        if self.parse_mode:
            body["parse_mode"] = self.parse_mode
        if self.keyboard:  # a change without it takes the old one away
            body["reply_markup"] = {"inline_keyboard": self.keyboard}
        if self.message_id:
            return body | {"message_id": self.message_id}
        if self.thread:
            body["message_thread_id"] = self.thread
        if self.silent:
            body["disable_notification"] = True
        return body


class TelegramChannel:
    """Messages of a bot. ref = {"chat_id", "message_id"}; the chat's id may differ from the file's once a group has moved."""

    name = "telegram"
    threads = False

    def __init__(self) -> None:
        self._clients = http.HttpClients()

    def person(self, global_: Global, address: str) -> TelegramSettings:
        """Settings that reach one person. Raises DeliveryError (permanent) for an address that is no id, or without a token."""
        read_telegram_token(global_.telegram)
        chat = _parse_id(address)
        if not chat:
            raise DeliveryError("Telegram: the contact is not a Telegram id (a number; send /id to the bot to learn it)", permanent=True)
        return msgspec.structs.replace(global_.telegram, chat_id=chat, message_thread_id=0, message="")

    async def send(self, settings: TelegramSettings, card: Card) -> dict[str, str]:
        """Send a new message and return its ref. Raises DeliveryError."""
        return await self._deliver(settings, _build_message(settings, card, settings.chat_id))

    async def edit(self, settings: TelegramSettings, ref: dict[str, str], card: Card) -> dict[str, str]:
        """Change the message of `ref`, or send anew where it is gone; return the ref that holds now. Raises DeliveryError."""
        chat, message_id = _parse_id(ref.get("chat_id", "")), _parse_id(ref.get("message_id", ""))
        message = _build_message(settings, card, chat or settings.chat_id)
        return await self._deliver(settings, msgspec.structs.replace(message, message_id=message_id))

    async def close(self) -> None:
        await self._clients.close()

    async def _deliver(self, settings: TelegramSettings, message: TelegramMessage) -> dict[str, str]:
        if not message.chat_id:
            raise DeliveryError("Telegram: no chat_id is configured", permanent=True)
        for _ in range(MAX_CORRECTIONS):
            method = "editMessageText" if message.message_id else "sendMessage"
            try:
                result = await call_telegram(self._clients.client(settings.http), settings, method, message.payload())
            except TelegramError as error:
                if message.message_id and error.says("message is not modified"):
                    return _ref(message.chat_id, message.message_id)
                better = correct_message(message, error)
                if better is None:
                    raise
                message = better
                continue
            if message.message_id:
                return _ref(message.chat_id, message.message_id)
            if not isinstance(result, dict) or not isinstance(result.get("message_id"), int):
                raise http.unreadable_response_error("Telegram")
            return _ref(message.chat_id, result["message_id"])
        raise DeliveryError("Telegram: refused however it was corrected", permanent=True)


def correct_message(message: TelegramMessage, error: TelegramError) -> TelegramMessage | None:
    """The message without what Telegram objects to; None where nothing can be done about it."""
    replace = msgspec.structs.replace
    moved = error.parameters.get("migrate_to_chat_id")
    if isinstance(moved, int) and moved != message.chat_id:  # ids of messages do not move with the chat
        return replace(message, chat_id=moved, message_id=0)
    if error.code != 400:
        return None
    if message.parse_mode and error.says("can't parse entities"):
        return replace(message, text=message.plain, parse_mode="")
    if message.message_id and error.says("message to edit not found", "message can't be edited", "message_id_invalid"):
        return replace(message, message_id=0)
    if message.thread and error.says("thread not found"):
        return replace(message, thread=0)
    if message.keyboard and error.says("button url", "button_url_invalid"):
        rows = (tuple(button for button in row if "url" not in button) for row in message.keyboard)
        return replace(message, keyboard=tuple(row for row in rows if row))
    return None


def _build_message(settings: TelegramSettings, card: Card, chat_id: int) -> TelegramMessage:
    text, plain, mode = *telegram_text.render_card(card), "HTML"
    if settings.message:  # a receiver's own text, in the markup that it chose
        text, plain, mode = settings.message, telegram_text.clip_plain_text(settings.message), settings.parse_mode
        if len(text) > telegram_text.MESSAGE_LIMIT:  # cut only as plain text: a cut tag would be refused
            text, mode = plain, ""
    return TelegramMessage(
        chat_id=chat_id,
        thread=settings.message_thread_id,
        silent=settings.disable_notifications,
        text=text,
        parse_mode=mode,
        plain=plain,
        keyboard=_keyboard(card),
    )


def _keyboard(card: Card) -> tuple[tuple[dict[str, str], ...], ...]:
    """Rows of buttons; none once it is over. Raises ValueError for a value that no button can carry."""
    if card.state == "resolved" or not card.buttons:
        return ()
    for button in card.buttons:
        if not 1 <= len(button.value.encode()) <= 64:
            raise ValueError(f"the value of the button {button.text!r} must have 1 to 64 bytes")
    buttons = [{"text": button.text, "callback_data": button.value} for button in card.buttons]
    if telegram_text.is_linkable(card.url):
        buttons.append({"text": "Open", "url": card.url})
    return tuple(tuple(buttons[first : first + BUTTONS_IN_ROW]) for first in range(0, len(buttons), BUTTONS_IN_ROW))


def _ref(chat_id: int, message_id: int) -> dict[str, str]:
    return {"chat_id": str(chat_id), "message_id": str(message_id)}


def _parse_id(text: str) -> int:
    """An id as Telegram has them (at most 52 bits); 0 where it is none."""
    digits = text.strip().removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) <= 16 else 0
