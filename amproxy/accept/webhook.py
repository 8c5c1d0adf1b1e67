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
    TOO_DEEP,
    TOO_MANY_ALERTS,
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
    note,
    read_fingerprint,
    read_pairs,
    read_picture,
    read_status,
    read_text,
    read_time,
)
from amproxy.accept.told import ToldAlert, tell
from amproxy.config.structs import Source
from amproxy.correlate.incoming import IncomingAlert, StatedAlert, StatedGroup
from amproxy.correlate.stated import alert_id, statement_id
from amproxy.grouping.placement import Placer, SenderGroup
from amproxy.model import EMBEDDED_FIELD, LEFT_OUT_FIELD, Alert, AlertRepair
from amproxy.text import Phrase, phrase
from amproxy.text.problems import joined

MAX_TOLD_REFUSALS: Final = 5  # reasons in one answer
MAX_PUSH_PICTURES: Final = 10  # embedded in the alerts of one push
MAX_LEFT_OUT: Final = 10**9  # as far as a count of alerts cut off is believed
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
    left_out: int = 0  # alerts of the group that the sender cut off


class PushedAlert(StatedAlert, gc=False):
    """An alert of a webhook, with the fields that its record has besides."""

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
    stated: StatedGroup | None = None  # None = a foreign body
    told: list[PlacedAlert] = []  # those of a foreign body
    faults: list[str] = []  # of the source's mapping, for its admin
    handshake: dict[str, Any] | None = None  # of Amazon SNS, to be answered
    refused: int = 0  # alerts of the body that are not taken …
    reasons: list[Phrase] = []  # … and why, of the first MAX_TOLD_REFUSALS
    pictures: dict[str, bytes] = {}  # that came in alerts, by digest

    def refuse(self, words: Phrase) -> None:
        """Count an alert that is not taken, and keep the reason for the first of them."""
        self.refused += 1
        if len(self.reasons) < MAX_TOLD_REFUSALS:
            self.reasons.append(words)


def parse_webhook(body: bytes, source: Source, placer: Placer, now_ns: int) -> WebhookPushRequest:
    """Decode and place a body: alerts of webhook v4, any other object, or a list of either.

    What is odd is repaired alert by alert; an alert without labels is refused, and the others are
    taken. Raises PushRefused: 400 not JSON, 413 too much at once, 422 nothing in it is an alert.
    """
    payload = load_json(body)
    if isinstance(payload, list) and payload:
        return _parse_list(payload, _Push(SenderGroup(source.name, "", {}), source, placer, now_ns))
    if not isinstance(payload, dict):
        raise PushRefused(422, phrase("refusal.json_object"))
    if sns.is_handshake(payload):
        return WebhookPushRequest([], 0, handshake=payload)
    if is_foreign(payload, source):
        nobody = SenderGroup(source.name, "", {})
        return _told_request(whole(payload), body, _Push(nobody, source, placer, now_ns))
    repairs: list[AlertRepair] = []
    sender = _sender_group(payload, source, repairs)
    push = _Push(
        *(sender, source, placer, now_ns),
        repairs=tuple(repairs),
        over=payload.get("status") == "resolved",
        left_out=_left_out(payload),
    )
    request = WebhookPushRequest([], 0)
    for index, sent in enumerate(_sent_alerts(payload)):
        _take(request, f"alerts[{index}]", sent, push)
    _check_taken(request)
    request.stated = _stated_group(payload, push, request)
    return request


def _check_taken(request: WebhookPushRequest) -> WebhookPushRequest:
    """Raises PushRefused(422) where alerts were refused and none was taken."""
    if request.refused and not request.alerts:
        raise PushRefused(422, refused_phrase(request))
    return request


def refused_phrase(request: WebhookPushRequest) -> Phrase:
    """The reasons why alerts of a push are refused, the first of many; there is one at least."""
    reasons = list(request.reasons)
    if more := request.refused - len(reasons):
        reasons.append(Phrase("refusal.more_alerts", {"n": more}))
    return joined("problem.and", reasons)


def _sent_alerts(payload: dict[str, Any]) -> list[Any]:
    """The alerts of a payload, also where a lone one is in no list. Raises PushRefused(422)."""
    alerts = payload["alerts"]
    if isinstance(alerts, dict) and "labels" in alerts:
        return [alerts]
    if not isinstance(alerts, list):
        raise PushRefused(422, phrase("refusal.no_list", field="alerts"))
    return alerts


def _take(request: WebhookPushRequest, where: str, sent: Any, push: _Push) -> None:
    """Add an alert to the request, or the reason why it is refused."""
    try:
        alert = load_json(bytes(sent)) if isinstance(sent, msgspec.Raw) else sent
        if not isinstance(alert, dict):
            raise PushRefused(422, phrase("refusal.no_object", field=where))
        if EMBEDDED_FIELD in alert:
            alert, push = _set_picture_apart(alert, push, request.pictures)
        incoming = _parse_alert(where, alert, push)
    except PushRefused as error:
        request.refuse(error.words)
        return
    request.alerts.append(incoming)
    request.firing += incoming.ends_ns == 0


def _set_picture_apart(
    alert: dict[str, Any], push: _Push, pictures: dict[str, bytes]
) -> tuple[dict[str, Any], _Push]:
    """Put an alert's picture among those of the push, and its digest in its place.

    What is no picture, too large or one too many is left out, and noted.
    """
    rest, given = dict(alert), alert[EMBEDDED_FIELD]
    del rest[EMBEDDED_FIELD]
    if not given:
        return rest, push
    picture = read_picture(given)
    digest = hashlib.blake2b(picture, digest_size=16).hexdigest()
    if picture and (digest in pictures or len(pictures) < MAX_PUSH_PICTURES):
        pictures[digest] = picture
        return {**rest, EMBEDDED_FIELD: digest}, push
    repairs = list(push.repairs)
    note(repairs, "left_out", EMBEDDED_FIELD, given if isinstance(given, str) else "")
    return rest, push._replace(repairs=tuple(repairs))


