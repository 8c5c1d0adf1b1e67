"""incident.io in the file: its settings, its keys, and how they are read."""

from __future__ import annotations

from typing import Final

import msgspec

from amproxy.config.channels import ChannelKind
from amproxy.config.read.cursor import Section
from amproxy.config.read.http import build_http_settings
from amproxy.config.read.kinds import (
    COMMON,
    NOT_NEGATIVE,
    TIMEOUT,
    IntegrationKind,
    has_authorization,
    with_file_key,
)
from amproxy.config.read.values import map_of, raw, url
from amproxy.config.structs import HttpSettings, Struct
from amproxy.secret import Secret

_URL: Final = ("url", "url_file")
_TOKEN: Final = ("alert_source_token", "alert_source_token_file")


class IncidentioSettings(Struct, frozen=True, kw_only=True):
    """One alert source. Its token stands in `http`, as the credentials of an authorization."""

    url: str = ""
    url_file: str = ""
    max_alerts: int = 0  # 0 = all
    timeout: float = 0.0  # seconds; 0 = none of its own
    metadata: dict[str, str] = msgspec.field(default_factory=dict)
    http: HttpSettings = HttpSettings()
    send_resolved: bool = True  # whether an incident's end is told; a group's flush asks by itself


def _build(section: Section) -> IncidentioSettings:
    http = build_http_settings(section["http_config"])
    if section.given(*_TOKEN):
        http = msgspec.structs.replace(
            http,
            authorization_type="Bearer",
            authorization_credentials=section.get("alert_source_token", Secret("")),
            authorization_credentials_file=section.get("alert_source_token_file", ""),
        )
    return IncidentioSettings(
        **section.pick("url", "url_file", "max_alerts", "metadata"),
        timeout=float(section.get("timeout", 0)),
        http=http,
        send_resolved=section["send_resolved"],
    )


def _check(section: Section) -> None:
    # Only its own http_config counts, as in Alertmanager; that of `global` may be anything.
    http = section.get("http_config") if "http_config" in section.cursors else None
    if http is not None and has_authorization(http) == bool(section.given(*_TOKEN)):
        section.error("http_config", "problem.incidentio_token")


INCIDENTIO: Final = ChannelKind(
    channel="amproxy.notify.channels.incidentio.channel:IncidentioChannel",
    integration=IntegrationKind(
        keys={
            **COMMON,
            **TIMEOUT,
            **with_file_key("url", url),
            **with_file_key("alert_source_token"),
            "max_alerts": NOT_NEGATIVE,
            "metadata": map_of(raw),
        },
        one_of=(_URL,),
        at_most=(_URL, _TOKEN),
        check=_check,
    ),
    build=_build,
    templates=("metadata",),
    reaches_people=False,
    addresses_people=False,
)
