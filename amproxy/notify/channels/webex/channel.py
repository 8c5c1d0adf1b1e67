"""Messages to Webex: Markdown to a room."""

from __future__ import annotations

from typing import Final

from amproxy.notify.channels.chat import ChatChannel, own_text, own_title, without_empty
from amproxy.notify.channels.receiver import state_ref
from amproxy.notify.channels.webex.settings import WebexSettings
from amproxy.notify.message import Card

MAX_MESSAGE: Final = 7439  # bytes
_MARKER: Final = "…"


class WebexChannel(ChatChannel):
    """A bot that writes into a room."""

    name = "webex"
    service = "Webex"
    retried = frozenset((429,))

    def destination(self, settings: WebexSettings) -> str:
        """The room."""
        return f"{settings.api_url} {settings.room_id}"

    async def send(self, settings: WebexSettings, card: Card) -> dict[str, str]:
        """Post a message. Raises DeliveryError."""
        message = settings.message or "\n".join(filter(None, (own_title(card), own_text(card))))
        body = {
            "markdown": _truncate_bytes(message, MAX_MESSAGE),
            **without_empty({"roomId": settings.room_id}),
        }
        await self._post(settings, card, settings.api_url, body)
        return state_ref(card)


def _truncate_bytes(text: str, limit: int) -> str:
    """The text in at most `limit` bytes of UTF-8, cut between characters as Alertmanager cuts."""
    encoded = text.encode()
    if len(encoded) <= limit:
        return text
    return encoded[: limit - len(_MARKER.encode())].decode("utf-8", "ignore") + _MARKER
