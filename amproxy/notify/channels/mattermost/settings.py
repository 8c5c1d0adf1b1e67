"""Mattermost in the file: its settings, its keys, and how they are read."""

from __future__ import annotations

from typing import Final

import msgspec

from amproxy.config.channels import ChannelKind
from amproxy.config.read.cursor import Reader, Section
from amproxy.config.read.http import build_http_settings
from amproxy.config.read.kinds import (
    COMMON,
    IntegrationKind,
    address_keys,
    attachment_field,
    template_keys,
    with_file_key,
    written_texts,
)
from amproxy.config.read.values import boolean, list_of, raw, secret_url, section_of
from amproxy.config.structs import HttpSettings, Struct
from amproxy.secret import Secret
from amproxy.text import Phrase

_TEXTS: Final = (
    *("fallback", "color", "pretext", "text", "title", "title_link", "author_name", "author_link"),
    *("author_icon", "thumb_url", "footer", "footer_icon", "image_url"),
)
_DEFAULT_TEXTS: Final = {
    "username": '{{ template "mattermost.default.username" . }}',
    "color": '{{ template "mattermost.default.color" . }}',
    "text": '{{ template "mattermost.default.text" . }}',
    "title": '{{ template "mattermost.default.title" . }}',
    "title_link": '{{ template "mattermost.default.titlelink" . }}',
    "fallback": '{{ template "mattermost.default.fallback" . }}',
}
_ATTACHMENT: Final[dict[str, Reader]] = {
    **template_keys(*_TEXTS),
    "fields": list_of(attachment_field),
}
_PRIORITY: Final[dict[str, Reader]] = {
    "priority": raw,
    **dict.fromkeys(("requested_ack", "persistent_notifications"), boolean),
}


class MattermostField(Struct, frozen=True, kw_only=True):
    """A field of an attachment. short: None = Mattermost's own choice."""

    title: str = ""
    value: str = ""
    short: bool | None = None


class MattermostAttachment(Struct, frozen=True, kw_only=True):
    """The message itself, or one of several attachments to it."""

    fallback: str = ""
    color: str = ""
    pretext: str = ""
    text: str = ""
    title: str = ""
    title_link: str = ""
    author_name: str = ""
    author_link: str = ""
    author_icon: str = ""
    thumb_url: str = ""
    footer: str = ""
    footer_icon: str = ""
    image_url: str = ""
    fields: list[MattermostField] = msgspec.field(default_factory=list)


class MattermostProps(Struct, frozen=True, kw_only=True):
    """Markdown that the sidebar shows beside a post."""

    card: str = ""


class MattermostPriority(Struct, frozen=True, kw_only=True):
    """The label of a post, and what goes with it."""

    priority: str = ""
    requested_ack: bool = False
    persistent_notifications: bool = False


class MattermostSettings(MattermostAttachment, frozen=True, kw_only=True):
    """One incoming webhook. Beside `attachments` only `text` is sent of the message's own texts."""

    webhook_url: Secret = Secret("")
    webhook_url_file: str = ""
    channel: str = ""
    username: str = ""
    icon_url: str = ""
    icon_emoji: str = ""
    type: str = ""
    attachments: list[MattermostAttachment] = msgspec.field(default_factory=list)
    props: MattermostProps | None = None
    priority: MattermostPriority | None = None
    http: HttpSettings = HttpSettings()
    send_resolved: bool = True  # whether an incident's end is told; a group's flush asks by itself


def _build(section: Section) -> MattermostSettings:
    _warn_of_unsent(section)
    props, priority = section.get("props", {}), section.get("priority", {})
    return MattermostSettings(
        **section.pick("webhook_url", "webhook_url_file", "channel"),
        **section.pick("icon_url", "icon_emoji", "type"),
        **section.pick(*(key for key in _TEXTS if key not in _DEFAULT_TEXTS)),
        **written_texts(section, *_DEFAULT_TEXTS),
        fields=_fields(section),
        attachments=[
            MattermostAttachment(**one.pick(*_TEXTS), fields=_fields(one))
            for one in section.get("attachments", ())
        ],
        props=MattermostProps(**props) if props.get("card") else None,
        priority=MattermostPriority(**priority) if priority.get("priority") else None,
        http=build_http_settings(section["http_config"]),
        send_resolved=section["send_resolved"],
    )


def _fields(section: Section) -> list[MattermostField]:
    return [MattermostField(**one) for one in section.get("fields", ())]


def _warn_of_unsent(section: Section) -> None:
    """Tell of keys that Alertmanager takes and does not send beside others, or without them."""
    found = []
    priority = section.get("priority", {})
    if priority and not priority.get("priority"):
        switches = ("requested_ack", "persistent_notifications")
        found += [(priority, key) for key in switches if priority.get(key)]
    if section.get("attachments"):
        beside = (*(key for key in _TEXTS if key != "text"), "fields")
        found += [(section, key) for key in beside if section.get(key)]
    for place, key in found:
        place.cursors[key].warn("unused", Phrase("problem.unsent_key", {"key": key}))


_WEBHOOK_URL: Final = ("webhook_url", "webhook_url_file")

MATTERMOST: Final = ChannelKind(
    channel="amproxy.notify.channels.mattermost.channel:MattermostChannel",
    integration=IntegrationKind(
        keys={
            **COMMON,
            **with_file_key("webhook_url", secret_url),
            **address_keys("channel"),
            **template_keys("username", "icon_url", "icon_emoji", "type"),
            **_ATTACHMENT,
            "attachments": list_of(section_of(_ATTACHMENT)),
            "props": section_of(template_keys("card")),
            "priority": section_of(_PRIORITY),
        },
        one_of=(_WEBHOOK_URL,),
        at_most=(_WEBHOOK_URL,),
        inherited={key: f"mattermost_{key}" for key in _WEBHOOK_URL},
    ),
    build=_build,
    templates=(
        *("channel", "username", "icon_url", "icon_emoji", "type"),
        *(*_TEXTS, "fields", "attachments", "props", "priority"),
    ),
    default_texts=_DEFAULT_TEXTS,
    reaches_people=False,
    addresses_people=False,
)
