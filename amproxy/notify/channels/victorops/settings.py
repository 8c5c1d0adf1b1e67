"""Splunk On-Call in the file: its settings, its keys, and how they are read."""

from __future__ import annotations

from typing import Final

import msgspec

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
from amproxy.config.read.values import map_of, raw, url
from amproxy.config.structs import HttpSettings, Struct
from amproxy.secret import Secret

_DEFAULT_TEXTS: Final = {
    "state_message": '{{ template "victorops.default.state_message" . }}',
    "entity_display_name": '{{ template "victorops.default.entity_display_name" . }}',
    "monitoring_tool": '{{ template "victorops.default.monitoring_tool" . }}',
}
_KEY: Final = ("api_key", "api_key_file")
# Fields that the channel itself fills in.
_RESERVED_FIELDS: Final = frozenset(
    (
        *("routing_key", "message_type", "state_message", "entity_display_name"),
        *("monitoring_tool", "entity_id", "entity_state"),
    )
)


class VictorOpsSettings(Struct, frozen=True, kw_only=True):
    """One REST integration of Splunk On-Call, and the route below it."""

    api_key: Secret = Secret("")
    api_key_file: str = ""
    api_url: str = ""
    routing_key: str = ""
    message_type: str = "CRITICAL"
    state_message: str = ""
    entity_display_name: str = ""
    monitoring_tool: str = ""
    custom_fields: dict[str, str] = msgspec.field(default_factory=dict)
    http: HttpSettings = HttpSettings()
    send_resolved: bool = True  # whether an incident's end is told; a group's flush asks by itself


def _build(section: Section) -> VictorOpsSettings:
    return VictorOpsSettings(
        **section.pick("api_key", "api_key_file", "api_url", "routing_key"),
        **section.pick("message_type", "custom_fields"),
        **written_texts(section, "state_message", "entity_display_name", "monitoring_tool"),
        http=build_http_settings(section["http_config"]),
        send_resolved=section["send_resolved"],
    )


def _check(section: Section) -> None:
    for key in section.get("custom_fields", ()):
        if key in _RESERVED_FIELDS:
            section.error("custom_fields", "problem.reserved_field", field=key)


VICTOROPS: Final = ChannelKind(
    channel="amproxy.notify.channels.victorops.channel:VictorOpsChannel",
    integration=IntegrationKind(
        keys={
            **COMMON,
            **with_file_key("api_key"),
            "api_url": url,
            **address_keys("routing_key"),
            **template_keys("message_type", "state_message"),
            **template_keys("entity_display_name", "monitoring_tool"),
            "custom_fields": map_of(raw),
        },
        one_of=(_KEY, ("routing_key",)),
        at_most=(_KEY,),
        inherited={
            "api_url": "victorops_api_url",
            "api_key": "victorops_api_key",
            "api_key_file": "victorops_api_key_file",
        },
        check=_check,
    ),
    build=_build,
    templates=(
        *("routing_key", "message_type", "state_message", "entity_display_name"),
        *("monitoring_tool", "custom_fields"),
    ),
    default_texts=_DEFAULT_TEXTS,
    reaches_people=False,
    addresses_people=False,
)
