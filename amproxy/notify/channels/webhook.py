"""The webhook out: Alertmanager's own v4 payload by POST, so that amproxy can stand in front of what listens to Alertmanager.

Forwarding to another Alertmanager: a group's alerts go on by `POST /api/v2/alerts`, labels and annotations unchanged.
"""

from __future__ import annotations

import httpx
import msgspec

from amproxy import __version__
from amproxy.config.structs import Global, WebhookSettings
from amproxy.errors import DeliveryError
from amproxy.model import Alert
from amproxy.notify.alertmanager_payload import build_payload, go_time
from amproxy.notify.channels.http import TIMEOUT, HttpClients, response_error, send_request
from amproxy.notify.channels.http_settings import settings_for_url
from amproxy.notify.message import Card
from amproxy.secret import Secret, reveal

_WEBHOOK = "webhook"
_HEADERS = {"Content-Type": "application/json", "User-Agent": f"amproxy/{__version__}", "Accept-Encoding": "identity"}


class WebhookChannel:
    """Any 2xx is success, whatever its body. 408, 425, 429 and 5xx are temporary; all else, redirects included, is refused for good."""

    name = "webhook"
    threads = False

    def __init__(self) -> None:
        self._clients = HttpClients()

    def person(self, global_: Global, address: str) -> WebhookSettings:
        """The contact is the URL. Raises DeliveryError (permanent) where it is none."""
        _check_url(address)
        return msgspec.structs.replace(global_.webhook, url=Secret(address), url_file="")

    async def send(self, settings: WebhookSettings, card: Card) -> dict[str, str]:
        """POST the card. Raises DeliveryError."""
        await post_json(self._clients, _WEBHOOK, settings, webhook_url(settings), build_payload(card))
        return {"state": card.state}

    async def edit(self, settings: WebhookSettings, ref: dict[str, str], card: Card) -> dict[str, str]:
        """What was posted cannot be changed: a new state is posted anew, anything else is not told."""
        return ref if ref.get("state") == card.state else await self.send(settings, card)

    async def close(self) -> None:
        await self._clients.close()


async def post_json(clients: HttpClients, who: str, settings: WebhookSettings, url: str, body: bytes) -> None:
    """POST JSON as the settings' http_config says. Raises DeliveryError for any answer but 2xx."""
    timeout = settings.timeout or TIMEOUT
    client = clients.client(settings_for_url(settings.http, url), timeout)
    answer = await send_request(client, who, url, within=timeout, ignore_body=True, content=body, headers=_HEADERS)
    if not 200 <= answer.status < 300:
        raise response_error(answer, who)


def webhook_url(settings: WebhookSettings) -> str:
    """The URL that the settings name. Raises DeliveryError (permanent) where there is none that can be used."""
    try:
        return _check_url(reveal(settings.url, settings.url_file))
    except (OSError, UnicodeError) as error:
        raise DeliveryError(f"webhook: url_file cannot be read: {error}", permanent=True) from None


def _check_url(url: str) -> str:
    """The URL itself never goes into an error: it may hold a secret."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        raise DeliveryError("webhook: the URL is not valid", permanent=True) from None
    if parsed.scheme not in {"http", "https"} or not parsed.host or (parsed.port or 0) > 65535:
        raise DeliveryError("webhook: the URL is not http:// or https:// with a host", permanent=True)
    return url


_ALERTMANAGER = "alertmanager"
_V2_ALERTS_PATH = "/api/v2/alerts"
MIN_ALERT_LIFETIME = 300.0  # seconds


class AlertmanagerChannel:
    """A firing alert is given an end that outlasts the next repeat, so that it lives there as long as it is told of here."""

    name = "alertmanager"
    threads = False

    def __init__(self) -> None:
        self._clients = HttpClients()

    def person(self, global_: Global, address: str) -> WebhookSettings:
        """Nobody is paged over an Alertmanager."""
        raise DeliveryError("a person cannot be paged over an Alertmanager", permanent=True)

    async def send(self, settings: WebhookSettings, card: Card) -> dict[str, str]:
        """POST the card's alerts. Raises DeliveryError."""
        lease_ns = int(max(2 * card.repeats_every, MIN_ALERT_LIFETIME) * 10**9)
        now_ns = int(card.at * 10**9)
        body = msgspec.json.encode([_postable_alert(alert, now_ns, lease_ns) for alert in card.alerts])
        url = webhook_url(settings).rstrip("/")
        await post_json(self._clients, _ALERTMANAGER, settings, url if url.endswith(_V2_ALERTS_PATH) else url + _V2_ALERTS_PATH, body)
        return {}

    async def edit(self, settings: WebhookSettings, ref: dict[str, str], card: Card) -> dict[str, str]:
        """Told anew: an Alertmanager merges what it hears of one alert."""
        return await self.send(settings, card)

    async def close(self) -> None:
        await self._clients.close()


def _postable_alert(alert: Alert, now_ns: int, lease_ns: int) -> dict[str, object]:
    over = alert.resolved(now_ns)
    ends_ns = (alert.ends_ns or now_ns) if over else now_ns + lease_ns
    return {
        "labels": alert.labels,
        "annotations": alert.annotations,
        "startsAt": go_time(alert.starts_ns, alert.starts_offset),
        "endsAt": go_time(ends_ns, 0),
        "generatorURL": alert.generator_url,
    }
