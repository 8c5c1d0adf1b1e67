"""Which texts of a receiver's settings are templates."""

from __future__ import annotations

from typing import Any

import pytest

from amproxy.config.loader import load_text
from amproxy.notify.alertmanager_texts import fill_settings
from tests.support.notify.groups import group_card

TREE = "{'{{ .Status }}': {'{{ .Status }}': '{{ .Status }}'}}"
FLAT = "{'{{ .Status }}': '{{ .Status }}'}"
AS_WRITTEN, FILLED = {"{{ .Status }}": "firing"}, {"firing": "firing"}


def filled(kind: str, entry: str) -> Any:
    text = f"route: {{receiver: r}}\nreceivers: [{{name: r, {kind}_configs: [{{{entry}}}]}}]\n"
    config = load_text(text, env={}).config
    (integration,) = config.receivers["r"].integrations
    settings, failed = fill_settings(config, kind, integration.settings, group_card())
    assert failed == []
    return settings


@pytest.mark.parametrize(
    ("kind", "entry", "field", "found"),
    [
        ("pagerduty", f"routing_key: k, details: {TREE}", "details", {"{{ .Status }}": FILLED}),
        (
            "jira",
            f"api_url: 'http://j.example', project: p, issue_type: t, fields: {TREE}",
            "fields",
            {"{{ .Status }}": FILLED},
        ),
        ("opsgenie", f"api_key: k, details: {FLAT}", "details", AS_WRITTEN),
        (
            "victorops",
            f"api_key: k, routing_key: r, custom_fields: {FLAT}",
            "custom_fields",
            AS_WRITTEN,
        ),
        (
            "incidentio",
            f"url: 'http://i.example', alert_source_token: t, metadata: {FLAT}",
            "metadata",
            AS_WRITTEN,
        ),
        (
            "sns",
            f"topic_arn: 'arn:aws:sns:eu-west-1:1:t', sigv4: {{region: r}}, attributes: {FLAT}",
            "attributes",
            FILLED,
        ),
        ("webhook", f"url: 'http://w.example', payload: {TREE}", "payload", {"firing": FILLED}),
    ],
)
def test_keys_of_maps_are_templates_where_alertmanager_has_them_so(
    kind: str, entry: str, field: str, found: dict[str, Any]
) -> None:
    value = getattr(filled(kind, entry), field)
    assert {key: value[key] for key in found} == found
