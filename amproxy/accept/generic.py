"""Any other JSON object becomes one alert: better a page with a plain title than no page."""

from __future__ import annotations

from typing import Any

NAMES = ("alertname", "ruleName", "title", "name", "subject", "text")
TEXTS = ("message", "description", "text", "body", "details")
OVER = frozenset(("ok", "resolved", "up", "closed", "normal", "recovered"))
LONGEST_NAME = 200  # characters


def as_alert(payload: dict[str, Any], source: str) -> dict[str, Any]:
    """The webhook v4 form of an object that is none. Understood: alert_uid, title, ruleName, state, status, message, tags, labels,
    link_to_upstream_details, ruleUrl, image_url, imageUrl; everything is kept under the alert's extra fields.
    """
    name = _first(payload, NAMES) or f"Alert from {source}"
    labels = {"alertname": name[:LONGEST_NAME], "source": source}
    for field in ("tags", "labels"):
        given = payload.get(field)
        if isinstance(given, dict):
            labels.update({str(key): str(value) for key, value in given.items() if key and isinstance(value, str | int | float)})
    identity = _first(payload, ("alert_uid", "ruleId", "id"))
    if identity:
        labels["uid"] = identity[:LONGEST_NAME]
    severity = payload.get("severity")
    if isinstance(severity, str) and severity:
        labels.setdefault("severity", severity[:LONGEST_NAME])
    state = _first(payload, ("state", "status"))
    alert = {
        "status": "resolved" if state.lower() in OVER else "firing",
        "labels": labels,
        "annotations": {"summary": text} if (text := _first(payload, TEXTS)) else {},
        "generatorURL": _first(payload, ("link_to_upstream_details", "ruleUrl")),
        "imageURL": _first(payload, ("image_url", "imageUrl")),
        "payload": payload,
    }
    group = {key: labels[key] for key in ("alertname", "uid") if key in labels}
    return {"alerts": [alert], "groupLabels": group}


def _first(payload: dict[str, Any], names: tuple[str, ...]) -> str:
    for name in names:
        value = payload.get(name)
        if isinstance(value, str | int | float) and not isinstance(value, bool) and str(value).strip():
            return str(value).strip()
    return ""
