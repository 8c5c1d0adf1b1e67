"""A test page: shows one person that what is meant for them arrives. Pure.

Tests that somebody asks for: a page to a person over their contacts, a notification to a receiver's integrations.

Both take the ordinary road through the outbox; what became of them is in the log of deliveries.
"""

from __future__ import annotations

from amproxy.config import contacts
from amproxy.config.contacts import CHANNELS
from amproxy.config.structs import Integration, Receiver, User
from amproxy.context import Context
from amproxy.errors import NotFound
from amproxy.labels.fingerprint import fingerprint
from amproxy.machine.draft import new_id
from amproxy.model import Alert, Group, OutgoingMessage
from amproxy.respond.targets import BadAction
from amproxy.store.commit import Operations, commit
from amproxy.store.incidents import enqueue

TEST_PAGE_SUBJECT = "Test page"
TEST_PAGE_TEXT = "Somebody wanted to know whether pages reach you over {channel}. They do; there is nothing to do."


def build_test_pages(user: User, channels: tuple[str, ...], now: float) -> list[OutgoingMessage]:
    """One message over each channel that the person has an address for. now: Unix seconds."""
    addresses = [(channel, contacts.contact_address(user, channel)) for channel in channels]
    return [
        OutgoingMessage(
            id=new_id(), kind="notice", channel=channel, user=user.name, urgent=True, due=now, address=address, subject=TEST_PAGE_SUBJECT,
            text=TEST_PAGE_TEXT.format(channel=channel),
        )
        for channel, address in addresses if address
    ]  # fmt: skip


TEST_NOTIFICATION_DEADLINE = 60.0  # seconds in which a test notification is tried again


async def send_test_page(context: Context, name: str, channel: str = "") -> tuple[str, ...]:
    """Send a test page to a person; over every contact where no channel is named. Returns the channels.

    Raises NotFound, BadAction, StoreUnavailable.
    """
    user = context.config.users.get(name)
    if user is None:
        raise NotFound(f"there is no user {name[:60]}")
    wanted = _select_channels(user, channel)
    await _enqueue_messages(context, build_test_pages(user, wanted, context.now()))
    return wanted


async def send_test_notification(context: Context, name: str, integration: str = "") -> tuple[str, ...]:
    """Send a test notification to a receiver; to all its integrations where none ("slack/0") is named. Returns their names.

    Raises NotFound, BadAction, StoreUnavailable.
    """
    receiver = context.config.receivers.get(name)
    if receiver is None:
        raise NotFound(f"there is no receiver {name[:60]}")
    wanted, now = _select_integrations(receiver, integration), context.now()
    await _enqueue_messages(context, [_test_notification(receiver, one, now) for one in wanted])
    return tuple(integration_key(one) for one in wanted)


def integration_key(integration: Integration) -> str:
    """What an integration is called within its receiver: "slack/0"."""
    return f"{integration.kind}/{integration.index}"


def _select_channels(user: User, asked: str) -> tuple[str, ...]:
    known = tuple(
        channel for channel in dict.fromkeys((*contacts.contact_channels(user), *user.contacts)) if contacts.contact_address(user, channel)
    )
    if asked and asked not in known:
        raise BadAction(f"{user.name} has no contact {asked[:60]!r}")
    wanted = tuple(channel for channel in ((asked,) if asked else known) if channel in CHANNELS)
    if not wanted:
        why = f"amproxy cannot deliver over {asked}" if asked else f"{user.name} has no contact that amproxy can deliver to"
        raise BadAction(why)
    return wanted


def _select_integrations(receiver: Receiver, asked: str) -> list[Integration]:
    known = [one for one in receiver.integrations if asked in ("", integration_key(one))]
    if not known:
        raise BadAction(f"the receiver {receiver.name} has no {asked[:60]!r}" if asked else f"the receiver {receiver.name} tells nobody")
    wanted = [one for one in known if one.kind != "oncall" and not one.undeliverable]
    if wanted:
        return wanted
    if any(one.kind == "oncall" for one in known):
        raise BadAction("a test of oncall_configs would page people: send a test alert instead")
    raise BadAction(f"amproxy cannot deliver to it: {known[0].undeliverable}")


def _test_notification(receiver: Receiver, integration: Integration, now: float) -> OutgoingMessage:
    """As a flush would make it, of a group that does not exist."""
    alert, message_id = _test_alert(receiver.name, now), new_id()
    group = Group(
        id=f"test-{message_id}", key=f"test-{message_id}", receiver=receiver.name, route_key="{}",
        labels={"alertname": alert.labels["alertname"]},
    )  # fmt: skip
    return OutgoingMessage(
        id=message_id, kind="notification", channel=integration.kind, due=now, deadline=now + TEST_NOTIFICATION_DEADLINE, group=group,
        integration=integration_key(integration), alerts=[alert], reason="first notification",
    )  # fmt: skip


def _test_alert(receiver: str, now: float) -> Alert:
    labels = {"alertname": "TestAlert", "receiver": receiver}
    annotations = {"summary": f"A test of the receiver {receiver}: nothing is wrong, and there is nothing to do."}
    return Alert(fingerprint=fingerprint(labels), labels=labels, annotations=annotations, starts_ns=int(now * 10**9))


async def _enqueue_messages(context: Context, messages: list[OutgoingMessage]) -> None:
    operations = Operations()
    for message in messages:
        enqueue(operations, message)
    await commit(context.wire, operations)
    context.wake(outbox=True)
