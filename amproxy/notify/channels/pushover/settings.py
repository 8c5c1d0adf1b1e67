"""Pushover in the file: its settings, its keys, and how they are read."""

from __future__ import annotations

from typing import Any, Final

from amproxy.config.channels import ChannelKind
from amproxy.config.read.cursor import Section
from amproxy.config.read.http import build_http_settings
from amproxy.config.read.kinds import (
    COMMON,
    IntegrationKind,
    address_keys,
    template_keys,
    with_file_key,
    written_texts,
)
from amproxy.config.read.values import boolean, go_duration
from amproxy.config.structs import HttpSettings, Struct
from amproxy.secret import Secret

_DEFAULT_TEXTS: Final = {
    "title": '{{ template "pushover.default.title" . }}',
    "message": '{{ template "pushover.default.message" . }}',
    "url": '{{ template "pushover.default.url" . }}',
    "priority": '{{ if eq .Status "firing" }}2{{ else }}0{{ end }}',
}
_KEYS: Final = (("user_key", "user_key_file"), ("token", "token_file"))


class PushoverSettings(Struct, frozen=True, kw_only=True):
    """One application of Pushover, and the user or group whom it notifies."""

    user_key: Secret = Secret("")
    user_key_file: str = ""
    token: Secret = Secret("")
    token_file: str = ""
    title: str = ""
    message: str = ""
    url: str = ""
    url_title: str = ""
    device: str = ""
    sound: str = ""
    priority: str = ""
    retry: float = 60.0  # seconds between two sounds of an emergency
    expire: float = 3600.0  # seconds after which it ends by itself
    ttl: float = 0.0  # seconds after which the message is deleted; 0 = never
    html: bool = False
    monospace: bool = False
    http: HttpSettings = HttpSettings()
    send_resolved: bool = True  # whether an incident's end is told; a group's flush asks by itself


def _build(section: Section) -> PushoverSettings:
    durations: dict[str, Any] = {
        key: float(seconds) for key, seconds in section.pick("retry", "expire", "ttl").items()
    }
    return PushoverSettings(
        **section.pick("user_key", "user_key_file", "token", "token_file"),
        **section.pick("url_title", "device", "sound", "html", "monospace"),
        **written_texts(section, "title", "message", "url", "priority"),
        **durations,
        http=build_http_settings(section["http_config"]),
        send_resolved=section["send_resolved"],
    )


def _check(section: Section) -> None:
    if section.get("html") and section.get("monospace"):
        section.error("monospace", "problem.html_or_monospace")


def _is_html(settings: PushoverSettings, key: str) -> bool:
    return key == "message" and settings.html


PUSHOVER: Final = ChannelKind(
    channel="amproxy.notify.channels.pushover.channel:PushoverChannel",
    integration=IntegrationKind(
        keys={
            **COMMON,
            **with_file_key("user_key"),
            **with_file_key("token"),
            **address_keys("device"),
            **template_keys("title", "message", "url", "url_title", "sound", "priority"),
            **dict.fromkeys(("retry", "expire", "ttl"), go_duration),
            **dict.fromkeys(("html", "monospace"), boolean),
        },
        one_of=_KEYS,
        at_most=_KEYS,
        check=_check,
    ),
    build=_build,
    templates=(
        *("user_key", "token", "title", "message", "url", "url_title"),
        *("device", "sound", "priority"),
    ),
    default_texts=_DEFAULT_TEXTS,
    is_html=_is_html,
    reaches_people=False,
    addresses_people=False,
)
