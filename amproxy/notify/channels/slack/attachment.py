"""A group of alerts as Alertmanager posts it to Slack: a message with one attachment.

All texts of the settings are filled in; empty ones are left out where Alertmanager leaves them out.
Layout: docs.slack.dev/legacy/legacy-messaging/legacy-secondary-message-attachments.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from amproxy.notify.channels.receiver import truncate_runes
from amproxy.notify.channels.slack.settings import SlackAction, SlackConfirmation, SlackSettings

MAX_TITLE: Final = 1024  # characters
_MARKDOWN_IN: Final = ("fallback", "pretext", "text")  # where the file says nothing


def attachment_message(settings: SlackSettings) -> dict[str, Any]:
    """The body of the request, without the channel."""
    attachment = {
        **_given(title=truncate_runes(settings.title, MAX_TITLE)),
        **_given(title_link=settings.title_link, pretext=settings.pretext),
        "text": settings.text,
        "fallback": settings.fallback,
        "callback_id": settings.callback_id,
        **_given(fields=_fields(settings), actions=[*map(_action, settings.actions)]),
        **_given(image_url=settings.image_url, thumb_url=settings.thumb_url),
        "footer": settings.footer,
        **_given(color=settings.color),
        "mrkdwn_in": list(settings.mrkdwn_in or _MARKDOWN_IN),
    }
    return {
        **_given(username=settings.username),
        **_given(icon_emoji=settings.icon_emoji, icon_url=settings.icon_url),
        **_given(link_names=settings.link_names, text=settings.message_text),
        "attachments": [attachment],
    }


def _fields(settings: SlackSettings) -> Sequence[dict[str, Any]]:
    return [
        {
            **_given(title=field.title, value=field.value),
            "short": settings.short_fields if field.short is None else field.short,
        }
        for field in settings.fields
    ]


def _action(action: SlackAction) -> dict[str, Any]:
    """A button: one that leads somewhere has neither a name nor a confirmation."""
    shared = _given(type=action.type, text=action.text, url=action.url, style=action.style)
    if action.url:
        return shared
    confirm = _confirmation(action.confirm) if action.confirm else {}
    return {**shared, **_given(name=action.name, value=action.value, confirm=confirm)}


def _confirmation(confirm: SlackConfirmation) -> dict[str, Any]:
    return _given(
        text=confirm.text,
        title=confirm.title,
        ok_text=confirm.ok_text,
        dismiss_text=confirm.dismiss_text,
    )


def _given(**values: Any) -> dict[str, Any]:
    """The values that say something."""
    return {name: value for name, value in values.items() if value}
