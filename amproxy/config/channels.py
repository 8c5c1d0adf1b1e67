"""The registry of channels: one line each, and every other table of channels is derived from it.

A channel is a folder or file below notify/channels/. What the file says of it is read by its own
settings module, which a line names as MODULE:NAME and which is imported when it is first asked for,
as a plug-in is: config knows the form of a channel, the channel knows config's readers, and code
that sends is not loaded to check a file. Below the registry: how one person is reached over them,
and why they may not be.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any, Final

from amproxy.config.read.cursor import Reader, Section
from amproxy.config.read.kinds import IntegrationKind
from amproxy.config.structs import (
    Config,
    Global,
    Notify,
    Receiver,
    Urgency,
    User,
    Wait,
)
from amproxy.text import Phrase

REGISTRY: Final = {
    "webhook": "amproxy.notify.channels.webhook.settings:WEBHOOK",
    "email": "amproxy.notify.channels.email.settings:EMAIL",
    "slack": "amproxy.notify.channels.slack.settings:SLACK",
    "telegram": "amproxy.notify.channels.telegram.settings:TELEGRAM",
    "pagerduty": "amproxy.notify.channels.pagerduty.settings:PAGERDUTY",
    "opsgenie": "amproxy.notify.channels.opsgenie.settings:OPSGENIE",
    "victorops": "amproxy.notify.channels.victorops.settings:VICTOROPS",
    "pushover": "amproxy.notify.channels.pushover.settings:PUSHOVER",
    "jira": "amproxy.notify.channels.jira.settings:JIRA",
    "sns": "amproxy.notify.channels.sns.settings:SNS",
    "discord": "amproxy.notify.channels.discord.settings:DISCORD",
    "msteams": "amproxy.notify.channels.msteams.settings:MSTEAMS",
    "msteamsv2": "amproxy.notify.channels.msteams.settings:MSTEAMSV2",
    "webex": "amproxy.notify.channels.webex.settings:WEBEX",
    "wechat": "amproxy.notify.channels.wechat.settings:WECHAT",
    "rocketchat": "amproxy.notify.channels.rocketchat.settings:ROCKETCHAT",
    "mattermost": "amproxy.notify.channels.mattermost.settings:MATTERMOST",
    "incidentio": "amproxy.notify.channels.incidentio.settings:INCIDENTIO",
    "alertmanager": "amproxy.notify.channels.webhook.settings:ALERTMANAGER",
    "push": "amproxy.notify.channels.push.settings:PUSH_KIND",
    "console": "amproxy.notify.channels.console:CONSOLE",
}

# Seconds between one contact and the next, for people without notification rules.
DEFAULT_CONTACT_WAIT = 300.0
URGENCIES: tuple[Urgency, ...] = ("default", "important")
# The channels that a contact `phone` serves; without rules a person gets the first, a call.
_PHONE_CHANNELS = ("phone_call", "sms")


@dataclass(frozen=True, kw_only=True)
class ChannelKind:
    """Everything that is known of a channel besides how it sends."""

    channel: str  # MODULE:CLASS of the notify.channels.Channel
    poller: str = ""  # MODULE:CLASS of the notify.channels.Poller that fetches presses; "" = none
    # Entries of `NAME_configs`; None where no receiver has such.
    integration: IntegrationKind | None = None
    build: Callable[[Section], Any] = dict  # entry → settings
    # An entry, and the settings built of it → the reason why it cannot be sent.
    entry_fault: Callable[[Section, Any], Phrase | None] = lambda section, settings: None
    unused: tuple[str, ...] = ()  # keys that load and have no effect
    # Fields of the settings whose texts are templates, those in lists, maps and structs too.
    templates: tuple[str, ...] = ()
    # Those of them that are maps whose own keys are templates too; keys of maps within always are.
    templated_keys: tuple[str, ...] = ()
    # Texts of fields that the file leaves out ("" or empty), for a group that nobody is paged for.
    default_texts: Mapping[str, Any] = field(default_factory=dict)
    # Settings → whether a group's later messages change or follow up the first one.
    updates_groups: Callable[[Any], bool] = lambda settings: False
    # Settings, key → whether its text is HTML, in which values are escaped by context.
    is_html: Callable[[Any, str], bool] = lambda settings, key: False
    # Keys of `global`: their readers, secrets (each with a twin KEY_file) and defaults.
    global_keys: Mapping[str, Reader] = field(default_factory=dict)
    global_secrets: Mapping[str, Reader] = field(default_factory=dict)
    global_defaults: Mapping[str, Any] = field(default_factory=dict)
    check_global: Callable[[Section], None] = lambda section: None
    build_global: Callable[[Section], Any] | None = None  # `global` → settings to reach people
    reaches_people: bool = True  # whether contacts and rules may name it
    # Whether people subscribe by themselves; the channel is made with what ends a subscription.
    has_subscribers: bool = False
    addresses_people: bool = True  # whether a contact's address says who the person is
    # An address → the account by which its person is recognised, in one normal form; "" = it only
    # receives. No two people share an account (config/identities.py).
    account: Callable[[str], str] = lambda address: ""
    signs_in: bool = False  # the account is one of the sign-in, not of presses in a chat
    # Keys of `global` without which nobody is reached → the fields of the settings to reach people
    # of which one must be set.
    needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    # A contact's address and the settings to reach people → the reason why it is never called.
    contact_fault: Callable[[str, Any], Phrase | None] = lambda address, settings: None
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


def used_channels(config: Config) -> list[str]:
    """The channels over which the file's receivers and people are told, in the registry's order."""
    used = {one.kind for receiver in config.receivers.values() for one in receiver.integrations}
    for user in config.users.values():
        used.update(contact_channels(user))
    return [name for name in REGISTRY if name in used]


def addresses_people(name: str) -> bool:
    """Tell whether an address of this channel says who a person is; a webhook's does not."""
    return name not in REGISTRY or channel_kind(name).addresses_people


