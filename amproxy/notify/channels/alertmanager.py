"""Forwarding to another Alertmanager: a group's alerts go on by `POST /api/v2/alerts`, labels and annotations unchanged."""

from __future__ import annotations

import msgspec

from amproxy.config.structs import Global, WebhookSettings
from amproxy.errors import DeliveryError
from amproxy.model import Alert
from amproxy.notify.alertmanager_payload import go_time
from amproxy.notify.channels.http import Clients
from amproxy.notify.channels.webhook import post, target
from amproxy.notify.message import Card

_WHO = "alertmanager"
_PATH = "/api/v2/alerts"
SHORTEST_LEASE = 300.0  # seconds


class AlertmanagerChannel:
    """A firing alert is given an end that outlasts the next repeat, so that it lives there as long as it is told of here."""

    name = "alertmanager"
    threads = False

    def __init__(self) -> None:
        self._clients = Clients()

    def person(self, global_: Global, address: str) -> WebhookSettings:
        """Nobody is paged over an Alertmanager."""
        raise DeliveryError("a person cannot be paged over an Alertmanager", permanent=True)

    async def send(self, settings: WebhookSettings, card: Card) -> dict[str, str]:
        """POST the card's alerts. Raises DeliveryError."""
        lease_ns = int(max(2 * card.repeats_every, SHORTEST_LEASE) * 10**9)
        now_ns = int(card.at * 10**9)
        body = msgspec.json.encode([_posted(alert, now_ns, lease_ns) for alert in card.alerts])
        url = target(settings).rstrip("/")
        await post(self._clients, _WHO, settings, url if url.endswith(_PATH) else url + _PATH, body)
        return {}

    async def edit(self, settings: WebhookSettings, ref: dict[str, str], card: Card) -> dict[str, str]:
        """Told anew: an Alertmanager merges what it hears of one alert."""
        return await self.send(settings, card)

    async def close(self) -> None:
        await self._clients.close()


def _posted(alert: Alert, now_ns: int, lease_ns: int) -> dict[str, object]:
    over = alert.resolved(now_ns)
    ends_ns = (alert.ends_ns or now_ns) if over else now_ns + lease_ns
    return {
        "labels": alert.labels,
        "annotations": alert.annotations,
        "startsAt": go_time(alert.starts_ns, alert.starts_offset),
        "endsAt": go_time(ends_ns, 0),
        "generatorURL": alert.generator_url,
    }
