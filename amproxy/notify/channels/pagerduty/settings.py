"""PagerDuty in the file: its settings, its keys, and how they are read."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from amproxy.config.channels import ChannelKind
from amproxy.config.read.cursor import Section
from amproxy.config.read.http import build_http_settings
from amproxy.config.read.kinds import (
    COMMON,
    TIMEOUT,
    IntegrationKind,
    template_keys,
    with_file_key,
    written_texts,
)
from amproxy.config.read.values import list_of, literal, map_of, section_of, url
from amproxy.config.structs import HttpSettings, Struct
from amproxy.secret import Secret

_CLIENT: Final = '{{ template "pagerduty.default.client" . }}'
_DEFAULT_TEXTS: Final = {
    "description": '{{ template "pagerduty.default.description" . }}',
    "client": _CLIENT,
    "client_url": '{{ template "pagerduty.default.clientURL" . }}',
    "source": _CLIENT,
}
# Of these each that the file does not name is added.
_DEFAULT_DETAILS: Final = {
    "firing": "{{ .Alerts.Firing | toJson }}",
    "resolved": "{{ .Alerts.Resolved | toJson }}",
    "num_firing": "{{ .Alerts.Firing | len }}",
    "num_resolved": "{{ .Alerts.Resolved | len }}",
}


class PagerDutyImage(Struct, frozen=True, kw_only=True):
    """A picture of an event; one without `src` is left out."""

    src: str = ""
    alt: str = ""
    href: str = ""


class PagerDutyLink(Struct, frozen=True, kw_only=True):
    """A link of an event; one without `href` is left out."""

    href: str = ""
    text: str = ""


class PagerDutySettings(Struct, frozen=True, kw_only=True):
    """One service of PagerDuty. A service key means the Events API v1, a routing key v2."""

    service_key: Secret = Secret("")
    service_key_file: str = ""
    routing_key: Secret = Secret("")
    routing_key_file: str = ""
    url: str = ""  # of v2
    client: str = ""
    client_url: str = ""
    description: str = ""
    source: str = ""
    severity: str = "error"
    class_: str = ""
    component: str = ""
    group: str = ""
    details: dict[str, Any] = msgspec.field(default_factory=dict)
    images: list[PagerDutyImage] = msgspec.field(default_factory=list)
    links: list[PagerDutyLink] = msgspec.field(default_factory=list)
    timeout: float = 0.0  # seconds; 0 = none of its own
    http: HttpSettings = HttpSettings()
    send_resolved: bool = True  # whether an incident's end is told; a group's flush asks by itself


def _build(section: Section) -> PagerDutySettings:
    texts = written_texts(section, "client", "client_url", "description", "component", "group")
    source = section.get("source") or texts.get("client", "")
    return PagerDutySettings(
        **section.pick("service_key", "service_key_file", "routing_key", "routing_key_file", "url"),
        **texts,
        source=source,
        severity=section.get("severity") or "error",
        class_=section.get("class", ""),
        details=_DEFAULT_DETAILS | section.get("details", {}),
        images=[PagerDutyImage(**image) for image in section.get("images", ())],
        links=[PagerDutyLink(**link) for link in section.get("links", ())],
        timeout=float(section.get("timeout", 0)),
        http=build_http_settings(section["http_config"]),
        send_resolved=section["send_resolved"],
    )


PAGERDUTY: Final = ChannelKind(
    channel="amproxy.notify.channels.pagerduty.channel:PagerDutyChannel",
    integration=IntegrationKind(
        keys={
            **COMMON,
            **TIMEOUT,
            **with_file_key("service_key"),
            **with_file_key("routing_key"),
            "url": url,
            **template_keys("client", "client_url", "description", "source"),
            **template_keys("severity", "class", "component", "group"),
            "details": map_of(literal),
            "images": list_of(section_of(template_keys("src", "alt", "href"))),
            "links": list_of(section_of(template_keys("href", "text"))),
        },
        one_of=(("service_key", "service_key_file", "routing_key", "routing_key_file"),),
        at_most=(("service_key", "service_key_file"), ("routing_key", "routing_key_file")),
        inherited={"url": "pagerduty_url"},
    ),
    build=_build,
    templates=(
        *("service_key", "routing_key", "client", "client_url", "description", "source"),
        *("severity", "class_", "component", "group", "details", "images", "links"),
    ),
    default_texts=_DEFAULT_TEXTS,
    reaches_people=False,
    addresses_people=False,
)
