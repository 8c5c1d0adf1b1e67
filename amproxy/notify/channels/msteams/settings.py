"""Microsoft Teams in the file: settings, keys, and how they are read."""

from __future__ import annotations

from typing import Final

from amproxy.config.channels import ChannelKind
from amproxy.config.read.cursor import Section
from amproxy.config.read.http import build_http_settings
from amproxy.config.read.kinds import chat_webhook_kind, written_texts
from amproxy.config.structs import HttpSettings, Struct
from amproxy.secret import Secret


class TeamsSettings(Struct, frozen=True, kw_only=True):
    """The address of a connector or of a workflow."""

    webhook_url: Secret = Secret("")
    webhook_url_file: str = ""
    title: str = ""
    summary: str = ""  # of connectors only
    text: str = ""
    http: HttpSettings = HttpSettings()
    send_resolved: bool = True  # whether an incident's end is told; a group's flush asks by itself


def _build(section: Section) -> TeamsSettings:
    return TeamsSettings(
        **section.pick("webhook_url", "webhook_url_file"),
        **written_texts(section, "title", "summary", "text"),
        http=build_http_settings(section["http_config"]),
        send_resolved=section["send_resolved"],
    )


MSTEAMS: Final = ChannelKind(
    channel="amproxy.notify.channels.msteams.channel:TeamsConnectorChannel",
    integration=chat_webhook_kind("title", "summary", "text"),
    build=_build,
    templates=("title", "summary", "text"),
    default_texts={
        "title": '{{ template "msteams.default.title" . }}',
        "summary": '{{ template "msteams.default.summary" . }}',
        "text": '{{ template "msteams.default.text" . }}',
    },
    reaches_people=False,
    addresses_people=False,
)

MSTEAMSV2: Final = ChannelKind(
    channel="amproxy.notify.channels.msteams.channel:TeamsWorkflowChannel",
    integration=chat_webhook_kind("title", "text", inherits_proxy=True),
    build=_build,
    templates=("title", "text"),
    default_texts={
        "title": '{{ template "msteamsv2.default.title" . }}',
        "text": '{{ template "msteamsv2.default.text" . }}',
    },
    reaches_people=False,
    addresses_people=False,
)
