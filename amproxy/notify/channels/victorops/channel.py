"""Alerts to Splunk On-Call: a group is an entity that becomes critical and recovers."""

from __future__ import annotations

from typing import Final

from amproxy.notify.alertmanager_payload import go_json
from amproxy.notify.channels.receiver import (
    EventChannel,
    address_below,
    group_digest,
    incident_text,
    is_resolved,
    reveal_secret,
    state_ref,
    truncate_runes,
)
from amproxy.notify.channels.victorops.settings import VictorOpsSettings
from amproxy.notify.message import Card

MAX_STATE_MESSAGE: Final = 20_480  # characters
_BEGINNINGS: Final = ("INFO", "WARNING", "CRITICAL")


class VictorOpsChannel(EventChannel):
    """The REST endpoint; its address holds the integration's key."""

    name = "victorops"
    service = "Splunk On-Call"

    def destination(self, settings: VictorOpsSettings) -> str:
        """The integration's key and the route. Raises DeliveryError."""
        return f"{self._key(settings)}/{settings.routing_key}"

    async def send(self, settings: VictorOpsSettings, card: Card) -> dict[str, str]:
        """Tell the state of the group's entity. Raises DeliveryError."""
        address = address_below(settings.api_url, self.destination(settings))
        await self._ask(
            settings,
            str(address),
            content=go_json(_message(settings, card)) + b"\n",
            headers={"Content-Type": "application/json"},
        )
        return state_ref(card)

    def _key(self, settings: VictorOpsSettings) -> str:
        return reveal_secret(self.service, "api_key", settings.api_key, settings.api_key_file)


def _message(settings: VictorOpsSettings, card: Card) -> dict[str, str]:
    if is_resolved(card):
        kind = "RECOVERY"
    else:
        kind = settings.message_type if settings.message_type in _BEGINNINGS else "CRITICAL"
    text = settings.state_message or incident_text(card, card.text)
    name = settings.entity_display_name or incident_text(card, card.title)
    return {
        "message_type": kind,
        "entity_id": group_digest(card),
        "entity_display_name": name,
        "state_message": truncate_runes(text, MAX_STATE_MESSAGE),
        "monitoring_tool": settings.monitoring_tool or incident_text(card, "amproxy"),
        **settings.custom_fields,
    }
