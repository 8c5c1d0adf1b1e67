"""Groups of alerts out over HTTP: Alertmanager's webhook payload, or another Alertmanager's API.

So amproxy can stand in front of a program that listens to Alertmanager, or of an Alertmanager.
"""

from __future__ import annotations

from collections.abc import Iterable

import httpx
import msgspec

from amproxy import __version__, offload
from amproxy.config.channels import address_digest
from amproxy.config.structs import Global
from amproxy.errors import DeliveryError
from amproxy.model import Alert
from amproxy.notify.alertmanager_payload import build_payload, go_json, go_time
from amproxy.notify.channels.http import (
    TIMEOUT,
    HttpClients,
    response_error,
    send_request,
    uses_proxy,
)
from amproxy.notify.channels.http_settings import settings_for_url
from amproxy.notify.channels.reach import check_before_proxy
from amproxy.notify.channels.webhook.settings import WebhookSettings, contact_reach
from amproxy.notify.message import Card
from amproxy.notify.rendered_values import typed_tree
from amproxy.secret import Secret, reveal
from amproxy.store.outbox import RateLimit
from amproxy.text import phrase

MIN_ALERT_LIFETIME = 300.0  # seconds

_V2_ALERTS_PATH = "/api/v2/alerts"
_HEADERS = {
    "Content-Type": "application/json",
    "User-Agent": f"amproxy/{__version__}",
    "Accept-Encoding": "identity",
}


class WebhookChannel:
    """Any 2xx is success, whatever its body.

    408, 425, 429 and 5xx are temporary; all else, redirects included, is permanent.
    """

    name = "webhook"
    threads = False

    def __init__(self) -> None:
        self._clients = HttpClients()

    def person(self, global_: Global, address: str) -> WebhookSettings:
        """The contact is the URL."""
        settings: WebhookSettings = global_.channels.get(self.name, WebhookSettings())
        reach = contact_reach(global_)
        return msgspec.structs.replace(settings, url=Secret(address), url_file="", reach=reach)

    def rate_limit(self, settings: WebhookSettings) -> RateLimit:
        """The URL's, without gaps afterwards. Raises DeliveryError."""
        return RateLimit((f"webhook:{address_digest(_webhook_url(settings))}",))

    async def send(self, settings: WebhookSettings, card: Card) -> dict[str, str]:
        """POST the card. Raises DeliveryError."""
        url = _webhook_url(settings)
        if settings.payload is None:
            body = await offload.run(len(card.alerts), build_payload, card)
        else:
            body = go_json(typed_tree(settings.payload)) + b"\n"
        await _post_json(self._clients, self.name, settings, url, body)
        return {"state": card.state}

    async def edit(
        self, settings: WebhookSettings, ref: dict[str, str], card: Card
    ) -> dict[str, str]:
        """POST anew where the state has changed: nothing that was posted can be changed."""
        return ref if ref.get("state") == card.state else await self.send(settings, card)

    async def close(self) -> None:
        await self._clients.close()


class AlertmanagerChannel:
    """Forwards alerts by `POST /api/v2/alerts`, labels and annotations unchanged.

    A firing alert is given an end that outlasts the next repeat, so that it lives there as long as
    amproxy notifies it.
    """

    name = "alertmanager"
    threads = False

    def __init__(self) -> None:
        self._clients = HttpClients()

    def person(self, global_: Global, address: str) -> WebhookSettings:
        """Nobody is paged over an Alertmanager."""
        raise DeliveryError(
            phrase("failure.not_for_people", service="Alertmanager"), permanent=True
        )

    def rate_limit(self, settings: WebhookSettings) -> RateLimit:
        """The URL's, without gaps afterwards. Raises DeliveryError."""
        return RateLimit((f"webhook:{address_digest(_webhook_url(settings))}",))

    async def send(self, settings: WebhookSettings, card: Card) -> dict[str, str]:
        """POST the card's alerts. Raises DeliveryError."""
        # twice, because the end must outlast the next repeat even where that is late
        lifetime_ns = int(max(2 * card.repeats_every, MIN_ALERT_LIFETIME) * 10**9)
        now_ns = int(card.at * 10**9)
        body = await offload.run(
            len(card.alerts), _postable_alerts, card.alerts, now_ns, lifetime_ns
        )
        url = _webhook_url(settings).rstrip("/")
        if not url.endswith(_V2_ALERTS_PATH):
            url += _V2_ALERTS_PATH
        await _post_json(self._clients, self.name, settings, url, body)
        return {}

    async def edit(
        self, settings: WebhookSettings, ref: dict[str, str], card: Card
    ) -> dict[str, str]:
        """POST anew: an Alertmanager merges all that it gets about one alert."""
        return await self.send(settings, card)

    async def close(self) -> None:
        await self._clients.close()


def _postable_alerts(alerts: Iterable[Alert], now_ns: int, lifetime_ns: int) -> bytes:
    return msgspec.json.encode([_postable_alert(alert, now_ns, lifetime_ns) for alert in alerts])


def _postable_alert(alert: Alert, now_ns: int, lifetime_ns: int) -> dict[str, object]:
    resolved = alert.resolved(now_ns)
    ends_ns = (alert.ends_ns or now_ns) if resolved else now_ns + lifetime_ns
    return {
        "labels": alert.labels,
        "annotations": alert.annotations,
        "startsAt": go_time(alert.starts_ns, alert.starts_offset),
        "endsAt": go_time(ends_ns, 0),
        "generatorURL": alert.generator_url,
    }


async def _post_json(
    clients: HttpClients, who: str, settings: WebhookSettings, url: str, body: bytes
) -> None:
    """POST JSON as the settings' http_config says. Raises DeliveryError for any status but 2xx."""
    timeout = settings.timeout or TIMEOUT
    http = settings_for_url(settings.http, url)
    if settings.reach is not None and uses_proxy(http):
        await check_before_proxy(who, url, settings.reach)
    client = clients.client(http, timeout, settings.reach)
    response = await send_request(
        client, who, url, within=timeout, ignore_body=True, content=body, headers=_HEADERS
    )
    if not 200 <= response.status < 300:
        raise response_error(response, who)


def _webhook_url(settings: WebhookSettings) -> str:
    """The URL of the settings. Raises DeliveryError (permanent) where none can be used."""
    try:
        return _check_url(reveal(settings.url, settings.url_file))
    except (OSError, UnicodeError) as error:
        words = phrase("failure.file_unread", service="webhook", key="url_file", said=str(error))
        raise DeliveryError(words, permanent=True) from None


def _check_url(url: str) -> str:
    """The URL itself. An error never quotes it: it may hold a secret."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        raise DeliveryError(phrase("failure.bad_url", service="webhook"), permanent=True) from None
    if parsed.scheme not in {"http", "https"} or not parsed.host or (parsed.port or 0) > 65535:
        raise DeliveryError(phrase("failure.no_web_url", service="webhook"), permanent=True)
    return url
