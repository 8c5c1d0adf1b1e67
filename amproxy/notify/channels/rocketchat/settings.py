"""Rocket.Chat in the file: its settings, its keys, and how they are read."""

from __future__ import annotations

from typing import Final

import msgspec

from amproxy.config.channels import ChannelKind
from amproxy.config.read.cursor import Cursor, Reader, Section
from amproxy.config.read.http import build_http_settings
from amproxy.config.read.kinds import (
    COMMON,
    IntegrationKind,
    address_keys,
    template_keys,
    with_file_key,
    written_texts,
)
from amproxy.config.read.values import boolean, list_of, section_of, url
from amproxy.config.structs import HttpSettings, Struct
from amproxy.secret import Secret
from amproxy.text import Phrase

# Keys of an action that Alertmanager takes, under these names, and does not send.
_UNSENT_OF_ACTIONS: Final = (
    *("type", "imageurl", "iswebview", "webviewheightratio"),
    *("msginchatwindow", "msgprocessingtype"),
)
_DEFAULT_TEXTS: Final = {
    "color": '{{ if eq .Status "firing" }}red{{ else }}green{{ end }}',
    "emoji": '{{ template "rocketchat.default.emoji" . }}',
    "icon_url": '{{ template "rocketchat.default.iconurl" . }}',
    "text": '{{ template "rocketchat.default.text" . }}',
    "title": '{{ template "rocketchat.default.title" . }}',
    "title_link": '{{ template "rocketchat.default.titlelink" . }}',
}


class RocketChatField(Struct, frozen=True, kw_only=True):
    """A field of a message's attachment."""

    title: str = ""
    value: str = ""
    short: bool = False


class RocketChatAction(Struct, frozen=True, kw_only=True):
    """A button below a message: it opens `url`, or says `msg`."""

    text: str = ""
    url: str = ""
    msg: str = ""


class RocketChatSettings(Struct, frozen=True, kw_only=True):
    """A person's token, and the message."""

    api_url: str = ""
    token: Secret = Secret("")
    token_file: str = ""
    token_id: Secret = Secret("")
    token_id_file: str = ""
    channel: str = ""
    color: str = ""
    title: str = ""
    title_link: str = ""
    text: str = ""
    message_text: str = ""
    emoji: str = ""
    icon_url: str = ""
    image_url: str = ""
    thumb_url: str = ""
    fields: list[RocketChatField] = msgspec.field(default_factory=list)
    actions: list[RocketChatAction] = msgspec.field(default_factory=list)
    http: HttpSettings = HttpSettings()
    send_resolved: bool = True  # whether an incident's end is told; a group's flush asks by itself


def _read_action(at: Cursor) -> Section:
    readers: dict[str, Reader] = {
        **template_keys("text", "url", "msg", *_UNSENT_OF_ACTIONS),
        **dict.fromkeys(("iswebview", "msginchatwindow"), boolean),
    }
    return at.section(readers)


def _build(section: Section) -> RocketChatSettings:
    _warn_of_unsent(section)
    short = {"short": section.get("short_fields", False)}
    return RocketChatSettings(
        **section.pick("api_url", "token", "token_file", "token_id", "token_id_file", "channel"),
        **section.pick("message_text", "image_url", "thumb_url"),
        **written_texts(section, *_DEFAULT_TEXTS),
        fields=[RocketChatField(**short | one) for one in section.get("fields", ())],
        actions=[
            RocketChatAction(**one.pick("text", "url", "msg")) for one in section.get("actions", ())
        ],
        http=build_http_settings(section["http_config"]),
        send_resolved=section["send_resolved"],
    )


def _warn_of_unsent(section: Section) -> None:
    """Tell of keys that Alertmanager takes and does not send: its actions are buttons, no more."""
    found = [(section, "link_names")] if section.get("link_names") else []
    found += [
        (action, key)
        for action in section.get("actions", ())
        for key in _UNSENT_OF_ACTIONS
        if action.get(key) and (key, action[key]) != ("type", "button")
    ]
    for place, key in found:
        place.cursors[key].warn("unused", Phrase("problem.unsent_key", {"key": key}))


_TOKENS: Final = (("token", "token_file"), ("token_id", "token_id_file"))

ROCKETCHAT: Final = ChannelKind(
    channel="amproxy.notify.channels.rocketchat.channel:RocketChatChannel",
    integration=IntegrationKind(
        keys={
            **COMMON,
            "api_url": url,
            **with_file_key("token_id"),
            **with_file_key("token"),
            **address_keys("channel"),
            **template_keys("color", "title", "title_link", "text", "message_text"),
            **template_keys("emoji", "icon_url", "image_url", "thumb_url"),
            "fields": list_of(section_of({**template_keys("title", "value"), "short": boolean})),
            **dict.fromkeys(("short_fields", "link_names"), boolean),
            "actions": list_of(_read_action),
        },
        send_resolved=False,
        one_of=_TOKENS,
        at_most=_TOKENS,
        inherited={
            "api_url": "rocketchat_api_url",
            **{key: f"rocketchat_{key}" for pair in _TOKENS for key in pair},
        },
    ),
    build=_build,
    templates=(
        *("channel", "color", "title", "title_link", "text", "message_text"),
        *("emoji", "icon_url", "image_url", "thumb_url", "fields", "actions"),
    ),
    default_texts=_DEFAULT_TEXTS,
    reaches_people=False,
    addresses_people=False,
)
