"""Webhooks and other Alertmanagers in the file: their settings, and how they are read."""

from __future__ import annotations

from typing import Any, Final

from amproxy.config.channels import ChannelKind
from amproxy.config.networks import Reach, read_network, refused_literal
from amproxy.config.read.cursor import Section
from amproxy.config.read.http import build_http_settings
from amproxy.config.read.kinds import (
    COMMON,
    NOT_NEGATIVE,
    TIMEOUT,
    IntegrationKind,
    template_or_url,
    with_file_key,
)
from amproxy.config.read.values import list_of, literal, url_fault
from amproxy.config.structs import Global, HttpSettings, Struct
from amproxy.secret import Secret
from amproxy.text import Phrase


class WebhookSettings(Struct, frozen=True, kw_only=True):
    """One address that takes groups of alerts, as Alertmanager's payload or API."""

    url: Secret = Secret("")
    url_file: str = ""
    max_alerts: int = 0
    payload: Any = None  # the body in place of Alertmanager's, a tree of texts
    timeout: float = 0.0  # seconds; 0 = none of its own
    http: HttpSettings = HttpSettings()
    reach: Reach | None = None  # of a person's contact; None = any host


def build_webhook_settings(section: Section) -> WebhookSettings:
    return WebhookSettings(
        **section.pick("url", "url_file", "max_alerts", "payload"),
        timeout=float(section.get("timeout", 0)),
        http=build_http_settings(section["http_config"]),
    )


def _build_global(values: Section) -> WebhookSettings:
    """`global` has the http_config; the URL is a person's contact."""
    return WebhookSettings(
        http=build_http_settings(values["http_config"]),
        reach=Reach(tuple(map(str, values.get("contact_networks", ()))), own_machine=True),
    )


def contact_reach(global_: Global) -> Reach:
    """The hosts that webhook contacts of people may lead to."""
    settings: WebhookSettings = global_.channels.get("webhook", WebhookSettings())
    return settings.reach or Reach(own_machine=True)


def _contact_fault(address: str, settings: WebhookSettings | None) -> Phrase | None:
    if url_fault(address):
        return Phrase("undeliverable.no_url")
    return refused_literal(address, (settings and settings.reach) or Reach(own_machine=True))


WEBHOOK: Final = ChannelKind(
    channel="amproxy.notify.channels.webhook.channel:WebhookChannel",
    integration=IntegrationKind(
        keys={
            **COMMON,
            **TIMEOUT,
            **with_file_key("url", template_or_url),
            "max_alerts": NOT_NEGATIVE,
            "payload": literal,
        },
        one_of=(("url", "url_file"),),
        at_most=(("url", "url_file"),),
        defaults={"max_alerts": 0},
    ),
    build=build_webhook_settings,
    templates=("url", "payload"),
    templated_keys=("payload",),
    global_keys={"contact_networks": list_of(read_network)},
    build_global=_build_global,
    addresses_people=False,
    contact_fault=_contact_fault,
)

# amproxy's own kind: groups go on to another Alertmanager's API.
ALERTMANAGER: Final = ChannelKind(
    channel="amproxy.notify.channels.webhook.channel:AlertmanagerChannel",
    integration=IntegrationKind(
        keys={**COMMON, **TIMEOUT, **with_file_key("url", template_or_url)},
        one_of=(("url", "url_file"),),
        at_most=(("url", "url_file"),),
    ),
    build=build_webhook_settings,
    templates=("url",),
    reaches_people=False,
)
