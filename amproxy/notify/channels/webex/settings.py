"""Webex in the file: its settings, its keys, and how they are read."""

from __future__ import annotations

from typing import Final

from amproxy.config.channels import ChannelKind
from amproxy.config.read.cursor import Section
from amproxy.config.read.http import build_http_settings
from amproxy.config.read.kinds import (
    COMMON,
    IntegrationKind,
    address_keys,
    has_authorization,
    written_texts,
)
from amproxy.config.read.values import raw, url
from amproxy.config.structs import HttpSettings, Struct


class WebexSettings(Struct, frozen=True, kw_only=True):
    """A room; the bot's token stands in http_config."""

    api_url: str = ""
    room_id: str = ""
    message: str = ""
    http: HttpSettings = HttpSettings()
    send_resolved: bool = True  # whether an incident's end is told; a group's flush asks by itself


def _build(section: Section) -> WebexSettings:
    return WebexSettings(
        **section.pick("api_url", "room_id"),
        **written_texts(section, "message"),
        http=build_http_settings(section["http_config"]),
        send_resolved=section["send_resolved"],
    )


def _check(section: Section) -> None:
    if "http_config" in section and not has_authorization(section["http_config"]):
        section.error("http_config", "problem.webex_authorization")


WEBEX: Final = ChannelKind(
    channel="amproxy.notify.channels.webex.channel:WebexChannel",
    integration=IntegrationKind(
        keys={**COMMON, "api_url": url, "message": raw, **address_keys("room_id")},
        one_of=(("room_id",), ("http_config",)),
        inherited={"api_url": "webex_api_url"},
        check=_check,
    ),
    build=_build,
    templates=("message", "room_id"),
    default_texts={"message": '{{ template "webex.default.message" . }}'},
    reaches_people=False,
    addresses_people=False,
)