def why_undeliverable(config: Config, channel: str, address: str) -> Phrase | None:
    """The reason why no message to a person's contact can arrive; None = the file has none.

    The one place that decides it, for whatever pages, foretells, checks or shows.
    """
    if channel not in paging_channels():
        return Phrase("undeliverable.no_channel", {"channel": channel})
    kind, settings = channel_kind(channel), config.global_.channels.get(channel)
    lacking = [
        key
        for key, names in kind.needs.items()
        if not any(getattr(settings, name, "") for name in names)
    ]
    if lacking:
        return Phrase("undeliverable.lacking", {"keys": ", ".join(lacking)})
    return kind.contact_fault(address, settings)


def why_contact_undeliverable(config: Config, user: User, channel: str) -> Phrase | None:
    """The same of the person's address on a channel, where there is one; None without any."""
    address = contact_address(user, channel)
    return None if address is None else why_undeliverable(config, channel, address)


def is_deliverable(config: Config, user: User, channel: str) -> bool:
    """True where the person has an address on a channel, and messages to it can arrive."""
    address = contact_address(user, channel)
    return address is not None and why_undeliverable(config, channel, address) is None


def can_be_reached(config: Config, user: User) -> bool:
    """True where the person's rules, of any urgency, use a contact that can be delivered to."""
    return any(is_deliverable(config, user, channel) for channel in contact_channels(user))


def notification_rules(config: Config, user: User, urgency: Urgency) -> tuple[Notify | Wait, ...]:
    """The rules for pages of this urgency, in order; () = the person cannot be reached.

    Without important rules the default ones apply; without those, every contact that can be
    delivered to, in the order written and DEFAULT_CONTACT_WAIT apart.
    """
    written = _written_rules(user, urgency)
    if written:
        return written
    steps: list[Notify | Wait] = []
    for channel in _implied_channels(user):
        if is_deliverable(config, user, channel):
            if steps:
                steps.append(Wait(seconds=DEFAULT_CONTACT_WAIT))
            steps.append(Notify(channels=(channel,)))
    return tuple(steps)


def left_out_channels(config: Config, user: User, urgency: Urgency) -> list[tuple[str, Phrase]]:
    """The contacts that `notification_rules` leaves out of rules that are not written: why each."""
    if _written_rules(user, urgency):
        return []
    found = (
        (channel, why_contact_undeliverable(config, user, channel))
        for channel in _implied_channels(user)
    )
    return [(channel, reason) for channel, reason in found if reason]


def _written_rules(user: User, urgency: Urgency) -> tuple[Notify | Wait, ...]:
    return user.notification_rules.get(urgency) or user.notification_rules.get("default") or ()


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
    """The channels of the person's rules, of any urgency, in order; else those of the contacts.

    Among them are those that cannot be delivered to, and those of rules without a contact.
    """
    channels: dict[str, None] = {}
    for urgency in URGENCIES:
        if rules := _written_rules(user, urgency):
            for rule in rules:
                channels |= dict.fromkeys(rule.channels if isinstance(rule, Notify) else ())
        else:
            channels |= dict.fromkeys(_implied_channels(user))
    return tuple(channels)


def address_digest(address: str) -> str:
    """A short hash of a contact's address: the same for the same one, without showing it."""
    return hashlib.sha256(address.encode()).hexdigest()[:12]


def _implied_channels(user: User) -> tuple[str, ...]:
    """The channels that serve the person's contacts, in the order of those."""
    return tuple(
        dict.fromkeys(
            _PHONE_CHANNELS[0] if contact == "phone" else contact
            for contact, address in user.contacts.items()
            if address
        )
    )
