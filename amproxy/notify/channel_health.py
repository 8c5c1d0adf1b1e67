"""The state of each channel: its users, last successes and failures, queue, and missing settings.

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from amproxy.config.channels import REGISTRY, channel_kind
from amproxy.config.structs import Config
from amproxy.oncall.reachable import ContactReachability, PersonReachability
from amproxy.store.deliveries import Delivery, DeliveryRate
from amproxy.text import Phrase

# failing: the last attempt failed, or FAILING_SHARE of the last hour's attempts did.
# undeliverable: nothing that uses the channel can be delivered at all.
ChannelState = Literal["works", "failing", "unknown", "undeliverable"]
FAILING_SHARE = 0.5  # of the attempts of an hour

_WORST_FIRST: Final[tuple[ChannelState, ...]] = ("failing", "undeliverable", "unknown", "works")


class ChannelReceiver(msgspec.Struct, frozen=True, kw_only=True):
    """One integration of a receiver."""

    receiver: str
    integration: str  # "slack/0"
    undeliverable: Phrase | None = None  # why amproxy cannot send to it


class ChannelPerson(msgspec.Struct, frozen=True, kw_only=True):
    """A person whom the channel reaches, or should."""

    user: str
    contact: ContactReachability


class ChannelHealth(msgspec.Struct, frozen=True, kw_only=True):
    """One channel."""

    channel: str
    state: ChannelState
    people: tuple[ChannelPerson, ...]
    receivers: tuple[ChannelReceiver, ...]
    last_sent: Delivery | None
    last_failed: Delivery | None
    rate: DeliveryRate  # of the last hour
    waiting: int  # messages
    answers: bool | None  # True where presses of its buttons come back; None = it has none


def assess_channels(
    config: Config,
    reached: Mapping[str, PersonReachability],
    last: Mapping[str, Mapping[str, Delivery]],
    rates: Mapping[str, DeliveryRate],
    depths: Mapping[str, int],
) -> list[ChannelHealth]:
    """Every channel that the file uses, or that has waiting messages; those that fail first.

    reached: by user. The others are by channel; depths: messages that wait.
    """
    people, receivers = _people_by_channel(reached), _receivers_by_channel(config)
    waiting = {channel for channel, depth in depths.items() if depth > 0}
    channels = []
    for channel in sorted(people.keys() | receivers.keys() | waiting):
        known, rate = last.get(channel, {}), rates.get(channel, DeliveryRate())
        sent, failed = known.get("sent"), known.get("failed")
        persons, integrations = people.get(channel, []), receivers.get(channel, [])
        deliverable = (
            any(one.contact.state not in ("undeliverable", "missing") for one in persons)
            or any(not one.undeliverable for one in integrations)
            or channel in waiting
        )
        health = ChannelHealth(
            channel=channel,
            state=_channel_state(sent, failed, rate) if deliverable else "undeliverable",
            people=tuple(persons),
            receivers=tuple(integrations),
            last_sent=sent,
            last_failed=failed,
            rate=rate,
            waiting=max(0, depths.get(channel, 0)),
            answers=_receives_presses(config, channel),
        )
        channels.append(health)
    return sorted(channels, key=lambda one: (_WORST_FIRST.index(one.state), one.channel))


def _people_by_channel(reached: Mapping[str, PersonReachability]) -> dict[str, list[ChannelPerson]]:
    """Channel → the people who have it as a contact, or whose rules name it."""
    people: dict[str, list[ChannelPerson]] = {}
    for user, reach in reached.items():
        for contact in reach.contacts:
            people.setdefault(contact.channel, []).append(ChannelPerson(user=user, contact=contact))
    return people


def _receivers_by_channel(config: Config) -> dict[str, list[ChannelReceiver]]:
    """Channel → the integrations of receivers; those that page people are no channel."""
    by_channel: dict[str, list[ChannelReceiver]] = {}
    for receiver in config.receivers.values():
        for one in receiver.integrations:
            if one.kind != "oncall":
                integration = ChannelReceiver(
                    receiver=receiver.name,
                    integration=f"{one.kind}/{one.index}",
                    undeliverable=one.undeliverable,
                )
                by_channel.setdefault(one.kind, []).append(integration)
    return by_channel


def _channel_state(
    sent: Delivery | None, failed: Delivery | None, rate: DeliveryRate
) -> ChannelState:
    """The state by the last deliveries and the rate of the last hour."""
    if failed is None:
        return "works" if sent else "unknown"
    often = rate.attempts > 0 and rate.failed / rate.attempts >= FAILING_SHARE
    if sent is None or failed.at > sent.at or often:
        return "failing"
    return "works"


def _receives_presses(config: Config, channel: str) -> bool | None:
    """True where the file has all that presses of buttons need; None = the channel has none."""
    if channel not in REGISTRY:
        return None
    return channel_kind(channel).receives_presses(config.global_, config.receivers)
