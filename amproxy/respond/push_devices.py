"""Devices of people that take pushes: switched on, removed, and given up by their push service."""

from __future__ import annotations

import hashlib
from typing import Final
from urllib.parse import urlsplit

from amproxy.config.channels import is_deliverable, own_channels
from amproxy.config.structs import User
from amproxy.config.subscriptions import PUSH, Subscription, devices_of
from amproxy.context import Context
from amproxy.errors import StoreUnavailable
from amproxy.log import EventLog
from amproxy.machine.draft import new_id
from amproxy.model import OutgoingMessage
from amproxy.notify.channels.text import one_line
from amproxy.respond.targets import BadAction
from amproxy.store import subscriptions
from amproxy.store.commit import Operations
from amproxy.store.incidents import enqueue
from amproxy.text import Phrase, phrase

log = EventLog(__name__)

LONGEST_ENDPOINT: Final = 1000  # characters
LONGEST_NAME: Final = 80  # characters of a device's name
_ID_DIGITS: Final = 24


async def public_key(context: Context) -> str:
    """The key that browsers subscribe to, base64url; it is made when it is first wanted.

    Raises DeliveryError where the file's key cannot be used, StoreUnavailable.
    """
    from amproxy.notify.channels.push import vapid
    from amproxy.notify.channels.push.settings import PushSettings

    settings: PushSettings = context.config.global_.channels.get(PUSH, PushSettings())
    if not (settings.vapid_key or settings.vapid_key_file or settings.made_key):
        await subscriptions.save_push_key(context.wire, vapid.make_key())
        await context.load_subscriptions()
        settings = context.config.global_.channels.get(PUSH, settings)
    return vapid.public_key(settings)


async def add_device(
    context: Context,
    user: str,
    *,
    endpoint: str,
    p256dh: str,
    auth: str,
    name: str,
    replaces: str = "",
) -> Subscription:
    """Store what a browser subscribed to. replaces: the endpoint that it had before.

    Raises BadAction for an address that amproxy would not call, and keys that are none;
    StoreUnavailable.
    """
    await _check_endpoint(context, endpoint)
    from amproxy.notify.channels.push.encryption import BadKeys, parse_browser_keys

    try:
        parse_browser_keys(p256dh, auth)
    except BadKeys:
        raise BadAction(Phrase("refusal.push_keys")) from None
    made = Subscription(
        id=subscription_id(endpoint),
        user=user,
        name=one_line(name, LONGEST_NAME) or urlsplit(endpoint).hostname or "",
        endpoint=endpoint,
        p256dh=p256dh.strip(),
        auth=auth.strip(),
        made=context.now(),
    )
    old = subscription_id(replaces) if replaces else ""
    await subscriptions.save_subscription(context.wire, made, old)
    await context.load_subscriptions()
    return made


def subscription_id(endpoint: str) -> str:
    return hashlib.sha256(endpoint.encode("utf-8", "replace")).hexdigest()[:_ID_DIGITS]


async def _check_endpoint(context: Context, endpoint: str) -> None:
    """Raises BadAction."""
    try:
        parts = urlsplit(endpoint)
        fine = parts.scheme == "https" and parts.hostname and not parts.username
        fine = fine and parts.port != 0 and endpoint.isascii() and endpoint.isprintable()
    except ValueError:
        fine = False
    if not fine or " " in endpoint or len(endpoint) > LONGEST_ENDPOINT:
        raise BadAction(Phrase("refusal.push_endpoint"))
    # here, because they bring an HTTP client along
    from amproxy.notify.channels.push.settings import PushSettings
    from amproxy.notify.channels.reach import refused_url

    settings: PushSettings = context.config.global_.channels.get(PUSH, PushSettings())
    if reason := await refused_url(endpoint, settings.reach):
        raise BadAction(Phrase("refusal.push_address", {"reason": reason}))


async def remove_device(context: Context, user: str, subscription_id: str) -> Subscription:
    """Delete a device of a person. Raises NotFound, StoreUnavailable."""
    removed = await subscriptions.delete_subscription(context.wire, user, subscription_id)
    await context.load_subscriptions()
    return removed


async def end_device(context: Context, gone: Subscription) -> None:
    """Put an end to a subscription that its push service has given up, and tell its person.

    While Redis is away nothing happens: the next push finds the same.
    """
    try:
        also = Operations()
        user = context.config.users.get(gone.user)
        if user is not None and (message := _ended_notice(context, user, gone)) is not None:
            enqueue(also, message)
        if not await subscriptions.end_subscription(context.wire, gone, context.now(), also):
            return
        await context.load_subscriptions()
    except StoreUnavailable:
        return
    log.warning("a push subscription is over", user=gone.user, device=gone.name)
    context.wake(outbox=True)


def _ended_notice(context: Context, user: User, gone: Subscription) -> OutgoingMessage | None:
    """The notice over the person's next contact, or other devices; None where they have none."""
    others = any(one.id != gone.id for one in devices_of(context.config, user.name) or ())
    channels = [one for one in own_channels(user) if one != PUSH]
    for channel in (*channels, PUSH) if others else channels:
        if is_deliverable(context.config, user, channel):
            return OutgoingMessage(
                id=new_id(),
                kind="notice",
                channel=channel,
                user=user.name,
                due=context.now(),
                address=user.contacts[channel],
                subject=phrase("notice.push_ended", device=gone.name),
                text=(
                    f"Pages do not reach {gone.name} any more: its browser has given the "
                    f"subscription up. Switch push on again there: {context.external_url}/me"
                ),
                reason="push_ended",
            )
    return None
