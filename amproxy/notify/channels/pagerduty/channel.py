"""Events to PagerDuty: a group triggers one, and resolves it by the same key."""

from __future__ import annotations

from typing import Any, Final

from amproxy import offload
from amproxy.errors import DeliveryError
from amproxy.log import EventLog
from amproxy.notify.alertmanager_payload import go_json
from amproxy.notify.channels.http import TIMEOUT, RemoteResponse
from amproxy.notify.channels.pagerduty.settings import PagerDutySettings
from amproxy.notify.channels.receiver import (
    EventChannel,
    group_digest,
    incident_text,
    is_resolved,
    reveal_secret,
    state_ref,
    truncate_runes,
)
from amproxy.notify.message import Card
from amproxy.notify.rendered_values import typed_tree
from amproxy.secret import Secret
from amproxy.text import phrase

log = EventLog(__name__)

V1_URL: Final = "https://events.pagerduty.com/generic/2010-04-15/create_event.json"
MAX_SUMMARY: Final = 1024  # characters
MAX_EVENT: Final = 512_000  # bytes
_TOO_LARGE: Final = (
    "Custom details have been removed because the original event exceeds the maximum size of 512KB"
)
_JSON: Final = {"Content-Type": "application/json"}
# PagerDuty refuses too many events by 403 in v1, and by 429 in v2.
_V1_RETRIED: Final = frozenset((403,))
_V2_RETRIED: Final = frozenset((429,))


class PagerDutyChannel(EventChannel):
    """The Events API v2 by a routing key, or v1 by a service key."""

    name = "pagerduty"
    service = "PagerDuty"

    def destination(self, settings: PagerDutySettings) -> str:
        """The key of the service. Raises DeliveryError."""
        return _service_key(settings) if _is_v1(settings) else _routing_key(settings)

    async def send(self, settings: PagerDutySettings, card: Card) -> dict[str, str]:
        """Trigger or resolve the group's event. Raises DeliveryError."""
        first = _is_v1(settings)
        build = _v1_event if first else _v2_event
        # the details hold every alert, as a rule
        event = await offload.run(len(card.alerts), build, settings, card)
        await self._ask(
            settings,
            V1_URL if first else settings.url,
            retried=_V1_RETRIED if first else _V2_RETRIED,
            within=settings.timeout or TIMEOUT,
            content=event,
            headers=_JSON,
        )
        return state_ref(card)

    def _failure_words(self, response: RemoteResponse) -> str:
        """The faults of the event that a 400 names."""
        found = response.json() if response.status == 400 else None
        if not isinstance(found, dict):
            return ""
        errors = found.get("errors")
        listed = ",".join(map(str, errors)) if isinstance(errors, list) else ""
        return f"{found.get('message', '')}: {listed}"


def _is_v1(settings: PagerDutySettings) -> bool:
    return bool(settings.service_key or settings.service_key_file)


def _service_key(settings: PagerDutySettings) -> str:
    return _integration_key("service_key", settings.service_key, settings.service_key_file)


def _routing_key(settings: PagerDutySettings) -> str:
    return _integration_key("routing_key", settings.routing_key, settings.routing_key_file)


def _integration_key(name: str, secret: Secret, file: str) -> str:
    key = reveal_secret(PagerDutyChannel.service, name, secret, file)
    if not key:  # a template may have rendered nothing
        words = phrase("failure.empty", service="PagerDuty", key=name)
        raise DeliveryError(words, permanent=True, reason="auth_error")
    return key


def _v1_event(settings: PagerDutySettings, card: Card) -> bytes:
    over = is_resolved(card)
    # Alertmanager has one struct for both versions: `event_action` and `payload` go out empty.
    event: dict[str, Any] = {
        "service_key": _service_key(settings),
        "event_type": "resolve" if over else "trigger",
        "incident_key": group_digest(card),
        "event_action": "",
        "payload": None,
        **_filled(description=_summary(settings, card), details=typed_tree(settings.details)),
    }
    if not over:
        event |= _filled(client=_client(settings, card), client_url=_client_url(settings, card))
    return _encode(event, event)


def _v2_event(settings: PagerDutySettings, card: Card) -> bytes:
    details: dict[str, Any] = _filled(custom_details=typed_tree(settings.details))
    payload = {
        "summary": _summary(settings, card),
        "source": settings.source or incident_text(card, "amproxy"),
        "severity": settings.severity,
        **_filled(class_=settings.class_, component=settings.component, group=settings.group),
        **details,
    }
    images = [
        {"src": image.src, "alt": image.alt, "href": image.href}
        for image in settings.images
        if image.src
    ]
    links = [{"href": link.href, "text": link.text} for link in settings.links if link.href]
    event = {
        "routing_key": _routing_key(settings),
        "dedup_key": group_digest(card),
        "event_action": "resolve" if is_resolved(card) else "trigger",
        "payload": payload,
        **_filled(
            client=_client(settings, card),
            client_url=_client_url(settings, card),
            images=images,
            links=links,
        ),
    }
    return _encode(event, payload)


def _summary(settings: PagerDutySettings, card: Card) -> str:
    return truncate_runes(settings.description or incident_text(card, card.title), MAX_SUMMARY)


def _client(settings: PagerDutySettings, card: Card) -> str:
    return settings.client or incident_text(card, "amproxy")


def _client_url(settings: PagerDutySettings, card: Card) -> str:
    return settings.client_url or incident_text(card, card.url)


def _filled(**values: Any) -> dict[str, Any]:
    """Those of the values that are not empty, under their names without a last underscore."""
    return {name.rstrip("_"): value for name, value in values.items() if value}


def _encode(event: dict[str, Any], detailed: dict[str, Any]) -> bytes:
    """The body; the details in `detailed`, a part of the event, give way where it is too large."""
    body = go_json(event) + b"\n"
    if len(body) <= MAX_EVENT:
        return body
    log.warning("details removed", channel=PagerDutyChannel.name, size=len(body), limit=MAX_EVENT)
    detailed["details" if detailed is event else "custom_details"] = {"error": _TOO_LARGE}
    return go_json(event) + b"\n"
