"""Messages to Discord: one embed for each group."""

from __future__ import annotations

from typing import Final

from amproxy.notify.channels.chat import (
    IncomingWebhookChannel,
    own_text,
    own_title,
    without_empty,
)
from amproxy.notify.channels.discord.settings import DiscordSettings
from amproxy.notify.channels.receiver import (
    is_resolved,
    state_ref,
    truncate_runes,
)
from amproxy.notify.message import Card

MAX_TITLE: Final = 256  # characters
MAX_DESCRIPTION: Final = 4096
MAX_CONTENT: Final = 2000
_RED: Final = 0x992D22
_GREEN: Final = 0x2ECC71


class DiscordChannel(IncomingWebhookChannel):
    """An incoming webhook of a channel of Discord."""

    name = "discord"
    service = "Discord"
    retried = frozenset((429,))

    async def send(self, settings: DiscordSettings, card: Card) -> dict[str, str]:
        """Post an embed. Raises DeliveryError."""
        body = {
            "content": truncate_runes(settings.content, MAX_CONTENT),
            "embeds": [
                {
                    "title": truncate_runes(settings.title or own_title(card), MAX_TITLE),
                    "description": truncate_runes(
                        settings.message or own_text(card), MAX_DESCRIPTION
                    ),
                    "color": _GREEN if is_resolved(card) else _RED,
                }
            ],
            **without_empty({"username": settings.username, "avatar_url": settings.avatar_url}),
        }
        await self._post(settings, card, self.destination(settings), body)
        return state_ref(card)
