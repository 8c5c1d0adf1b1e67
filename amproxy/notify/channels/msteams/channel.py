"""Messages to Microsoft Teams: cards of the older and of the newer form."""

from __future__ import annotations

from typing import Any

from amproxy.notify.channels.chat import IncomingWebhookChannel, own_text, own_title
from amproxy.notify.channels.msteams.settings import TeamsSettings
from amproxy.notify.channels.receiver import is_resolved, state_ref
from amproxy.notify.message import Card


class TeamsConnectorChannel(IncomingWebhookChannel):
    """A connector of Office 365, which takes a MessageCard."""

    name = "msteams"
    service = "Microsoft Teams"

    async def send(self, settings: TeamsSettings, card: Card) -> dict[str, str]:
        """Post a card. Raises DeliveryError."""
        body = {
            "@context": "http://schema.org/extensions",
            "type": "MessageCard",
            "title": settings.title or own_title(card),
            "summary": settings.summary or own_title(card),
            "text": settings.text or own_text(card),
            "themeColor": "2DC72D" if is_resolved(card) else "8C1A1A",
        }
        await self._post(settings, card, self.destination(settings), body)
        return state_ref(card)


class TeamsWorkflowChannel(IncomingWebhookChannel):
    """A workflow of Power Automate, which takes an adaptive card.

    Its answer says that the message is queued; whether it is shown is not told.
    """

    name = "msteamsv2"
    service = "Microsoft Teams"

    async def send(self, settings: TeamsSettings, card: Card) -> dict[str, str]:
        """Post a card. Raises DeliveryError."""
        heading = {
            "type": "TextBlock",
            "text": settings.title or own_title(card),
            "weight": "Bolder",
            "size": "Medium",
            "wrap": True,
            "style": "heading",
            "color": "Good" if is_resolved(card) else "Attention",
        }
        text = {"type": "TextBlock", "text": settings.text or own_text(card), "wrap": True}
        body = _adaptive_card([heading, text])
        await self._post(settings, card, self.destination(settings), body)
        return state_ref(card)


def _adaptive_card(blocks: list[dict[str, Any]]) -> dict[str, Any]:
    content = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.2",
        "body": blocks,
        "msteams": {"width": "full"},
    }
    attachment = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": content,
    }
    return {"type": "message", "attachments": [attachment]}
