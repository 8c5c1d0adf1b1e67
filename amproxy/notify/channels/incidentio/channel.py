"""Groups of alerts to incident.io, in the form of Alertmanager's webhook."""

from __future__ import annotations

from typing import Final

import msgspec

from amproxy import offload
from amproxy.log import EventLog
from amproxy.notify.alertmanager_payload import build_message, go_json
from amproxy.notify.channels.chat import ChatChannel
from amproxy.notify.channels.http import TIMEOUT, RemoteResponse
from amproxy.notify.channels.incidentio.settings import IncidentioSettings
from amproxy.notify.channels.receiver import reveal_secret, state_ref
from amproxy.notify.message import Card
from amproxy.secret import Secret

log = EventLog(__name__)

MAX_BODY: Final = 512 * 1024  # bytes
_VERSION: Final = "1"


class IncidentioChannel(ChatChannel):
    """An alert source of incident.io."""

    name = "incidentio"
    service = "incident.io"
    retried = frozenset((429,))

    def destination(self, settings: IncidentioSettings) -> str:
        """The address of the source. Raises DeliveryError."""
        return settings.url or reveal_secret(self.service, "url", Secret(""), settings.url_file)

    async def send(self, settings: IncidentioSettings, card: Card) -> dict[str, str]:
        """Post the alerts. Raises DeliveryError."""
        url = self.destination(settings)
        body = await offload.run(len(card.alerts), _build_body, card, settings.metadata)
        await self._post(settings, card, url, body, within=settings.timeout or TIMEOUT)
        return state_ref(card)

    def _failure_words(self, response: RemoteResponse) -> str:
        """The faults that incident.io names: `message`, `error`, `errors`."""
        found = response.json()
        if not isinstance(found, dict):
            return ""
        errors = found.get("errors")
        listed = ", ".join(map(str, errors)) if isinstance(errors, list) else ""
        words = (found.get("message"), found.get("error"), listed)
        return ": ".join(word for word in words if isinstance(word, str) and word)


def _build_body(card: Card, metadata: dict[str, str]) -> bytes:
    """The body, which has one alert alone where all of them would be too much."""
    message = msgspec.structs.replace(
        build_message(card),
        version=_VERSION,
        metadata=metadata or msgspec.UNSET,
        incident=msgspec.UNSET,
        incidents=msgspec.UNSET,
    )
    body = go_json(message) + b"\n"
    if len(body) <= MAX_BODY:
        return body
    log.warning("alerts left out", channel=IncidentioChannel.name, size=len(body), limit=MAX_BODY)
    return go_json(msgspec.structs.replace(message, alerts=message.alerts[:1])) + b"\n"
