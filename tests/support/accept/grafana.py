"""Grafana Alerting as amproxy meets it: the fields that it sends, those of its files, and a sender.

The facts are those of grafana/alerting (receivers/webhook/v1, receivers/alertmanager/v1, templates,
models, http/hmac.go, definition) and grafana/grafana (ngalert/state, provisioning/alerting) as of
autumn 2026.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any, Final

BASE: Final = "https://grafana.example.org"

# Settings of a contact point by its type: those that it must have, and the others.
WEBHOOK_NEEDS: Final = {"url"}
WEBHOOK_SETTINGS: Final = WEBHOOK_NEEDS | {
    *("httpMethod", "username", "password", "authorization_scheme", "authorization_credentials"),
    *("headers", "maxAlerts", "title", "message", "payload", "tlsConfig", "hmacConfig"),
    "http_config",
}
HMAC_SETTINGS: Final = {"secret", "header", "timestampHeader"}
ALERTMANAGER_SETTINGS: Final = {"url", "basicAuthUser", "basicAuthPassword"}
RECEIVER_FIELDS: Final = {"uid", "type", "settings", "disableResolveMessage"}
CONTACT_POINT_FIELDS: Final = {"orgId", "name", "receivers"}
POLICY_FIELDS: Final = {
    *("receiver", "group_by", "match", "match_re", "matchers", "object_matchers", "continue"),
    *("mute_time_intervals", "active_time_intervals", "routes", "orgId"),
    *("group_wait", "group_interval", "repeat_interval"),
}
DEFAULT_SIGNATURE_HEADER: Final = "X-Grafana-Alert-Signature"  # the documentation: …-Alerting-…

# Fields of the webhook's body and of its alerts, in their order.
BODY_FIELDS: Final = (
    *("receiver", "status", "alerts", "groupLabels", "commonLabels", "commonAnnotations"),
    *("externalURL", "appVersion", "version", "groupKey", "truncatedAlerts", "orgId"),
    *("title", "state", "message"),
)
ALERT_FIELDS: Final = (
    *("status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint"),
    *("silenceURL", "dashboardURL", "panelURL", "ruleUID", "values", "valueString"),
    *("imageURL", "embeddedImage", "orgId", "enrichments"),
)
# Annotations that its contact point of type Alertmanager leaves in; the webhook removes all whose
# name is `__…__`.
PRIVATE_ANNOTATIONS: Final = (
    *("__values__", "__value_string__", "__orgId__", "__dashboardUid__", "__panelId__"),
    *("__alertImageToken__", "__alert_image_url__"),
)


def alert(labels: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """One alert of the webhook."""
    return {
        "status": "firing",
        "labels": {"alertname": "Queue backlog", "grafana_folder": "Shop", "instance": "mq-1"}
        | (labels or {}),
        "annotations": {"summary": "Backlog over limit"},
        "startsAt": "2026-03-04T10:20:30.123456789+01:00",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": f"{BASE}/alerting/grafana/ce1a2b3c4d/view?orgId=1",
        "fingerprint": "bab3c32b8f2ef818",
        "silenceURL": f"{BASE}/alerting/silence/new?alertmanager=grafana",
        "dashboardURL": f"{BASE}/d/dAsh-1?from=1&to=2",
        "panelURL": f"{BASE}/d/dAsh-1?from=1&to=2&viewPanel=7",
        "ruleUID": "ce1a2b3c4d",
        "values": {"A": 4523.5, "C": 1},
        "valueString": "[ var='A' labels={instance=mq-1} value=4523.5 ]",
        "imageURL": "https://images.example.org/g/1.png",
        "embeddedImage": "",
        "orgId": 1,
        "enrichments": {"items": []},
    } | more


def body(*alerts: dict[str, Any], truncated: int = 0) -> dict[str, Any]:
    """The body of the webhook for one group."""
    first = alerts[0]
    group = {name: first["labels"][name] for name in ("alertname", "grafana_folder")}
    firing = any(one["status"] == "firing" for one in alerts)
    return {
        "receiver": "amproxy",
        "status": "firing" if firing else "resolved",
        "alerts": list(alerts),
        "groupLabels": group,
        "commonLabels": group,
        "commonAnnotations": first["annotations"],
        "externalURL": f"{BASE}/",
        "appVersion": "12.3.0",
        "version": "1",
        "groupKey": "{}:{" + ", ".join(f'{key}="{value}"' for key, value in group.items()) + "}",
        "truncatedAlerts": truncated,
        "orgId": 1,
        "title": f"[FIRING:{len(alerts)}] {' '.join(group.values())}",
        "state": "alerting" if firing else "ok",
        "message": "**Firing**\n\nValue: A=4523.5, C=1\n",
    }


def request(
    settings: dict[str, Any], sent: dict[str, Any], now: float
) -> tuple[str, bytes, dict[str, str]]:
    """Address, bytes and headers with which a contact point of type webhook sends a body."""
    content = json.dumps(sent).encode()
    headers = {"content-type": "application/json", "user-agent": "Grafana"}
    if credentials := settings.get("authorization_credentials"):
        scheme = settings.get("authorization_scheme", "Bearer")
        headers["authorization"] = f"{scheme} {credentials}"
    if signing := settings.get("hmacConfig"):
        signed = content
        if header := signing.get("timestampHeader"):
            headers[header.lower()] = str(int(now))
            signed = f"{int(now)}:".encode() + content
        name = signing.get("header") or DEFAULT_SIGNATURE_HEADER
        digest = hmac.new(signing["secret"].encode(), signed, hashlib.sha256)
        headers[name.lower()] = digest.hexdigest()
    return settings["url"], content, headers
