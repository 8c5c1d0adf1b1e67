"""The registry of channels: one line each, and every other table of channels is derived from it.

A channel is a folder or file below notify/channels/. What the file says of it is read by its own
settings module, which a line names as MODULE:NAME and which is imported when it is first asked for,
as a plug-in is: config knows the form of a channel, the channel knows config's readers, and code
that sends is not loaded to check a file. Below the registry: how one person is reached over them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any, Final, Literal

from amproxy.config.read.cursor import Reader, Section
from amproxy.config.read.kinds import IntegrationKind
from amproxy.config.structs import Global, Notify, Receiver, Urgency, User, Wait

REGISTRY: Final = {
    "webhook": "amproxy.notify.channels.webhook.settings:WEBHOOK",
    "email": "amproxy.notify.channels.email.settings:EMAIL",
    "slack": "amproxy.notify.channels.slack.settings:SLACK",
    "telegram": "amproxy.notify.channels.telegram.settings:TELEGRAM",
    "alertmanager": "amproxy.notify.channels.webhook.settings:ALERTMANAGER",
    "console": "amproxy.notify.channels.console:CONSOLE",
}

# Seconds between one contact and the next, for people without notification rules.
DEFAULT_CONTACT_WAIT = 300.0
URGENCIES: tuple[Urgency, ...] = ("default", "important")
# The channels that a contact `phone` serves; without rules a person gets the first, a call.
_PHONE_CHANNELS = ("phone_call", "sms")

# How values of alerts are made safe in a receiver's own text: left as they are, safe between tags,
# or safe within attributes too.
Escape = Literal["none", "text", "attribute"]


@dataclass(frozen=True, kw_only=True)
class ChannelKind:
    """Everything that is known of a channel besides how it sends."""

    channel: str  # MODULE:CLASS of the notify.channels.Channel
    poller: str = ""  # MODULE:CLASS of the notify.channels.Poller that fetches presses; "" = none
    # Entries of `NAME_configs`; None where no receiver has such.
    integration: IntegrationKind | None = None
    build: Callable[[Section], Any] = dict  # entry → settings
    reason_undeliverable: Callable[[Section], str] = lambda section: ""  # of an entry; "" = none
    unused: tuple[str, ...] = ()  # keys that load and have no effect
    templates: tuple[str, ...] = ()  # keys that are Jinja2
    escape: Callable[[Any, str], Escape] = lambda settings, key: "none"  # settings, key
    # Keys of `global`: their readers, secrets (each with a twin KEY_file) and defaults.
    global_keys: Mapping[str, Reader] = field(default_factory=dict)
    global_secrets: Mapping[str, Reader] = field(default_factory=dict)
    global_defaults: Mapping[str, Any] = field(default_factory=dict)
    check_global: Callable[[Section], None] = lambda section: None
    build_global: Callable[[Section], Any] | None = None  # `global` → settings to reach people
    reaches_people: bool = True  # whether contacts and rules may name it
    addresses_people: bool = True  # whether a contact's address says who the person is
    # An address → the account by which its person is recognised, in one normal form; "" = it only
    # receives. No two people share an account (config/identities.py).
    account: Callable[[str], str] = lambda address: ""
    signs_in: bool = False  # the account is one of the sign-in, not of presses in a chat
    # A contact's address and the settings to reach people → the reason why it is never called.
    refused_address: Callable[[str, Any], str] = lambda address, settings: ""
    # Whether the file has what brings presses of buttons back; None = the channel has none.
    receives_presses: Callable[[Global, Mapping[str, Receiver]], bool | None] = (
        lambda global_, receivers: None
    )


@cache
def channel_kind(name: str) -> ChannelKind:
    """The kind of a channel of the registry. Raises KeyError for another name."""
    kind = load_name(REGISTRY[name])
    assert isinstance(kind, ChannelKind)
    return kind


def load_name(place: str) -> Any:
    """Import MODULE:NAME."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def channel_kinds() -> dict[str, ChannelKind]:
    """All channels by name, in the order of the registry."""
    return {name: channel_kind(name) for name in REGISTRY}


@cache
def paging_channels() -> frozenset[str]:
    """The channels over which amproxy can page a person."""
    return frozenset(name for name, kind in channel_kinds().items() if kind.reaches_people)


def addresses_people(name: str) -> bool:
    """Tell whether an address of this channel says who a person is; a webhook's does not."""
    return name not in REGISTRY or channel_kind(name).addresses_people


def notification_rules(user: User, urgency: Urgency) -> tuple[Notify | Wait, ...]:
    """The rules for pages of this urgency, in order; () = the person cannot be reached.

    Without important rules the default ones apply; without those, every contact in the order
    written, DEFAULT_CONTACT_WAIT apart.
    """
    return (
        user.notification_rules.get(urgency)
        or user.notification_rules.get("default")
        or _default_rules(user)
    )


def contact_address(user: User, channel: str) -> str | None:
    """The person's address on a channel; None = there is none.

    A contact `phone` serves `sms` and `phone_call`.
    """
    return (
        user.contacts.get(channel)
        or (user.contacts.get("phone") if channel in _PHONE_CHANNELS else None)
        or None
    )


def own_channels(user: User) -> tuple[str, ...]:
    """The contacts that are channels, in order; `phone` is none, it serves others."""
    return tuple(name for name in user.contacts if name != "phone")


def contact_channels(user: User) -> tuple[str, ...]:
    """The channels of the person's rules, of any urgency, in order; else those of the contacts."""
    rules = (rule for urgency in URGENCIES for rule in notification_rules(user, urgency))
    channels = (channel for rule in rules if isinstance(rule, Notify) for channel in rule.channels)
    return tuple(dict.fromkeys(channels))


def address_digest(address: str) -> str:
    """A short hash of a contact's address: the same for the same one, without showing it."""
    return hashlib.sha256(address.encode()).hexdigest()[:12]


def _default_rules(user: User) -> tuple[Notify | Wait, ...]:
    channels = dict.fromkeys(
        _PHONE_CHANNELS[0] if contact == "phone" else contact
        for contact, address in user.contacts.items()
        if address
    )
    steps: list[Notify | Wait] = []
    for channel in channels:
        if steps:
            steps.append(Wait(seconds=DEFAULT_CONTACT_WAIT))
        steps.append(Notify(channels=(channel,)))
    return tuple(steps)
