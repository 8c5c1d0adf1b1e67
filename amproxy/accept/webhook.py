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
    MAX_DEPTH,
    BadTime,
    PushRefused,
    check_members,
    check_separators,
    clamp_time,
    is_nested_too_deeply,
    make_storable,
    parse_time,
    split_list,
    tidy_json,
)
from amproxy.accept.told import ToldAlert, tell
from amproxy.config.structs import Source
from amproxy.correlate.ingest import IncomingAlert
from amproxy.grouping.placement import Placer, SenderGroup
from amproxy.model import Alert

MAX_FINGERPRINT_LENGTH: Final = 128  # characters
# Fields of webhook v4; what else an alert has is kept as its extra fields.
KNOWN_FIELDS: Final = frozenset(
    ("status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint")
)


_NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode_sorted = msgspec.msgpack.Encoder(order="deterministic").encode


class _Push(NamedTuple):
    sender: SenderGroup
    source: Source
    placer: Placer
    now_ns: int


class PushedAlert(IncomingAlert, gc=False):
    """An alert of a webhook, with the fields that its record has besides."""

    labels: dict[str, str]
    annotations: dict[str, str]
    starts_offset: int  # minutes
    ends_offset: int  # minutes
    generator_url: str
    extra: dict[str, Any]
    source: str

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


def parse_webhook(body: bytes, source: Source, placer: Placer, now_ns: int) -> WebhookPushRequest:
    """Decode and place a body.

    Raises PushRefused: 400 not JSON, 413 too much at once, 422 well-formed but wrong; then nothing
    of it is stored.
    """
    payload = load_json(body)
    if not isinstance(payload, dict):
        raise PushRefused(422, "the body must be a JSON object")
    if sns.is_handshake(payload):
        return WebhookPushRequest([], 0, handshake=payload)
    if is_foreign(payload, source):
        nobody = SenderGroup(source.name, "", {})
        return _told_request(whole(payload), body, _Push(nobody, source, placer, now_ns))
    alerts = payload["alerts"]
    if not isinstance(alerts, list):
        raise PushRefused(422, "alerts: must be a list")
    sender = SenderGroup(
        source.name, _group_key(payload), _strings(payload.get("groupLabels"), "groupLabels")
    )
    push, request = _Push(sender, source, placer, now_ns), WebhookPushRequest([], 0)
    for index, sent in enumerate(alerts):
        where = f"alerts[{index}]"
        alert = load_json(bytes(sent)) if isinstance(sent, msgspec.Raw) else sent
        if not isinstance(alert, dict):
            raise PushRefused(422, f"{where}: must be an object")
        incoming = _parse_alert(where, alert, push)
        request.alerts.append(incoming)
        request.firing += incoming.ends_ns == 0
    return request


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


def _group_key(payload: dict[str, Any]) -> str:
    key = payload.get("groupKey", "")
    if not isinstance(key, str):
        raise PushRefused(422, "groupKey: must be text")
    return key or json.dumps(_strings(payload.get("groupLabels"), "groupLabels"), sort_keys=True)


def _parse_alert(where: str, alert: dict[str, Any], push: _Push) -> PushedAlert:
    """Check and place one alert; `where` names it for the sender. Raises PushRefused(422)."""
    firing = _status(alert, where) == "firing"
    labels = _labels(alert, where)
    given = _fingerprint(alert, where)
    starts_ns, starts_offset = _time(alert, "startsAt", where) or (push.now_ns, 0)
    ends_ns, ends_offset = _end(_time(alert, "endsAt", where), firing=firing, now_ns=push.now_ns)
    generator_url = _generator_url(alert, where)
    annotations = _strings(alert.get("annotations"), f"{where}.annotations")
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
    )


def _status(alert: dict[str, Any], where: str) -> str:
    status = alert.get("status")
    if status not in ("firing", "resolved"):
        shown = json.dumps(status[:100]) if isinstance(status, str) else "something else"
        raise PushRefused(422, f"{where}.status: must be firing or resolved, not {shown}")
    return str(status)


def _labels(alert: dict[str, Any], where: str) -> dict[str, str]:
    """Return the labels that have a value: an empty one counts as absent."""
    given = _strings(alert.get("labels"), f"{where}.labels")
    labels = {name: value for name, value in given.items() if value}
    if not labels:
        raise PushRefused(422, f"{where}.labels: at least one label with a value is needed")
    return labels


def _fingerprint(alert: dict[str, Any], where: str) -> str:
    given = alert.get("fingerprint") or ""
    if not isinstance(given, str) or len(given) > MAX_FINGERPRINT_LENGTH:
        raise PushRefused(
            422, f"{where}.fingerprint: must be text of at most {MAX_FINGERPRINT_LENGTH} characters"
        )
    return given


def _generator_url(alert: dict[str, Any], where: str) -> str:
    given = alert.get("generatorURL") or ""
    if not isinstance(given, str):
        raise PushRefused(422, f"{where}.generatorURL: must be text")
    return given


def _time(alert: dict[str, Any], field: str, where: str) -> tuple[int, int] | None:
    """Return ns since 1970 and the offset in minutes; None where none is given."""
    value = alert.get(field)
    if value is None:
        return None
    if not isinstance(value, str):
        raise PushRefused(422, f"{where}.{field}: must be an RFC 3339 time")
    try:
        return clamp_time(parse_time(value))
    except BadTime as error:
        raise PushRefused(422, f"{where}.{field}: {error}") from None


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
        raise PushRefused(422, f"the body is nested too deeply: {MAX_DEPTH} levels are allowed")
    try:
        msgspec.msgpack.encode(extra)
    except OverflowError:  # an integer of more than 64 bits
        extra = make_storable(extra)
    return extra


def content_digest(*content: Any) -> bytes:
    """Return 8 bytes that differ where the content does."""
    return hashlib.blake2b(_encode_sorted(content), digest_size=8).digest()


def _strings(value: Any, where: str) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise PushRefused(422, f"{where}: must be an object of texts")
    for name, text in value.items():
        if not isinstance(text, str):
            raise PushRefused(422, f"{where}: {json.dumps(name[:100])} must be text")
        if not name:
            raise PushRefused(422, f"{where}: a name must not be empty")
    return value


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
