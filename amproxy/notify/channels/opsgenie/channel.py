"""Alerts in Opsgenie: a group opens one, may change its texts, and closes it by the same alias."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from amproxy.notify.alertmanager_payload import go_json
from amproxy.notify.channels.opsgenie.settings import OpsgenieResponder, OpsgenieSettings
from amproxy.notify.channels.receiver import (
    EventChannel,
    address_below,
    group_digest,
    incident_text,
    is_resolved,
    reveal_secret,
    state_ref,
    truncate_runes,
)
from amproxy.notify.message import Card

MAX_MESSAGE: Final = 130  # characters
_RETRIED: Final = frozenset((429,))


class OpsgenieChannel(EventChannel):
    """The Alert API v2 by the key of an integration."""

    name = "opsgenie"
    service = "Opsgenie"

    def destination(self, settings: OpsgenieSettings) -> str:
        """The integration's key. Raises DeliveryError."""
        return self._key(settings)

    async def send(self, settings: OpsgenieSettings, card: Card) -> dict[str, str]:
        """Open the group's alert, or close it. Raises DeliveryError."""
        alias = group_digest(card)
        if is_resolved(card):
            path = f"v2/alerts/{alias}/close"
            await self._call(settings, "POST", path, {"source": settings.source}, by_alias=True)
            return state_ref(card)
        alert = _alert(settings, card, alias)
        await self._call(settings, "POST", "v2/alerts", alert)
        # Opsgenie leaves the texts of an alert that is open already as they were.
        for field in ("message", "description") if settings.update_alerts else ():
            text = {field: alert[field]} if alert.get(field) else {}
            await self._call(settings, "PUT", f"v2/alerts/{alias}/{field}", text, by_alias=True)
        return state_ref(card)

    async def _call(
        self,
        settings: OpsgenieSettings,
        method: str,
        path: str,
        body: dict[str, Any],
        *,
        by_alias: bool = False,
    ) -> None:
        address = address_below(settings.api_url, path)
        await self._ask(
            settings,
            str(address.copy_set_param("identifierType", "alias") if by_alias else address),
            retried=_RETRIED,
            method=method,
            content=go_json(body) + b"\n",
            auth=None,  # credentials of http_config do not replace the key
            headers={
                "Content-Type": "application/json",
                "Authorization": f"GenieKey {self._key(settings)}",
            },
        )

    def _key(self, settings: OpsgenieSettings) -> str:
        return reveal_secret(self.service, "api_key", settings.api_key, settings.api_key_file)


def _alert(settings: OpsgenieSettings, card: Card, alias: str) -> dict[str, Any]:
    """The body that opens an alert. Of the keys that may be empty, Alertmanager sends three."""
    message = settings.message or incident_text(card, card.title)
    optional = {
        "description": settings.description or incident_text(card, card.text),
        "responders": list(_responders(settings.responders)),
        "tags": split_list(settings.tags),
        "note": settings.note,
        "priority": settings.priority,
        "entity": settings.entity,
        "actions": split_list(settings.actions),
    }
    return {
        "alias": alias,
        "message": truncate_runes(message, MAX_MESSAGE),
        "details": card.common_labels | settings.details,
        "source": settings.source or incident_text(card, card.url),
        **{key: value for key, value in optional.items() if value},
    }


def _responders(responders: list[OpsgenieResponder]) -> Iterator[dict[str, str]]:
    """Those in whom anything is left by the templates; "teams" become each a team."""
    for one in responders:
        if one.type == "teams":
            yield from ({"name": name, "type": "team"} for name in split_list(one.name))
        elif one.id or one.name or one.username or one.type:
            named = {"id": one.id, "name": one.name, "username": one.username}
            yield {key: value for key, value in named.items() if value} | {"type": one.type}


def split_list(text: str) -> list[str]:
    """The parts of a text with commas between, without empty ones."""
    return [part for part in text.strip().split(",") if part]
