"""Web Push in the file: the keys of `global`, and the settings that reach one person's devices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from amproxy.config.channels import ChannelKind
from amproxy.config.networks import Reach
from amproxy.config.read.cursor import Section
from amproxy.config.read.http import build_http_settings
from amproxy.config.read.values import secret
from amproxy.config.structs import HttpSettings, Struct
from amproxy.config.subscriptions import Subscription
from amproxy.secret import Secret
from amproxy.text import Phrase


class PushSettings(Struct, frozen=True, kw_only=True):
    """The keys and devices for all people; `person` of the channel adds who is meant."""

    vapid_key: Secret = Secret("")  # of the file, which goes before that of Redis
    vapid_key_file: str = ""
    made_key: Secret = Secret("")  # amproxy's own; "" = none yet
    # Person → the devices that subscribe; None = only the file is known.
    devices: Mapping[str, tuple[Subscription, ...]] | None = None
    user: str = ""
    http: HttpSettings = HttpSettings()
    reach: Reach = Reach()  # browsers give the addresses, so that they may be anybody's


def _build_global(values: Section) -> PushSettings:
    http = build_http_settings(values["http_config"])
    return PushSettings(
        vapid_key=values.get("push_vapid_key", Secret("")),
        vapid_key_file=values.get("push_vapid_key_file", ""),
        # Without its authorization, in whose place the signature stands.
        http=HttpSettings(
            tls=http.tls,
            proxy_url=http.proxy_url,
            no_proxy=http.no_proxy,
            proxy_from_environment=http.proxy_from_environment,
            proxy_connect_header=http.proxy_connect_header,
        ),
        reach=Reach(tuple(map(str, values.get("contact_networks", ())))),
    )


def _check_global(section: Section) -> None:
    key: Secret = section.get("push_vapid_key", Secret(""))
    if key:
        # here, because cryptography takes a while to load and few files have a key
        from amproxy.notify.channels.push.vapid import parse_key

        try:
            parse_key(key.reveal())
        except ValueError:
            section.error("push_vapid_key", "problem.vapid_key")


def _contact_fault(address: str, settings: PushSettings | None) -> Phrase | None:
    if settings is None or settings.devices is None or settings.devices.get(address):
        return None
    return Phrase("undeliverable.no_device")


PUSH_KIND: Final = ChannelKind(
    channel="amproxy.notify.channels.push.channel:PushChannel",
    global_secrets={"push_vapid_key": secret},
    check_global=_check_global,
    build_global=_build_global,
    has_subscribers=True,
    contact_fault=_contact_fault,
)
