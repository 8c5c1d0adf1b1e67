"""Any other JSON object becomes one alert: better a page with a plain title than no page.

The pre-grouped door: Alertmanager's webhook v4, Grafana's webhook, and any other JSON object.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import msgspec

from amproxy.accept.body import BadTime, PushRefused, clamp_time, make_storable, parse_time
from amproxy.config.structs import Source
from amproxy.correlate.ingest import IncomingAlert
from amproxy.grouping.placement import Placer, SenderGroup
from amproxy.model import Alert

NAME_FIELDS = ("alertname", "ruleName", "title", "name", "subject", "text")
TEXT_FIELDS = ("message", "description", "text", "body", "details")
RESOLVED_STATES = frozenset(("ok", "resolved", "up", "closed", "normal", "recovered"))
LONGEST_NAME = 200  # characters


def generic_to_webhook(payload: dict[str, Any], source: str) -> dict[str, Any]:
    """The webhook v4 form of an object that is none. Understood: alert_uid, title, ruleName, state, status, message, tags, labels,
    link_to_upstream_details, ruleUrl, image_url, imageUrl; everything is kept under the alert's extra fields.
    """
    name = _first_text(payload, NAME_FIELDS) or f"Alert from {source}"
    labels = {"alertname": name[:LONGEST_NAME], "source": source}
    for field in ("tags", "labels"):
        given = payload.get(field)
        if isinstance(given, dict):
            labels.update({str(key): str(value) for key, value in given.items() if key and isinstance(value, str | int | float)})
    identity = _first_text(payload, ("alert_uid", "ruleId", "id"))
    if identity:
        labels["uid"] = identity[:LONGEST_NAME]
    severity = payload.get("severity")
    if isinstance(severity, str) and severity:
        labels.setdefault("severity", severity[:LONGEST_NAME])
    state = _first_text(payload, ("state", "status"))
    alert = {
        "status": "resolved" if state.lower() in RESOLVED_STATES else "firing",
        "labels": labels,
        "annotations": {"summary": text} if (text := _first_text(payload, TEXT_FIELDS)) else {},
        "generatorURL": _first_text(payload, ("link_to_upstream_details", "ruleUrl")),
        "imageURL": _first_text(payload, ("image_url", "imageUrl")),
        "payload": payload,
    }
    group = {key: labels[key] for key in ("alertname", "uid") if key in labels}
    return {"alerts": [alert], "groupLabels": group}


def _first_text(payload: dict[str, Any], names: tuple[str, ...]) -> str:
    for name in names:
        value = payload.get(name)
        if isinstance(value, str | int | float) and not isinstance(value, bool) and str(value).strip():
            return str(value).strip()
    return ""


KNOWN_FIELDS = frozenset(("status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint"))
LONGEST_FINGERPRINT = 128  # characters


class WebhookPushRequest(msgspec.Struct):
    """What a body came to."""

    alerts: list[IncomingAlert]
    firing: int


def parse_webhook(body: bytes, source: Source, placer: Placer, now_ns: int) -> WebhookPushRequest:
    """Decode a body. Raises Refused: 400 not JSON, 422 well-formed but wrong; then nothing of it is stored."""
    payload = _load_json(body)
    if not isinstance(payload, dict):
        raise PushRefused(422, "the body must be a JSON object")
    if "alerts" not in payload:
        if "groupKey" in payload or "groupLabels" in payload:
            raise PushRefused(422, "alerts: is missing")
        payload = generic_to_webhook(payload, source.name)
    alerts = payload["alerts"]
    if not isinstance(alerts, list):
        raise PushRefused(422, "alerts: must be a list")
    sender = SenderGroup(source.name, _group_key(payload), _strings(payload.get("groupLabels"), "groupLabels"))
    door = WebhookPushRequest([], 0)
    for index, alert in enumerate(alerts):
        incoming = _parse_alert(f"alerts[{index}]", alert, sender, source, placer, now_ns)
        door.alerts.append(incoming)
        door.firing += incoming.ends_ns == 0
    return door


def _load_json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:  # what Go writes and msgspec refuses: lone surrogates, text that is not quite UTF-8
        return make_storable(json.loads(body.decode("utf-8", "replace").encode("utf-8", "replace")))
    except (ValueError, RecursionError) as error:  # of JSON, of UTF-8, of a number with thousands of digits
        raise PushRefused(400, f"the body is not JSON: {error}") from None


def _group_key(payload: dict[str, Any]) -> str:
    key = payload.get("groupKey", "")
    if not isinstance(key, str):
        raise PushRefused(422, "groupKey: must be text")
    return key or json.dumps(_strings(payload.get("groupLabels"), "groupLabels"), sort_keys=True)


def _parse_alert(where: str, alert: Any, sender: SenderGroup, source: Source, placer: Placer, now_ns: int) -> IncomingAlert:
    if not isinstance(alert, dict):
        raise PushRefused(422, f"{where}: must be an object")
    status = alert.get("status")
    if status not in ("firing", "resolved"):
        raise PushRefused(422, f"{where}.status: must be firing or resolved, not {json.dumps(status)[:100]}")
    labels = {name: value for name, value in _strings(alert.get("labels"), f"{where}.labels").items() if value}
    if not labels:
        raise PushRefused(422, f"{where}.labels: at least one label with a value is needed")
    given = alert.get("fingerprint") or ""
    if not isinstance(given, str) or len(given) > LONGEST_FINGERPRINT:
        raise PushRefused(422, f"{where}.fingerprint: must be text of at most {LONGEST_FINGERPRINT} characters")
    starts = _time(alert.get("startsAt"), f"{where}.startsAt") or (now_ns, 0)
    ends = _time(alert.get("endsAt"), f"{where}.endsAt")
    generator_url = alert.get("generatorURL") or ""
    if not isinstance(generator_url, str):
        raise PushRefused(422, f"{where}.generatorURL: must be text")
    annotations = _strings(alert.get("annotations"), f"{where}.annotations")
    extra = _storable_extra({key: value for key, value in alert.items() if key not in KNOWN_FIELDS})
    firing = status == "firing"
    ends_ns, ends_offset = (0, 0) if firing else (ends if ends and ends[0] <= now_ns else (now_ns, 0))
    lapses_ns = now_ns + int(source.expire_after * 10**9) if firing else 0
    placement = placer.place_in(labels, given, sender)

    def make() -> Alert:
        return Alert(
            fingerprint=placement.fingerprint, labels=labels, annotations=annotations, starts_ns=starts[0], starts_offset=starts[1],
            ends_ns=ends_ns, ends_offset=ends_offset, generator_url=generator_url, extra=extra, source=source.name, lapses_ns=lapses_ns,
        )  # fmt: skip

    content = json.dumps([annotations, generator_url, extra], sort_keys=True).encode()
    return IncomingAlert(
        placement=placement, starts_ns=starts[0], ends_ns=ends_ns, timeout=False, lapses_ns=lapses_ns,
        content=hashlib.blake2b(content, digest_size=8).digest(), make=make,
    )  # fmt: skip


def _storable_extra(extra: dict[str, Any]) -> dict[str, Any]:
    """What a sender added, as the store can write it. Raises Refused."""
    try:
        msgspec.msgpack.encode(extra)
    except OverflowError:  # a number that is too long
        return make_storable(extra)  # type: ignore[no-any-return]
    except RecursionError:
        raise PushRefused(422, "the body is nested too deeply") from None
    return extra


def _strings(value: Any, where: str) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise PushRefused(422, f"{where}: must be an object of texts")
    for name, text in value.items():
        if not isinstance(text, str):
            raise PushRefused(422, f"{where}: {json.dumps(name)[:100]} must be text")
        if not name:
            raise PushRefused(422, f"{where}: a name must not be empty")
    return value


def _time(value: Any, where: str) -> tuple[int, int] | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise PushRefused(422, f"{where}: must be an RFC 3339 time")
    try:
        return clamp_time(parse_time(value))
    except BadTime as error:
        raise PushRefused(422, f"{where}: {error}") from None
