"""Opsgenie in the file: its settings, its keys, and how they are read."""

from __future__ import annotations

from typing import Final

import msgspec

from amproxy.config.channels import ChannelKind
from amproxy.config.read.cursor import Section
from amproxy.config.read.http import build_http_settings
from amproxy.config.read.kinds import (
    COMMON,
    IntegrationKind,
    opsgenie_responder,
    template_keys,
    with_file_key,
    written_texts,
)
from amproxy.config.read.values import boolean, list_of, map_of, raw, url
from amproxy.config.structs import HttpSettings, Struct
from amproxy.secret import Secret

_DEFAULT_TEXTS: Final = {
    "message": '{{ template "opsgenie.default.message" . }}',
    "description": '{{ template "opsgenie.default.description" . }}',
    "source": '{{ template "opsgenie.default.source" . }}',
}
_KEY: Final = ("api_key", "api_key_file")


class OpsgenieResponder(Struct, frozen=True, kw_only=True):
    """A person or team that an alert is for; type "teams" has names divided by commas."""

    id: str = ""
    name: str = ""
    username: str = ""
    type: str = ""


class OpsgenieSettings(Struct, frozen=True, kw_only=True):
    """One API integration of Opsgenie."""

    api_key: Secret = Secret("")
    api_key_file: str = ""
    api_url: str = ""  # up to where `v2/alerts` begins
    message: str = ""
    description: str = ""
    source: str = ""
    details: dict[str, str] = msgspec.field(default_factory=dict)
    entity: str = ""
    responders: list[OpsgenieResponder] = msgspec.field(default_factory=list)
    actions: str = ""  # with commas between
    tags: str = ""  # likewise
    note: str = ""
    priority: str = ""
    update_alerts: bool = False
    http: HttpSettings = HttpSettings()
    send_resolved: bool = True  # whether an incident's end is told; a group's flush asks by itself


def _build(section: Section) -> OpsgenieSettings:
    return OpsgenieSettings(
        **section.pick("api_key", "api_key_file", "api_url", "details", "update_alerts"),
        **section.pick("entity", "actions", "tags", "note", "priority"),
        **written_texts(section, "message", "description", "source"),
        responders=[OpsgenieResponder(**one) for one in section.get("responders", ())],
        http=build_http_settings(section["http_config"]),
        send_resolved=section["send_resolved"],
    )


OPSGENIE: Final = ChannelKind(
    channel="amproxy.notify.channels.opsgenie.channel:OpsgenieChannel",
    integration=IntegrationKind(
        keys={
            **COMMON,
            **with_file_key("api_key"),
            "api_url": url,
            **template_keys("message", "description", "source", "entity"),
            **template_keys("actions", "tags", "note", "priority"),
            "details": map_of(raw),
            "responders": list_of(opsgenie_responder),
            "update_alerts": boolean,
        },
        one_of=(_KEY,),
        at_most=(_KEY,),
        inherited={
            "api_url": "opsgenie_api_url",
            "api_key": "opsgenie_api_key",
            "api_key_file": "opsgenie_api_key_file",
        },
    ),
    build=_build,
    templates=(
        *("api_key", "message", "description", "source", "details", "entity"),
        *("responders", "actions", "tags", "note", "priority"),
    ),
    default_texts=_DEFAULT_TEXTS,
    reaches_people=False,
    addresses_people=False,
)
