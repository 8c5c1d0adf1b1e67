"""Telegram's Bot API: a message with buttons, changed in place while the incident lives."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx
import msgspec
from msgspec.structs import replace

from amproxy.config.channels import address_digest
from amproxy.config.structs import Global
from amproxy.errors import DeliveryError
from amproxy.notify.channels import http
from amproxy.notify.channels.telegram.settings import TelegramSettings, parse_telegram_id
from amproxy.notify.channels.telegram.text import (
    fit_group_text,
    fit_own_text,
    is_linkable,
    render_card,
)
from amproxy.notify.channels.text import card_pictures
from amproxy.notify.message import Card
from amproxy.secret import reveal
from amproxy.store.outbox import RateLimit
from amproxy.text import phrase

SERVICE_NAME = "Telegram"
BUTTONS_IN_ROW = 2  # readable on a phone
# Seconds between messages to a chat that was sent too many: one a second, says
# core.telegram.org/bots/faq, "My bot is hitting limits".
MESSAGE_GAP = 1.1
MAX_CORRECTIONS = 5  # different repairs of one message; each is tried once


class TelegramError(DeliveryError):
    """A refusal by Telegram itself; `code` and `description` (lower case) tell the cases apart."""

    def __init__(
        self, cause: DeliveryError, code: int, description: str, parameters: dict[str, Any]
    ) -> None:
        super().__init__(
            cause.words,
            permanent=cause.permanent,
            reason=cause.reason,
            retry_after=cause.retry_after,
            ambiguous=cause.ambiguous,
        )
        self.code, self.description, self.parameters = code, description.lower(), parameters

    def says(self, *texts: str) -> bool:
        """True where the description has one of the texts (given in lower case)."""
        return any(text in self.description for text in texts)


async def call_telegram(
    client: httpx.AsyncClient,
    settings: TelegramSettings,
    method: str,
    payload: dict[str, Any],
    *,
    within: float = http.TIMEOUT,
    photo: bytes = b"",
) -> Any:
    """Call a method and return its `result`; `within` so many seconds.

    photo: a PNG that goes along, with values of the payload that are texts.
    Raises TelegramError where Telegram refused, else DeliveryError (ambiguous where the response is
    not Telegram's).
    """
    token = quote(read_telegram_token(settings), safe=":")
    url = f"{settings.api_url.rstrip('/')}/bot{token}/{method}"
    files = {"photo": ("metric.png", photo, "image/png")}
    content: dict[str, Any] = {"data": payload, "files": files} if photo else {"json": payload}
    response = await http.send_request(client, SERVICE_NAME, url, within=within, **content)
    body = response.json()
    if not isinstance(body, dict) or not isinstance(body.get("ok"), bool):
        if response.status < 300:
            raise http.unreadable_response_error(SERVICE_NAME)
        raise http.response_error(response, SERVICE_NAME)
    if body["ok"] and response.status < 300:
        return body.get("result")
    raise _build_error(response, body)


def _build_error(response: http.RemoteResponse, body: dict[str, Any]) -> TelegramError:
    # Telegram puts a code and a wait into the body, which go before the status and the header.
    code, parameters = body.get("error_code"), body.get("parameters")
    description = str(body.get("description", ""))
    if not isinstance(code, int):
        code = response.status
    if not isinstance(parameters, dict):
        parameters = {}
    cause = http.response_error(response, SERVICE_NAME, description, status=code)
    wait = http.parse_retry_after(parameters.get("retry_after"))
    if code == 429 and wait is not None:
        cause.retry_after = wait
    return TelegramError(cause, code, description, parameters)


def read_telegram_token(settings: TelegramSettings) -> str:
    """The bot's token.

    Raises DeliveryError (permanent) where there is none, or its file cannot be read.
    """
    try:
        token = reveal(settings.bot_token, settings.bot_token_file)
    except (OSError, UnicodeDecodeError):
        words = phrase("failure.telegram_token_unread")
        raise DeliveryError(words, permanent=True, reason="auth_error") from None
    if not token:
        words = phrase("failure.telegram_no_token")
        raise DeliveryError(words, permanent=True, reason="auth_error")
    return token


class TelegramMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message to be sent; where Telegram objects, a corrected copy is."""

    chat_id: int
    message_id: int = 0  # of the message to change; 0 = a new one
    thread: int = 0
    silent: bool = False
    text: str
    parse_mode: str = ""  # "" = plain text
    plain: str  # the text where the markup is refused
    # Address of a picture below the text. Telegram itself fetches it, as the preview of a link: so
    # the text may be as long as without it, and both change in place.
    picture: str = ""
    keyboard: tuple[tuple[dict[str, str], ...], ...] = ()
    is_group: bool = False  # a group of alerts: the request is Alertmanager's

    def payload(self) -> dict[str, Any]:
        if self.is_group:
            return self._group_payload()
        body: dict[str, Any] = {
            "chat_id": self.chat_id,
            "text": self.text,
            "link_preview_options": self._preview(),
        }
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

    def _preview(self) -> dict[str, Any]:
        if not self.picture:
            return {"is_disabled": True}
        return {"url": self.picture, "prefer_large_media": True}

    def _group_payload(self) -> dict[str, Any]:
        """As Alertmanager has it: every value a text."""
        optional = {
            "parse_mode": self.parse_mode,
            "message_thread_id": str(self.thread) if self.thread else "",
            "disable_notification": "true" if self.silent else "",
        }
        return {
            "chat_id": str(self.chat_id),
            "text": self.text,
            "disable_web_page_preview": "true",
            **{name: value for name, value in optional.items() if value},
        }


class TelegramChannel:
    """Messages of a bot.

    ref = {"chat_id", "message_id"}; the chat's id differs from the file's once a group has moved.
    """

    name = "telegram"
    threads = False

    def __init__(self) -> None:
        self._clients = http.HttpClients()

    def person(self, global_: Global, address: str) -> TelegramSettings:
        """Settings that reach one person."""
        settings: TelegramSettings = global_.channels.get(self.name, TelegramSettings())
        chat = parse_telegram_id(address)
        return replace(settings, chat_id=chat, message_thread_id=0, message="")

    def rate_limit(self, settings: TelegramSettings) -> RateLimit:
        """A chat's limit, and its bot's. Raises DeliveryError without a token."""
        bot = address_digest(f"{settings.api_url} {read_telegram_token(settings)}")
        names = (f"telegram:{bot}:{settings.chat_id}", f"telegram:{bot}")
        return RateLimit(names, MESSAGE_GAP)

    async def send(self, settings: TelegramSettings, card: Card) -> dict[str, str]:
        """Send a new message and return its ref. Raises DeliveryError."""
        return await self._deliver(settings, _build_message(settings, card, settings.chat_id))

    async def edit(
        self, settings: TelegramSettings, ref: dict[str, str], card: Card
    ) -> dict[str, str]:
        """Change the message of `ref`, or send anew where it is gone; return the ref from now on.

        Raises DeliveryError.
        """
        chat, message_id = (
            parse_telegram_id(ref.get("chat_id", "")),
            parse_telegram_id(ref.get("message_id", "")),
        )
        message = _build_message(settings, card, chat or settings.chat_id)
        return await self._deliver(settings, replace(message, message_id=message_id))

    async def reply_picture(
        self, settings: TelegramSettings, ref: dict[str, str], picture: bytes, text: str
    ) -> None:
        """Send a photo as a reply, without a sound. Raises DeliveryError.

        A message of text cannot get a photo by an edit (core.telegram.org/bots/api,
        editMessageMedia), and a caption is too short for one.
        """
        within = settings.timeout or http.TIMEOUT
        reply = {
            "message_id": parse_telegram_id(ref.get("message_id", "")),
            "allow_sending_without_reply": True,
        }
        payload = {
            "chat_id": ref.get("chat_id", ""),
            "reply_parameters": msgspec.json.encode(reply).decode(),
            "disable_notification": "true",
        }
        if settings.message_thread_id:
            payload["message_thread_id"] = str(settings.message_thread_id)
        client = self._clients.client(settings.http, within)
        await call_telegram(client, settings, "sendPhoto", payload, within=within, photo=picture)

    async def close(self) -> None:
        await self._clients.close()

    async def _deliver(
        self, settings: TelegramSettings, message: TelegramMessage
    ) -> dict[str, str]:
        if not message.chat_id:
            raise DeliveryError(phrase("failure.telegram_no_chat"), permanent=True)
        within = settings.timeout or http.TIMEOUT
        client = self._clients.client(settings.http, within)
        for _ in range(MAX_CORRECTIONS):
            method = "editMessageText" if message.message_id else "sendMessage"
            try:
                payload = message.payload()
                result = await call_telegram(client, settings, method, payload, within=within)
            except TelegramError as error:
                # an attempt whose response was lost has changed it already
                if message.message_id and error.says("message is not modified"):
                    return _ref(message.chat_id, message.message_id)
                corrected = correct_message(message, error)
                if corrected is None:
                    raise
                message = corrected
                continue
            if message.message_id:
                return _ref(message.chat_id, message.message_id)
            if not isinstance(result, dict) or not isinstance(result.get("message_id"), int):
                raise http.unreadable_response_error(SERVICE_NAME)
            return _ref(message.chat_id, result["message_id"])
        raise DeliveryError(phrase("failure.telegram_refused"), permanent=True)


def correct_message(message: TelegramMessage, error: TelegramError) -> TelegramMessage | None:
    """The message without the cause of Telegram's objection; None where there is no remedy."""
    moved = error.parameters.get("migrate_to_chat_id")
    if isinstance(moved, int) and moved != message.chat_id:
        return replace(message, chat_id=moved, message_id=0)  # ids of messages do not move along
    if error.code != 400:
        return None
    if message.parse_mode and error.says("can't parse entities"):
        return replace(message, text=message.plain, parse_mode="")
    if message.message_id and error.says(
        "message to edit not found", "message can't be edited", "message_id_invalid"
    ):
        return replace(message, message_id=0)
    if message.thread and error.says("thread not found"):
        return replace(message, thread=0)
    if message.keyboard and error.says("button url", "button_url_invalid"):
        rows = (tuple(button for button in row if "url" not in button) for row in message.keyboard)
        return replace(message, keyboard=tuple(row for row in rows if row))
    if message.picture and error.says("webpage", "web page", "preview", "media", "url"):
        return replace(message, picture="")
    return None


def _build_message(settings: TelegramSettings, card: Card, chat_id: int) -> TelegramMessage:
    text, plain = render_card(card)
    mode, is_group, pictures = "HTML", card.kind == "group", card_pictures(card)
    if settings.message or is_group:  # the receiver's own text, in the markup that it chose
        fit = fit_group_text if is_group else fit_own_text
        text, mode, plain = fit(settings.message, settings.parse_mode)
        pictures = []
    return TelegramMessage(
        chat_id=chat_id,
        thread=settings.message_thread_id,
        silent=settings.disable_notifications,
        text=text,
        parse_mode=mode,
        plain=plain,
        picture=next((one.url for one in pictures if is_linkable(one.url)), ""),
        keyboard=() if is_group else _keyboard(card),
        is_group=is_group,
    )


def _keyboard(card: Card) -> tuple[tuple[dict[str, str], ...], ...]:
    """Rows of buttons; none once it is resolved.

    Raises ValueError for a value that no button can carry.
    """
    if card.state == "resolved" or not card.buttons:
        return ()
    for button in card.buttons:
        if not 1 <= len(button.value.encode()) <= 64:
            raise ValueError(f"the value of the button {button.text!r} must have 1 to 64 bytes")
    buttons = [{"text": button.text, "callback_data": button.value} for button in card.buttons]
    if is_linkable(card.url):
        buttons.append({"text": "Open", "url": card.url})
    starts = range(0, len(buttons), BUTTONS_IN_ROW)
    return tuple(tuple(buttons[start : start + BUTTONS_IN_ROW]) for start in starts)


def _ref(chat_id: int, message_id: int) -> dict[str, str]:
    return {"chat_id": str(chat_id), "message_id": str(message_id)}
