"""The body of a webhook: Alertmanager's webhook v4, Grafana's, or any other JSON object (told.py).

Any other object becomes an alert: a page with a plain title is better than no page.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final, NamedTuple

import msgspec

from amproxy.accept import sns
from amproxy.accept.body import (
    BIG_BODY,
    MAX_MEMBERS,
    PushRefused,
    check_members,
    check_separators,
    is_nested_too_deeply,
    make_storable,
    split_list,
    tidy_json,
)
from amproxy.accept.forms import text_payload
from amproxy.accept.repairs import (
    TOO_DEEP,
    note,
    read_fingerprint,
    read_pairs,
    read_status,
    read_text,
    read_time,
)
from amproxy.accept.told import ToldAlert, tell
from amproxy.config.structs import Source
from amproxy.correlate.ingest import IncomingAlert
from amproxy.grouping.placement import Placer, SenderGroup
from amproxy.model import Alert, AlertRepair

MAX_TOLD_REFUSALS: Final = 5  # reasons in one answer
# Fields of webhook v4; what else an alert has is kept as its extra fields.
KNOWN_FIELDS: Final = frozenset(
    ("status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint")
)


# Fields that an alert in a list has where it is one of Alertmanager's, and no foreign body.
_OF_ALERTS: Final = frozenset(("annotations", "startsAt", "endsAt", "generatorURL", "fingerprint"))
_NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode_sorted = msgspec.msgpack.Encoder(order="deterministic").encode


class _Push(NamedTuple):
    sender: SenderGroup
    source: Source
    placer: Placer
    now_ns: int
    repairs: tuple[AlertRepair, ...] = ()  # of what all alerts of the push share
    over: bool = False  # the group as a whole has ended: counts for alerts without a status
    in_list: bool = False  # as at the alerts API, where no alert has a status


class PushedAlert(IncomingAlert, gc=False):
    """An alert of a webhook, with the fields that its record has besides."""

    labels: dict[str, str]
    annotations: dict[str, str]
    starts_offset: int  # minutes
    ends_offset: int  # minutes
    generator_url: str
    extra: dict[str, Any]
    source: str
    repairs: list[AlertRepair]

    def make(self) -> Alert:
        return Alert(
            fingerprint=self.placement.fingerprint,
            labels=self.labels,
            annotations=self.annotations,
            starts_ns=self.starts_ns,
            starts_offset=self.starts_offset,
            ends_ns=self.ends_ns,
            ends_offset=self.ends_offset,
            generator_url=self.generator_url,
            extra=self.extra,
            source=self.source,
            lapses_ns=self.lapses_ns,
            repairs=self.repairs,
        )


class PlacedAlert(NamedTuple):
    """An alert of a foreign body, with what places it."""

    alert: PushedAlert
    sender: SenderGroup
    fingerprint: str


class WebhookPushRequest(msgspec.Struct):
    """The alerts of a body, and how many of them fire."""

    alerts: list[IncomingAlert]
    firing: int
    told: list[PlacedAlert] = []  # those of a foreign body
    faults: list[str] = []  # of the source's mapping, for its admin
    handshake: dict[str, Any] | None = None  # of Amazon SNS, to be answered
    refused: list[str] = []  # the reasons why other alerts of the body are not taken


def parse_webhook(body: bytes, source: Source, placer: Placer, now_ns: int) -> WebhookPushRequest:
    """Decode and place a body: alerts of webhook v4, any other object, or a list of either.

    What is odd is repaired alert by alert; an alert without labels is refused, and the others are
    taken. Raises PushRefused: 400 not JSON, 413 too much at once, 422 nothing in it is an alert.
    """
    payload = load_json(body)
    if isinstance(payload, list) and payload:
        return _parse_list(payload, _Push(SenderGroup(source.name, "", {}), source, placer, now_ns))
    if not isinstance(payload, dict):
        raise PushRefused(422, "the body must be a JSON object")
    if sns.is_handshake(payload):
        return WebhookPushRequest([], 0, handshake=payload)
    if is_foreign(payload, source):
        nobody = SenderGroup(source.name, "", {})
        return _told_request(whole(payload), body, _Push(nobody, source, placer, now_ns))
    repairs: list[AlertRepair] = []
    sender = SenderGroup(
        source.name,
        _group_key(payload, repairs),
        read_pairs(payload.get("groupLabels"), "groupLabels", repairs),
    )
    push = _Push(
        *(sender, source, placer, now_ns),
        repairs=tuple(repairs),
        over=payload.get("status") == "resolved",
    )
    request = WebhookPushRequest([], 0)
    for index, sent in enumerate(_sent_alerts(payload)):
        _take(request, f"alerts[{index}]", sent, push)
    return _check_taken(request)


def _check_taken(request: WebhookPushRequest) -> WebhookPushRequest:
    """Raises PushRefused(422) where alerts were refused and none was taken."""
    if request.refused and not request.alerts:
        raise PushRefused(422, refused_text(request.refused))
    return request


def refused_text(refused: list[str]) -> str:
    """The reasons why alerts of a push are refused, the first of many."""
    more = len(refused) - MAX_TOLD_REFUSALS
    return "; ".join(refused[:MAX_TOLD_REFUSALS]) + (f"; and {more} more" if more > 0 else "")


def _sent_alerts(payload: dict[str, Any]) -> list[Any]:
    """The alerts of a payload, also where a lone one is in no list. Raises PushRefused(422)."""
    alerts = payload["alerts"]
    if isinstance(alerts, dict) and "labels" in alerts:
        return [alerts]
    if not isinstance(alerts, list):
        raise PushRefused(422, "alerts: must be a list")
    return alerts


def _take(request: WebhookPushRequest, where: str, sent: Any, push: _Push) -> None:
    """Add an alert to the request, or the reason why it is refused."""
    try:
        alert = load_json(bytes(sent)) if isinstance(sent, msgspec.Raw) else sent
        if not isinstance(alert, dict):
            raise PushRefused(422, f"{where}: must be an object")
        incoming = _parse_alert(where, alert, push)
    except PushRefused as error:
        request.refused.append(error.detail)
        return
    request.alerts.append(incoming)
    request.firing += incoming.ends_ns == 0


def _parse_list(items: list[Any], push: _Push) -> WebhookPushRequest:
    """Take each item as an alert of Alertmanager's where it has labels, else as a foreign body."""
    request = WebhookPushRequest([], 0)
    if len(items) > MAX_MEMBERS:
        raise PushRefused(413, f"the body has more than {MAX_MEMBERS:,} alerts: send fewer at once")
    for index, sent in enumerate(items):
        where, item = f"[{index}]", text_payload(sent) if isinstance(sent, str) else sent
        if not isinstance(item, dict) or not item:
            request.refused.append(f"{where}: must be an object")
        elif isinstance(item.get("labels"), dict) and not item.keys().isdisjoint(_OF_ALERTS):
            # Named by the door, as one of `POST /api/v2/alerts`, which has no group of its sender.
            key = json.dumps(read_pairs(item["labels"], "labels", []), sort_keys=True)
            sender = SenderGroup(push.source.name, key, {})
            _take(request, where, item, push._replace(sender=sender, in_list=True))
        else:
            _add(request, _told_request(item, msgspec.json.encode(item), push))
    return _check_taken(request)


