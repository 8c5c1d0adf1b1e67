"""The webhook out: Alertmanager's own v4 payload by POST, so that amproxy can stand in front of what listens to Alertmanager."""

from __future__ import annotations

import httpx
import msgspec

from amproxy import __version__
from amproxy.config.structs import Global, WebhookSettings
from amproxy.errors import DeliveryError
from amproxy.notify.alertmanager_payload import payload
from amproxy.notify.channels.http import TIMEOUT, Clients, call, failure
from amproxy.notify.channels.http_settings import toward
from amproxy.notify.message import Card
from amproxy.secret import Secret, reveal

_WHO = "webhook"
_HEADERS = {"Content-Type": "application/json", "User-Agent": f"amproxy/{__version__}", "Accept-Encoding": "identity"}


class WebhookChannel:
    """Any 2xx is success, whatever its body. 408, 425, 429 and 5xx are temporary; all else, redirects included, is refused for good."""

    name = "webhook"
    threads = False

    def __init__(self) -> None:
        self._clients = Clients()

    def person(self, global_: Global, address: str) -> WebhookSettings:
        """The contact is the URL. Raises DeliveryError (permanent) where it is none."""
        _checked(address)
        return msgspec.structs.replace(global_.webhook, url=Secret(address), url_file="")

    async def send(self, settings: WebhookSettings, card: Card) -> dict[str, str]:
        """POST the card. Raises DeliveryError."""
        await post(self._clients, _WHO, settings, target(settings), payload(card))
        return {"state": card.state}

    async def edit(self, settings: WebhookSettings, ref: dict[str, str], card: Card) -> dict[str, str]:
        """What was posted cannot be changed: a new state is posted anew, anything else is not told."""
        return ref if ref.get("state") == card.state else await self.send(settings, card)

    async def close(self) -> None:
        await self._clients.close()


async def post(clients: Clients, who: str, settings: WebhookSettings, url: str, body: bytes) -> None:
    """POST JSON as the settings' http_config says. Raises DeliveryError for any answer but 2xx."""
    timeout = settings.timeout or TIMEOUT
    client = clients.client(toward(settings.http, url), timeout)
    answer = await call(client, who, url, within=timeout, ignore_body=True, content=body, headers=_HEADERS)
    if not 200 <= answer.status < 300:
        raise failure(answer, who)


def target(settings: WebhookSettings) -> str:
    """The URL that the settings name. Raises DeliveryError (permanent) where there is none that can be used."""
    try:
        return _checked(reveal(settings.url, settings.url_file))
    except (OSError, UnicodeError) as error:
        raise DeliveryError(f"webhook: url_file cannot be read: {error}", permanent=True) from None


def _checked(url: str) -> str:
    """The URL itself never goes into an error: it may hold a secret."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        raise DeliveryError("webhook: the URL is not valid", permanent=True) from None
    if parsed.scheme not in {"http", "https"} or not parsed.host or (parsed.port or 0) > 65535:
        raise DeliveryError("webhook: the URL is not http:// or https:// with a host", permanent=True)
    return url
