"""How each way out does: what uses it, when it last worked, what it last failed with, what waits, and what it lacks. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from amproxy.config.contacts import CHANNELS
from amproxy.config.structs import Config, TelegramSettings
from amproxy.oncall.reachable import ContactReachability, PersonReachability
from amproxy.store.deliveries import Delivery, DeliveryRate

ChannelState = Literal["works", "failing", "unknown", "undeliverable"]
FAILING_SHARE = 0.5  # share of failed attempts in an hour from which a channel counts as failing

# Failing: the last attempt failed, or half of the last hour's did. Undeliverable: nothing that uses it can be delivered at all.


class ChannelReceiver(msgspec.Struct, frozen=True, kw_only=True):
    """One integration of a receiver."""

    receiver: str
    integration: str  # "slack/0"
    undeliverable: str = ""  # why amproxy cannot send to it


class ChannelPerson(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody whom the channel reaches, or should."""

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
    answers: bool | None  # whether presses of buttons come back: polling (telegram), a signing secret (slack); None = not its way


def assess_channels(
    config: Config,
    reached: Mapping[str, PersonReachability],
    last: Mapping[str, Mapping[str, Delivery]],
    rates: Mapping[str, DeliveryRate],
    depths: Mapping[str, int],
) -> list[ChannelHealth]:
    """Every channel that the file uses, or that something waits for; those that fail first."""
    people, targets = _people_by_channel(reached), _receivers_by_channel(config)
    waiting = {channel for channel, depth in depths.items() if depth > 0}
    found = []
    for channel in sorted(people.keys() | targets.keys() | waiting):
        known, rate = last.get(channel, {}), rates.get(channel, DeliveryRate())
        sent, failed = known.get("sent"), known.get("failed")
        theirs, ours = tuple(people.get(channel, ())), tuple(targets.get(channel, ()))
        possible = bool(theirs and channel in CHANNELS) or any(not target.undeliverable for target in ours) or channel in waiting
        found.append(
            ChannelHealth(
                channel=channel,
                state=_channel_state(possible, sent, failed, rate),
                people=theirs,
                receivers=ours,
                last_sent=sent,
                last_failed=failed,
                rate=rate,
                waiting=max(0, depths.get(channel, 0)),
                answers=_receives_presses(config, channel),
            )
        )
    order: tuple[ChannelState, ...] = ("failing", "undeliverable", "unknown", "works")
    return sorted(found, key=lambda one: (order.index(one.state), one.channel))


def _people_by_channel(reached: Mapping[str, PersonReachability]) -> dict[str, list[ChannelPerson]]:
    """Channel → those who have it, or whose rules name it."""
    people: dict[str, list[ChannelPerson]] = {}
    for user, reach in reached.items():
        for contact in reach.contacts:
            people.setdefault(contact.channel, []).append(ChannelPerson(user=user, contact=contact))
    return people


def _receivers_by_channel(config: Config) -> dict[str, list[ChannelReceiver]]:
    """Kind of channel → the integrations of receivers; those that page people are no channel."""
    targets: dict[str, list[ChannelReceiver]] = {}
    for receiver in config.receivers.values():
        for one in receiver.integrations:
            if one.kind != "oncall":
                target = ChannelReceiver(receiver=receiver.name, integration=f"{one.kind}/{one.index}", undeliverable=one.undeliverable)
                targets.setdefault(one.kind, []).append(target)
    return targets


def _channel_state(possible: bool, sent: Delivery | None, failed: Delivery | None, rate: DeliveryRate) -> ChannelState:
    if not possible:
        return "undeliverable"
    if failed and (sent is None or failed.at > sent.at or (rate.attempts and rate.failed / rate.attempts >= FAILING_SHARE)):
        return "failing"
    return "works" if sent else "unknown"


def _receives_presses(config: Config, channel: str) -> bool | None:
    """Whether the file has what brings presses of buttons back from a chat."""
    settings = config.global_
    if channel == "telegram":
        receivers = config.receivers.values()
        theirs = [one.settings for receiver in receivers for one in receiver.integrations if isinstance(one.settings, TelegramSettings)]
        return any(bot.bot_token or bot.bot_token_file for bot in (settings.telegram, *theirs))
    if channel == "slack":
        return bool(settings.slack_signing_secret or settings.slack_signing_secret_file)
    return None