def _add(request: WebhookPushRequest, more: WebhookPushRequest) -> None:
    request.alerts += more.alerts
    request.firing += more.firing
    request.told += more.told
    request.faults += more.faults
    request.refused += more.refused


def is_foreign(payload: dict[str, Any], source: Source) -> bool:
    """Check for a body that is not of webhook v4: with a mapping, any whose alerts are not.

    Raises PushRefused(422): an Alertmanager that lost its alerts is a defect to report, and no
    foreign sender.
    """
    has_group = "groupKey" in payload or "groupLabels" in payload
    if "alerts" not in payload:
        if has_group:
            raise PushRefused(422, "alerts: is missing")
        return True
    if source.mapping is None or has_group:
        return False
    alerts = whole(payload)["alerts"]
    return not isinstance(alerts, list) or not all(
        isinstance(alert, dict) and "labels" in alert and "status" in alert for alert in alerts
    )


def whole(payload: dict[str, Any]) -> dict[str, Any]:
    """Decode what a big body left for later."""
    alerts = payload.get("alerts")
    if isinstance(alerts, list):
        payload["alerts"] = [
            load_json(bytes(one)) if isinstance(one, msgspec.Raw) else one for one in alerts
        ]
    return payload


def load_json(body: bytes) -> Any:
    """Decode a body; of a big one the alerts stay msgspec.Raw. Raises PushRefused: 400, 413."""
    try:
        return _decode(body)
    except _NOT_JSON:
        pass
    # Go writes what msgspec refuses: lone surrogates, text that is not quite UTF-8.
    try:
        return _decode(tidy_json(body))
    except _NOT_JSON as error:
        raise PushRefused(400, f"the body is not JSON: {error}") from None


def _decode(body: bytes) -> Any:
    """Decode a body; of a big one the alerts stay msgspec.Raw.

    Raises PushRefused(413) and _NOT_JSON.
    """
    if len(body) <= BIG_BODY:
        return msgspec.json.decode(body)
    check_separators(body)
    try:
        fields = _decode_fields(body)
    except msgspec.ValidationError:  # no object
        return _decode_piece(body)
    payload: dict[str, Any] = {}
    for name, raw in fields.items():
        if name == "alerts" and bytes(raw).startswith(b"["):
            payload[name] = split_list(raw)  # decoded when its turn comes
        else:
            payload[name] = _decode_piece(bytes(raw))
    return payload


def _decode_piece(raw: bytes) -> Any:
    check_members(raw)
    return msgspec.json.decode(raw)


def _group_key(payload: dict[str, Any], repairs: list[AlertRepair]) -> str:
    given = payload.get("groupKey", "")
    if given is None:
        note(repairs, "null", "groupKey")
    return read_text(given, "groupKey", repairs) or json.dumps(
        read_pairs(payload.get("groupLabels"), "groupLabels", []), sort_keys=True
    )


