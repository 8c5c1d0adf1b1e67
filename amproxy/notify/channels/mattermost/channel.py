"""Messages to Mattermost: attachments in Slack's form."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from amproxy.notify.channels.chat import (
    IncomingWebhookChannel,
    own_link,
    own_text,
    own_title,
    without_empty,
)
from amproxy.notify.channels.mattermost.settings import (
    MattermostAttachment,
    MattermostPriority,
    MattermostSettings,
)
from amproxy.notify.channels.receiver import is_resolved, state_ref, truncate_runes
from amproxy.notify.message import Card

MAX_TEXT: Final = 16383  # characters of a post, its attachments apart
_ATTACHMENT_TEXTS: Final = tuple(
    name for name in MattermostAttachment.__struct_fields__ if name != "fields"
)


class MattermostChannel(IncomingWebhookChannel):
    """An incoming webhook of Mattermost."""

    name = "mattermost"
    service = "Mattermost"

    async def send(self, settings: MattermostSettings, card: Card) -> dict[str, str]:
        """Post a message. Raises DeliveryError."""
        if card.kind != "group":
            settings = _with_own_texts(settings, card)
        await self._post(settings, card, self.destination(settings), _post_body(settings))
        return state_ref(card)


def _with_own_texts(settings: MattermostSettings, card: Card) -> MattermostSettings:
    """The settings with an incident's texts in the place of those that are empty."""
    title, link = settings.title or own_title(card), settings.title_link or own_link(card)
    return msgspec.structs.replace(
        settings,
        title=title,
        title_link=link,
        text=settings.text or own_text(card),
        fallback=settings.fallback or f"{title} | {link}",
        color=settings.color or ("good" if is_resolved(card) else "danger"),
    )


def _post_body(settings: MattermostSettings) -> dict[str, Any]:
    attachments = settings.attachments
    body: dict[str, Any] = {
        # without attachments the text is that of the one which the other keys describe
        "text": truncate_runes(settings.text, MAX_TEXT) if attachments else "",
        "channel": settings.channel,
        "username": settings.username,
        "icon_url": settings.icon_url,
        "icon_emoji": settings.icon_emoji,
        "type": settings.type,
        "attachments": [_attachment(one) for one in attachments or [settings]],
    }
    body = without_empty(body)
    if settings.props is not None:
        body["props"] = without_empty({"card": settings.props.card})
    if settings.priority is not None:
        body["priority"] = _priority(settings.priority)
    return body


def _attachment(attachment: MattermostAttachment) -> dict[str, Any]:
    texts = {name: getattr(attachment, name) for name in _ATTACHMENT_TEXTS}
    fields = [
        without_empty({"title": field.title, "value": field.value})
        | ({} if field.short is None else {"short": field.short})
        for field in attachment.fields
    ]
    return without_empty({**texts, "fields": fields})


def _priority(wanted: MattermostPriority) -> dict[str, Any]:
    """The priority, and of its switches those that Mattermost takes with it."""
    found = wanted.priority.lower()
    priority = found if found in ("urgent", "important") else "standard"
    switches = {
        "requested_ack": wanted.requested_ack and priority != "standard",
        "persistent_notifications": wanted.persistent_notifications and priority == "urgent",
    }
    return {"priority": priority, **without_empty(switches)}
