"""Alertmanager's webhook payload, version 4, byte for byte: its receivers can stay as they are.

Pure: everything comes from the card, and the card's `at` decides which alerts still fire.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Literal

import msgspec

from amproxy.model import Alert, common_pairs
from amproxy.notify.message import Card

PayloadStatus = Literal["firing", "resolved"]

NO_TIME = "0001-01-01T00:00:00Z"  # Go's zero time: the end of an alert that fires
# Receivers are named as regular expressions.
QUOTED = str.maketrans({char: "\\" + char for char in "\\.+*?()|[]{}^$"})
# Go writes these five as \u…, so that JSON can be put into HTML. They occur only inside strings.
_ESCAPED = tuple((char.encode(), b"\\u%04x" % ord(char)) for char in "<>&\u2028\u2029")


class SentAlert(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One alert; the order of the fields is the order on the wire."""

    status: PayloadStatus
    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: str
    ends_at: str
    generator_url: str = msgspec.field(name="generatorURL")
    fingerprint: str


class SentIncident(msgspec.Struct, frozen=True, kw_only=True):
    """amproxy's own addition: the incident of the message, or one of many."""

    id: str
    number: int
    state: str
    title: str
    url: str


class AlertmanagerPayload(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The whole body; the order of the fields is the order on the wire."""

    receiver: str
    status: PayloadStatus
    alerts: list[SentAlert]
    notification_reason: str = msgspec.field(name="notification_reason")
    group_labels: dict[str, str]
    common_labels: dict[str, str]
    common_annotations: dict[str, str]
    route_labels: dict[str, str]
    external_url: str = msgspec.field(name="externalURL")
    version: str = "4"
    group_key: str
    truncated_alerts: int
    metadata: dict[str, str] | msgspec.UnsetType = msgspec.UNSET  # of incident.io only
    incident: SentIncident | msgspec.UnsetType = msgspec.UNSET
    incidents: list[SentIncident] | msgspec.UnsetType = msgspec.UNSET


def build_payload(card: Card) -> bytes:
    """The body of the POST: one line of JSON with its line end."""
    return go_json(build_message(card)) + b"\n"


def build_message(card: Card) -> AlertmanagerPayload:
    """The payload of a card.

    Alerts keep the order given. A card without alerts (opened by hand, a notice) has its title
    and text as the common annotations `summary` and `description`.
    """
    now_ns = int(card.at * 1_000_000_000)
    alerts = [_alert(alert, now_ns) for alert in card.alerts]
    annotations = common_pairs(alert.annotations for alert in card.alerts)
    # an incident's card holds a few of many
    not_shown = max(0, card.firing + card.resolved - len(alerts))
    return AlertmanagerPayload(
        receiver=card.receiver.translate(QUOTED),
        status=_status(card, alerts),
        alerts=alerts,
        notification_reason=card.reason or "unknown",
        group_labels=card.group_labels,
        common_labels=common_pairs(alert.labels for alert in card.alerts),
        common_annotations=annotations if alerts else _card_annotations(card),
        route_labels=card.route_labels,
        external_url=card.external_url,
        group_key=card.group_key,
        truncated_alerts=(card.truncated or not_shown) + card.left_out,
        incident=_incident(card) if card.kind == "incident" else msgspec.UNSET,
        incidents=_incidents(card) if card.kind == "bundle" else msgspec.UNSET,
    )


def go_json(value: Any) -> bytes:
    """JSON as Go writes it: maps in the order of their keys, and safe to put into HTML."""
    body = msgspec.json.encode(value, order="deterministic")
    for char, escape in _ESCAPED:
        body = body.replace(char, escape)
    return body


def _alert(alert: Alert, now_ns: int) -> SentAlert:
    resolved = alert.resolved(now_ns)
    return SentAlert(
        status="resolved" if resolved else "firing",
        labels=alert.labels,
        annotations=alert.annotations,
        starts_at=go_time(alert.starts_ns, alert.starts_offset),
        ends_at=_end(alert, now_ns) if resolved else NO_TIME,
        generator_url=alert.generator_url,
        fingerprint=alert.fingerprint,
    )


def _end(alert: Alert, now_ns: int) -> str:
    if 0 < alert.ends_ns <= now_ns:
        return go_time(alert.ends_ns, alert.ends_offset)
    return go_time(alert.lapses_ns, 0)  # its sender went silent before it reported an end


def _status(card: Card, alerts: list[SentAlert]) -> PayloadStatus:
    """By the alerts in this message; without any, by the state of the incident."""
    if alerts:
        return "firing" if any(alert.status == "firing" for alert in alerts) else "resolved"
    return "resolved" if card.state == "resolved" else "firing"


def _card_annotations(card: Card) -> dict[str, str]:
    return {"summary": card.title} | ({"description": card.text} if card.text else {})


def _incident(card: Card) -> SentIncident:
    return SentIncident(
        id=card.incident, number=card.number, state=card.state, title=card.title, url=card.url
    )


def _incidents(card: Card) -> list[SentIncident]:
    return [
        SentIncident(
            id=one.incident, number=one.number, state=one.state, title=one.title, url=one.url
        )
        for one in card.entries
    ]


def go_time(ns: int, offset: int) -> str:
    """A time as Go prints it: fractions of a second have no trailing zeros.

    ns: nanoseconds since 1970. offset: minutes east of UTC.
    """
    seconds, fraction = divmod(ns, 1_000_000_000)
    local = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds, minutes=offset)
    digits = f".{fraction:09d}".rstrip("0") if fraction else ""
    # the zone is written last, after the fraction
    return local.replace(tzinfo=None).isoformat() + digits + (_zone(offset) if offset else "Z")


def _zone(offset: int) -> str:
    return str(timezone(timedelta(minutes=offset))).removeprefix("UTC")
