"""Web Push: a person's devices, each by its own push service, which the browser has chosen."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, NamedTuple

import httpx
import msgspec

from amproxy import clock
from amproxy.config.channels import address_digest
from amproxy.config.structs import Global
from amproxy.config.subscriptions import PUSH, Subscription
from amproxy.errors import DeliveryError
from amproxy.notify.channels import EndSubscription
from amproxy.notify.channels.http import (
    TIMEOUT,
    HttpClients,
    response_error,
    send_request,
    uses_proxy,
)
from amproxy.notify.channels.http_settings import settings_for_url
from amproxy.notify.channels.push.encryption import MAX_TEXT, BadKeys, encrypt
from amproxy.notify.channels.push.message import PushMessage, build_message
from amproxy.notify.channels.push.settings import PushSettings
from amproxy.notify.channels.push.vapid import Signer, subject_of
from amproxy.notify.channels.reach import check_before_proxy
from amproxy.notify.message import Card
from amproxy.store.outbox import RateLimit
from amproxy.text import Phrase, phrase

SERVICE: Final = "push"
# Attempts at a message of which one device has it already and another's service is in trouble.
MAX_PARTIAL_TRIES: Final = 3
_MAX_REMEMBERED: Final = 1000  # messages that some devices have and others not
_SHORTEST_SECRET: Final = 8  # characters of a part of an endpoint
_GONE: Final = frozenset({404, 410})  # RFC 8030: the subscription is over


class PartlySent(NamedTuple):
    """A message that some devices have."""

    devices: frozenset[str] = frozenset()  # ids of those that have it
    tries: int = 0


class PushChannel:
    """A message is sent as soon as one device has it; one whose service is in trouble is retried.

    What a second attempt repeats replaces the same notification.
    """

    name = PUSH
    threads = False

    def __init__(self, end: EndSubscription | None = None) -> None:
        """end: called for each subscription that its push service has given up."""
        self._end = end
        self._clients, self._signer = HttpClients(), Signer()
        # By Card.key and, of an update, the state.
        self._partial: OrderedDict[tuple[str, str], PartlySent] = OrderedDict()

    def person(self, global_: Global, address: str) -> PushSettings:
        """The contact is the person's name."""
        settings: PushSettings = global_.channels.get(PUSH, PushSettings())
        return msgspec.structs.replace(settings, user=address)

    def rate_limit(self, settings: PushSettings) -> RateLimit:
        """The person's. After 429, messages to them keep a second apart for a while."""
        return RateLimit((f"push:{address_digest(settings.user)}",), 1.0)

    async def send(self, settings: PushSettings, card: Card) -> dict[str, str]:
        """Push a card to the person's devices. Raises DeliveryError."""
        return await self._tell(settings, card, update=False)

    async def edit(self, settings: PushSettings, ref: dict[str, str], card: Card) -> dict[str, str]:
        """Replace the notification where the state has changed; other news wakes nobody."""
        if ref.get("state") == card.state:
            return ref
        return await self._tell(settings, card, update=True)

    async def _tell(self, settings: PushSettings, card: Card, *, update: bool) -> dict[str, str]:
        message = build_message(card, MAX_TEXT, update=update)
        subject, attempt = subject_of(card.url), (card.key, card.state if update else "")
        known = self._partial.pop(attempt, PartlySent())
        devices = [one for one in _devices(settings) if one.id not in known.devices]
        results = await asyncio.gather(
            *(self._push(settings, device, message, subject) for device in devices)
        )
        failed = [error for error in results if error is not None]
        reached = known.devices | {
            device.id for device, error in zip(devices, results, strict=True) if error is None
        }
        again = next((error for error in failed if not error.permanent), None)
        if again is not None and (not reached or known.tries + 1 < MAX_PARTIAL_TRIES):
            if reached:
                self._remember(attempt, PartlySent(reached, known.tries + 1))
            raise again
        if not reached:
            raise failed[0] if failed else _no_device()
        return {"state": card.state}

    async def close(self) -> None:
        """End connections."""
        await self._clients.close()

    def _remember(self, key: tuple[str, str], partial: PartlySent) -> None:
        self._partial[key] = partial
        if len(self._partial) > _MAX_REMEMBERED:
            self._partial.popitem(last=False)

    async def _push(
        self, settings: PushSettings, device: Subscription, message: PushMessage, subject: str
    ) -> DeliveryError | None:
        """Push to one device; None = its service has taken it."""
        try:
            await self._post(settings, device, message, subject)
        except DeliveryError as error:
            return error
        return None

    async def _post(
        self, settings: PushSettings, device: Subscription, message: PushMessage, subject: str
    ) -> None:
        """Raises DeliveryError; what the push service says of the reason is part of it."""
        who, url = host_of(device.endpoint), device.endpoint
        if not url.startswith("https://"):
            raise DeliveryError(phrase("failure.bad_url", service=SERVICE), permanent=True)
        http = settings_for_url(settings.http, url)
        if uses_proxy(http):
            await check_before_proxy(who, url, settings.reach)
        headers = {
            "Authorization": self._signer.authorization(settings, url, subject, clock.now()),
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(message.ttl),
            "Urgency": message.urgency,
        }
        if message.topic:
            headers["Topic"] = message.topic
        try:
            body = encrypt(message.text, device.p256dh, device.auth)
        except BadKeys:
            raise DeliveryError(phrase("failure.push_keys"), permanent=True) from None
        response = await send_request(
            self._clients.client(http, TIMEOUT, settings.reach),
            who,
            url,
            content=body,
            headers=headers,
        )
        if response.status in _GONE:
            if self._end is not None:
                await self._end(device)
            words = phrase("failure.push_ended", device=device.name)
            raise DeliveryError(words, permanent=True)
        if not 200 <= response.status < 300:
            said = response.body.decode("utf-8", "replace")
            raise response_error(response, who, "" if _quotes(said, url) else said)


def _devices(settings: PushSettings) -> Sequence[Subscription]:
    """The devices of the settings' person. Raises DeliveryError where there are none."""
    found = (settings.devices or {}).get(settings.user, ())
    if not found:
        raise _no_device()
    return found


def _quotes(said: str, endpoint: str) -> bool:
    """True for an answer that repeats a part of the address, which is a secret."""
    parts = (part for part in endpoint.split("/")[3:] if len(part) >= _SHORTEST_SECRET)
    return any(part in said for part in parts)


def _no_device() -> DeliveryError:
    words = phrase("failure.because", service=SERVICE, reason=Phrase("undeliverable.no_device"))
    return DeliveryError(words, permanent=True)


def host_of(endpoint: str) -> str:
    """The name of a push service, which is all of an endpoint that may show."""
    try:
        return httpx.URL(endpoint).host or SERVICE
    except httpx.InvalidURL:
        return SERVICE
