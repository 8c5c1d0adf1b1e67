"""Tests by hand: a page to a person over their contacts, a notification to a receiver.

Both go out by the outbox like any other message; their outcomes are in the log of deliveries.
"""

from __future__ import annotations

from typing import Final

from amproxy.config.channels import (
    contact_address,
    contact_channels,
    why_contact_undeliverable,
)
from amproxy.config.structs import Config, Integration, Receiver, User
from amproxy.context import Context
from amproxy.errors import NotFound
from amproxy.labels.fingerprint import fingerprint
from amproxy.machine.draft import new_id
from amproxy.model import Alert, Group, OutgoingMessage
from amproxy.respond.targets import BadAction
from amproxy.store.commit import Operations, commit
from amproxy.store.incidents import enqueue
from amproxy.text import Phrase, phrase

TEST_PAGE_SUBJECT: Final = phrase("notice.test_page")
TEST_PAGE_TEXT = (
    "Somebody wanted to know whether pages reach you over {channel}. "
    "They do; there is nothing to do."
)
TEST_NOTIFICATION_DEADLINE = 60.0  # seconds in which a test notification is tried again


async def send_test_page(context: Context, name: str, channel: str = "") -> tuple[str, ...]:
    """Send a test page to a person, over every contact where no channel is named.

    Return the channels. Raises NotFound, BadAction, StoreUnavailable.
    """
    user = context.config.users.get(name)
    if user is None:
        raise NotFound(Phrase("refusal.no_user", {"user": name[:60]}))
    channels = _select_channels(context.config, user, channel)
    await _enqueue_messages(context, build_test_pages(user, channels, context.now()))
    return channels


async def send_test_notification(
    context: Context, name: str, integration: str = ""
) -> tuple[str, ...]:
    """Send a test notification to a receiver, to all integrations where none ("slack/0") is named.

    Return their names. Raises NotFound, BadAction, StoreUnavailable.
    """
    receiver = context.config.receivers.get(name)
    if receiver is None:
        raise NotFound(Phrase("refusal.no_receiver", {"receiver": name[:60]}))
    selected, now = _select_integrations(receiver, integration), context.now()
    await _enqueue_messages(context, [_test_notification(receiver, one, now) for one in selected])
    return tuple(_integration_key(one) for one in selected)


def build_test_pages(user: User, channels: tuple[str, ...], now: float) -> list[OutgoingMessage]:
    """One message over each channel that the person has an address for. now: Unix seconds."""
    addresses = [(channel, contact_address(user, channel)) for channel in channels]
    return [
        OutgoingMessage(
            id=new_id(),
            kind="notice",
            channel=channel,
            user=user.name,
            urgent=True,
            due=now,
            address=address,
            subject=TEST_PAGE_SUBJECT,
            text=TEST_PAGE_TEXT.format(channel=channel),
        )
        for channel, address in addresses
        if address
    ]


def _integration_key(integration: Integration) -> str:
    """The name of an integration within its receiver: "slack/0"."""
    return f"{integration.kind}/{integration.index}"


def _select_channels(config: Config, user: User, channel: str) -> tuple[str, ...]:
    """The channels to test: the one given, or all ("") that can be delivered to."""
    names = dict.fromkeys((*contact_channels(user), *user.contacts))
    known = tuple(name for name in names if contact_address(user, name))
    if channel and channel not in known:
        raise BadAction(Phrase("refusal.no_contact", {"user": user.name, "channel": channel[:60]}))
    reasons = {name: why_contact_undeliverable(config, user, name) for name in known}
    if channel and (reason := reasons[channel]):
        raise BadAction(
            Phrase("refusal.contact_undeliverable", {"channel": channel, "reason": reason})
        )
    selected = (channel,) if channel else tuple(name for name in known if not reasons[name])
    if not selected:
        why = tuple(
            Phrase("reach.contact", {"channel": name, "problem": one})
            for name, one in reasons.items()
            if one
        )
        key = "refusal.no_deliverable_contact" if why else "refusal.no_contact_at_all"
        raise BadAction(Phrase(key, {"user": user.name, "why": why}))
    return selected


def _select_integrations(receiver: Receiver, key: str) -> list[Integration]:
    """The integrations to test: the one given, or all ("")."""
    known = [one for one in receiver.integrations if key in ("", _integration_key(one))]
    if not known and key:
        raise BadAction(
            Phrase("refusal.no_integration", {"receiver": receiver.name, "integration": key[:60]})
        )
    if not known:
        raise BadAction(Phrase("refusal.receiver_empty", {"receiver": receiver.name}))
    selected = [one for one in known if one.kind != "oncall" and not one.undeliverable]
    if selected:
        return selected
    if any(one.kind == "oncall" for one in known):
        raise BadAction(Phrase("refusal.test_pages_people"))
    reason = next(one.undeliverable for one in known if one.undeliverable)
    raise BadAction(Phrase("refusal.undeliverable", {"reason": reason}))


def _test_notification(receiver: Receiver, integration: Integration, now: float) -> OutgoingMessage:
    """A notification as from a flush, of a group that does not exist."""
    alert, message_id = _test_alert(receiver.name, now), new_id()
    group = Group(
        id=f"test-{message_id}",
        key=f"test-{message_id}",
        receiver=receiver.name,
        route_key="{}",
        labels={"alertname": alert.labels["alertname"]},
    )
    return OutgoingMessage(
        id=message_id,
        kind="notification",
        channel=integration.kind,
        due=now,
        deadline=now + TEST_NOTIFICATION_DEADLINE,
        group=group,
        integration=_integration_key(integration),
        alerts=[alert],
        reason="first notification",
    )


def _test_alert(receiver: str, now: float) -> Alert:
    labels = {"alertname": "TestAlert", "receiver": receiver}
    test = f"A test of the receiver {receiver}"
    return Alert(
        fingerprint=fingerprint(labels),
        labels=labels,
        annotations={"summary": f"{test}: nothing is wrong, and there is nothing to do."},
        starts_ns=int(now * 10**9),
    )


async def _enqueue_messages(context: Context, messages: list[OutgoingMessage]) -> None:
    operations = Operations()
    for message in messages:
        enqueue(operations, message)
    await commit(context.wire, operations)
    context.wake(outbox=True)
