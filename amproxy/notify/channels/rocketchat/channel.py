"""Messages to Rocket.Chat, by `chat.postMessage` of its REST API."""

from __future__ import annotations

from posixpath import normpath
from typing import Any, Final
from urllib.parse import urlsplit

from amproxy.errors import DeliveryError
from amproxy.notify.channels.chat import (
    ChatChannel,
    own_link,
    own_text,
    own_title,
    without_empty,
)
from amproxy.notify.channels.http import clean_for_log, unreadable_response_error
from amproxy.notify.channels.receiver import (
    incident_text,
    is_resolved,
    reveal_secret,
    state_ref,
    truncate_runes,
)
from amproxy.notify.channels.rocketchat.settings import RocketChatSettings
from amproxy.notify.message import Card
from amproxy.secret import hide_secrets
from amproxy.text import phrase

MAX_TITLE: Final = 1024  # characters
_METHOD: Final = "api/v1/chat.postMessage"


class RocketChatChannel(ChatChannel):
    """A person's token, with which messages are posted."""

    name = "rocketchat"
    service = "Rocket.Chat"

    def destination(self, settings: RocketChatSettings) -> str:
        """The server, and who posts there. Raises DeliveryError."""
        return f"{settings.api_url} {_token_id(settings)}"

    async def send(self, settings: RocketChatSettings, card: Card) -> dict[str, str]:
        """Post a message. Raises DeliveryError."""
        token = reveal_secret(self.service, "token", settings.token, settings.token_file)
        response = await self._post(
            settings,
            card,
            _method_url(settings.api_url),
            _message(settings, card),
            headers={"X-Auth-Token": token, "X-User-Id": _token_id(settings)},
        )
        answer = response.json()
        success = answer.get("success", False) if isinstance(answer, dict) else ""
        if not isinstance(success, bool | None):
            raise unreadable_response_error(self.service)
        if not success:
            detail = clean_for_log(hide_secrets(str(answer.get("error", ""))))
            words = phrase("failure.refused", service=self.service)
            if detail:
                words = phrase("failure.refused_said", service=self.service, said=detail)
            raise DeliveryError(words, permanent=True)
        return state_ref(card)


def _token_id(settings: RocketChatSettings) -> str:
    return reveal_secret(
        RocketChatChannel.service, "token_id", settings.token_id, settings.token_id_file
    )


def _method_url(api_url: str) -> str:
    """The address of the method below that of the API, whose query stays."""
    parts = urlsplit(api_url)
    path = normpath(f"{parts.path}/{_METHOD}").lstrip("/")
    return parts._replace(path=f"/{path}").geturl()


def _message(settings: RocketChatSettings, card: Card) -> dict[str, Any]:
    attachment = {
        "title": truncate_runes(settings.title or own_title(card), MAX_TITLE),
        "title_link": settings.title_link or own_link(card),
        "text": settings.text or own_text(card),
        "image_url": settings.image_url,
        "thumb_url": settings.thumb_url,
        "color": settings.color or incident_text(card, "green" if is_resolved(card) else "red"),
        "fields": [
            {"short": field.short, **without_empty({"title": field.title, "value": field.value})}
            for field in settings.fields
        ],
        "actions": [
            {
                "type": "button",
                "is_webview": False,
                "msg_in_chat_window": False,
                **without_empty({"text": action.text, "url": action.url, "msg": action.msg}),
            }
            for action in settings.actions
        ],
    }
    message = {
        "channel": settings.channel,
        "text": settings.message_text or own_title(card),
        "emoji": settings.emoji,
        "avatar": settings.icon_url,
    }
    return {**without_empty(message), "attachments": [without_empty(attachment)]}