def _parse_alert(where: str, alert: dict[str, Any], push: _Push) -> PushedAlert:
    """AlertRepair and place one alert; `where` names it for the sender.

    Raises PushRefused(422): it has no labels, or is nested too deeply.
    """
    repairs = list(push.repairs)
    if "labels" not in alert:
        alert = _usual_names(alert)
    labels = _labels(alert, where, repairs)
    given = read_fingerprint(alert.get("fingerprint"), repairs)
    starts_ns, starts_offset = read_time(alert.get("startsAt"), "startsAt", repairs) or (
        *(push.now_ns, 0),
    )
    end = read_time(alert.get("endsAt"), "endsAt", repairs)
    over = push.over or (end is not None and end[0] <= push.now_ns)
    has_status = not push.in_list or "status" in alert
    firing = read_status(alert.get("status"), over, repairs) if has_status else not over
    ends_ns, ends_offset = _end(end, firing=firing, now_ns=push.now_ns)
    generator_url = read_text(alert.get("generatorURL"), "generatorURL", repairs)
    annotations = read_pairs(alert.get("annotations"), "annotations", repairs)
    extra = _storable_extra(alert)
    placement = push.placer.place_in(labels, given, push.sender)
    # A webhook's alert has no end of its own: without news for this long it counts as over.
    lapses_ns = push.now_ns + int(push.source.expire_after * 10**9) if firing else 0

    return PushedAlert(
        placement,
        starts_ns,
        ends_ns,
        False,
        lapses_ns,
        content_digest(annotations, generator_url, extra),
        labels,
        annotations,
        starts_offset,
        ends_offset,
        generator_url,
        extra,
        push.source.name,
        repairs,
    )


def _usual_names(alert: dict[str, Any]) -> dict[str, Any]:
    """An alert with the names of webhook v4 for those that differ only in case, as in Go."""
    usual = {name.casefold(): name for name in KNOWN_FIELDS}
    return {usual.get(name.casefold(), name): value for name, value in alert.items()}


def _labels(alert: dict[str, Any], where: str, repairs: list[AlertRepair]) -> dict[str, str]:
    """Return the labels that have a value: an empty one counts as absent."""
    given = read_pairs(alert.get("labels"), "labels", repairs)
    labels = {name: value for name, value in given.items() if value}
    if not labels:
        raise PushRefused(422, f"{where}.labels: at least one label with a value is needed")
    return labels


def _end(given: tuple[int, int] | None, *, firing: bool, now_ns: int) -> tuple[int, int]:
    """Return the end (ns, minutes); (0, 0) = none yet. The status decides, whatever endsAt says."""
    if firing:
        return 0, 0
    return given if given and given[0] <= now_ns else (now_ns, 0)


def _storable_extra(alert: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that a sender added, as the store can write them. Raises PushRefused."""
    extra = {key: value for key, value in alert.items() if key not in KNOWN_FIELDS}
    # Far from what the interpreter can: whoever reads it later may be deep in calls himself.
    if is_nested_too_deeply(extra):
        raise PushRefused(422, TOO_DEEP)
    try:
        msgspec.msgpack.encode(extra)
    except OverflowError:  # an integer of more than 64 bits
        extra = make_storable(extra)
    return extra


def content_digest(*content: Any) -> bytes:
    """Return 8 bytes that differ where the content does."""
    return hashlib.blake2b(_encode_sorted(content), digest_size=8).digest()


# Any other object


def _told_request(payload: dict[str, Any], body: bytes, push: _Push) -> WebhookPushRequest:
    request = WebhookPushRequest([], 0)
    for told in tell(payload, body, push.source.name, push.source.mapping):
        request.faults += told.faults
        if told.state == "unchanged":
            continue
        # Grouped by its identity alone, so that a tag which comes or goes opens no second incident.
        sender = SenderGroup(push.source.name, told.identity, {"alertname": told.title})
        alert = told_alert(told, push.source.name)
        incoming = _parse_alert("the body", alert, push._replace(sender=sender))
        incoming.content = content_digest(incoming.content, incoming.labels)
        request.told.append(PlacedAlert(incoming, sender, alert["fingerprint"]))
        request.alerts.append(incoming)
        request.firing += told.state == "firing"
    return request


def told_alert(told: ToldAlert, source: str) -> dict[str, Any]:
    """Return it in the form of webhook v4; all of its body is kept as an extra field."""
    labels = {"alertname": told.title, "source": source, **told.labels}
    if told.uid:
        labels["uid"] = told.uid
    if told.severity:
        labels.setdefault("severity", told.severity)
    return {
        "status": told.state,
        "labels": labels,
        "annotations": {"summary": told.text} if told.text else {},
        "generatorURL": told.link,
        "imageURL": told.image,
        "payload": told.payload,
        # Its labels may change while it fires, and its end may come without them.
        "fingerprint": hashlib.blake2b(
            f"{source}\0{told.identity}".encode(), digest_size=8
        ).hexdigest(),
    }
