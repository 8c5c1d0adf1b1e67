"""How one person is reached: their notification rules and their addresses."""

from __future__ import annotations

import hashlib

from amproxy.config.structs import Notify, Urgency, User, Wait

DEFAULT_CONTACT_WAIT = 300.0  # seconds between one contact and the next, for people without rules of their own

CHANNELS = frozenset(("telegram", "slack", "email", "webhook", "console"))  # over which amproxy can page a person

URGENCIES: tuple[Urgency, ...] = ("default", "important")

_PHONE_CHANNELS = ("phone_call", "sms")  # channels that a contact `phone` serves; a person without rules is called


def notification_rules(user: User, urgency: Urgency) -> tuple[Notify | Wait, ...]:
    """The rules that a page of this urgency follows, in order; () = there is no way to reach this person.

    Without important rules the default ones serve; without those, every contact in the order written, five minutes apart.
    """
    return user.notification_rules.get(urgency) or user.notification_rules.get("default") or _default_rules(user)


def contact_address(user: User, channel: str) -> str | None:
    """Where a channel reaches this person; None = it cannot. A contact `phone` serves `sms` and `phone_call`."""
    return user.contacts.get(channel) or (user.contacts.get("phone") if channel in _PHONE_CHANNELS else None) or None


def contact_channels(user: User) -> tuple[str, ...]:
    """The channels that the person's rules use, of any urgency, in order; without rules, those of the contacts."""
    every = [rule for urgency in URGENCIES for rule in notification_rules(user, urgency) if isinstance(rule, Notify)]
    return tuple(dict.fromkeys(channel for rule in every for channel in rule.channels))


def address_digest(address: str) -> str:
    """Tells one address of a contact from another without showing it."""
    return hashlib.sha256(address.encode()).hexdigest()[:12]


def _default_rules(user: User) -> tuple[Notify | Wait, ...]:
    channels = dict.fromkeys(_PHONE_CHANNELS[0] if contact == "phone" else contact for contact, where in user.contacts.items() if where)
    steps: list[Notify | Wait] = []
    for channel in channels:
        if steps:
            steps.append(Wait(seconds=DEFAULT_CONTACT_WAIT))
        steps.append(Notify(channels=(channel,)))
    return tuple(steps)
