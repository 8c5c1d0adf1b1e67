"""Notifications by Pushover. What is told of a group's end is a message of its own."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from amproxy.notify.channels.pushover.settings import PushoverSettings
from amproxy.notify.channels.receiver import (
    EventChannel,
    incident_text,
    is_resolved,
    reveal_secret,
    state_ref,
    truncate_runes,
)
from amproxy.notify.message import Card
from amproxy.secret import Secret

URL: Final = "https://api.pushover.net/1/messages.json"
MAX_TITLE: Final = 250  # characters
MAX_MESSAGE: Final = 1024  # characters
MAX_URL: Final = 512  # characters
_EMERGENCY: Final = "2"
_NORMAL: Final = "0"


class PushoverChannel(EventChannel):
    """The Message API; like Alertmanager it has the parameters in the query."""

    name = "pushover"
    service = "Pushover"

    def destination(self, settings: PushoverSettings) -> str:
        """The user or group. Raises DeliveryError."""
        return self._key("user_key", settings.user_key, settings.user_key_file)

    async def send(self, settings: PushoverSettings, card: Card) -> dict[str, str]:
        """Notify the user. Raises DeliveryError."""
        parameters = {
            "token": self._key("token", settings.token, settings.token_file),
            "user": self.destination(settings),
            **_message(settings, card),
        }
        # by themselves, so that each is encoded as in a form, a space as "+"
        url = f"{URL}?{urlencode(sorted(parameters.items()))}"
        await self._ask(settings, url, headers={"Content-Type": "text/plain"})
        return state_ref(card)

    def _key(self, key: str, secret: Secret, file: str) -> str:
        return reveal_secret(self.service, key, secret, file)


def _message(settings: PushoverSettings, card: Card) -> dict[str, str]:
    title = settings.title or incident_text(card, card.title)
    message = truncate_runes(settings.message or incident_text(card, card.text), MAX_MESSAGE)
    url = settings.url or incident_text(card, card.url)
    own_priority = incident_text(card, _NORMAL if is_resolved(card) else _EMERGENCY)
    found = {
        "title": truncate_runes(title, MAX_TITLE),
        "message": message.strip() or "(no details)",  # Pushover refuses an empty one
        "url": truncate_runes(url, MAX_URL),
        "url_title": settings.url_title,
        "priority": settings.priority or own_priority,
        "retry": str(int(settings.retry)),
        "expire": str(int(settings.expire)),
        "device": settings.device,
        "sound": settings.sound,
    }
    if settings.html:
        found["html"] = "1"
    if settings.monospace:
        found["monospace"] = "1"
    if settings.ttl >= 1:
        found["ttl"] = str(int(settings.ttl))
    return found