def _parse_list(items: list[Any], push: _Push) -> WebhookPushRequest:
    """Take each item as an alert of Alertmanager's where it has labels, else as a foreign body."""
    request = WebhookPushRequest([], 0)
    if len(items) > MAX_MEMBERS:
        raise PushRefused(413, TOO_MANY_ALERTS)
    for index, sent in enumerate(items):
        where, item = f"[{index}]", text_payload(sent) if isinstance(sent, str) else sent
        if not isinstance(item, dict) or not item:
            request.refuse(phrase("refusal.no_object", field=where))
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


def is_foreign(payload: dict[str, Any], source: Source) -> bool:
    """Check for a body that is not of webhook v4: with a mapping, any whose alerts are not.

    Raises PushRefused(422): an Alertmanager that lost its alerts is a defect to report, and no
    foreign sender.
    """
    has_group = "groupKey" in payload or "groupLabels" in payload
    if "alerts" not in payload:
        if has_group:
            raise PushRefused(422, phrase("refusal.lacks", field="alerts"))
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
        raise PushRefused(400, phrase("refusal.not_json", error=str(error))) from None


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


def _sender_group(
    payload: dict[str, Any], source: Source, repairs: list[AlertRepair]
) -> SenderGroup:
    """The group of a payload; key "" = the sender forms none."""
    given = payload.get("groupKey", "")
    if given is None:
        note(repairs, "null", "groupKey")
    key = read_text(given, "groupKey", repairs)
    labels = read_pairs(payload.get("groupLabels"), "groupLabels", repairs)
    return SenderGroup(
        source.name, key or (json.dumps(labels, sort_keys=True) if labels else ""), labels
    )


def _stated_group(payload: dict[str, Any], push: _Push, request: WebhookPushRequest) -> StatedGroup:
    """Read what a payload says of its group.

    It is complete where it has the fields that come with all of a group's alerts, leaves out none
    of them, and does not contradict itself. Senders that share a source have addresses of their
    own.
    """
    source, status, key = push.source, payload.get("status"), payload.get("groupKey")
    fires = "firing" if request.firing else "resolved"
    complete = (
        isinstance(key, str)
        and key != ""
        and not (payload.get("truncatedAlerts") or request.refused)
        and isinstance(status, str)
        and (status == fires or read_status(status, False, []) == (fires == "firing"))
    )
    address = [payload.get("externalURL"), payload.get("receiver")]
    id_ = statement_id(
        source.name, [part for part in address if isinstance(part, str)], push.sender.key
    )
    now_ns = push.now_ns
    latest_ns = 0 if request.alerts else now_ns
    for one in request.alerts:
        assert isinstance(one, StatedAlert)  # all that _parse_alert makes are
        if one.placement.groups:
            one.id = alert_id(source.name, one.labels)
        if latest_ns < one.starts_ns != now_ns:
            latest_ns = one.starts_ns
        latest_ns = max(latest_ns, one.said_ns)
    return StatedGroup(source.name, id_, complete, latest_ns, source.expire_after)


def _alert_sender(push: _Push, labels: dict[str, str]) -> SenderGroup:
    """The sender's group of an alert: one of its own where its sender forms none."""
    if push.sender.key:
        return push.sender
    return SenderGroup(push.sender.source, json.dumps(labels, sort_keys=True), labels)


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
    sender = _alert_sender(push, labels)
    placement = push.placer.place_in(labels, given, sender)
    # A webhook's alert has no end of its own: without news for this long it counts as over.
    lapses_ns = push.now_ns + int(push.source.expire_after * 10**9) if firing else 0
    if push.left_out:
        extra[LEFT_OUT_FIELD] = min(push.left_out, MAX_LEFT_OUT)

    return PushedAlert(
        placement,
        starts_ns,
        ends_ns,
        False,
        lapses_ns,
        content_digest(annotations, generator_url, extra),
        labels,
        "",
        end[0] if end and not firing else 0,
        sender,
        annotations,
        starts_offset,
        ends_offset,
        generator_url,
        extra,
        push.source.name,
        repairs,
    )


def _left_out(payload: dict[str, Any]) -> int:
    given = payload.get("truncatedAlerts")
    return given if isinstance(given, int) and not isinstance(given, bool) and given > 0 else 0


def _usual_names(alert: dict[str, Any]) -> dict[str, Any]:
    """An alert with the names of webhook v4 for those that differ only in case, as in Go."""
    usual = {name.casefold(): name for name in KNOWN_FIELDS}
    return {usual.get(name.casefold(), name): value for name, value in alert.items()}


def _labels(alert: dict[str, Any], where: str, repairs: list[AlertRepair]) -> dict[str, str]:
    """Return the labels that have a value: an empty one counts as absent."""
    given = read_pairs(alert.get("labels"), "labels", repairs)
    labels = given
    if "" in given.values():
        labels = {name: value for name, value in given.items() if value}
    if not labels:
        raise PushRefused(422, phrase("refusal.alert_labels", alert=where))
    return labels


def _end(given: tuple[int, int] | None, *, firing: bool, now_ns: int) -> tuple[int, int]:
    """Return the end (ns, minutes); (0, 0) = none yet. The status decides, whatever endsAt says."""
    if firing:
        return 0, 0
    return given if given and given[0] <= now_ns else (now_ns, 0)


def _storable_extra(alert: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that a sender added, as the store can write them. Raises PushRefused."""
    if alert.keys() <= KNOWN_FIELDS:
        return {}
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
