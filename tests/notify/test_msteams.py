"""Messages to Microsoft Teams: cards as Alertmanager's, to connectors and to workflows."""

from __future__ import annotations

import pytest

from tests.support.notify.chats import sent
from tests.support.notify.groups import group_card, integration

TEXTS = {"title": "[FIRING:1] DiskFull", "text": "# Alerts Firing:\n\n<sda1> & co"}


@pytest.mark.parametrize(("over", "colour"), [(False, "8C1A1A"), (True, "2DC72D")])
async def test_a_connector_gets_a_message_card(over: bool, colour: str) -> None:
    body = await sent("msteams", group_card(over=over), **TEXTS, summary="short")
    assert body == {
        "@context": "http://schema.org/extensions",
        "type": "MessageCard",
        "title": TEXTS["title"],
        "summary": "short",
        "text": TEXTS["text"],
        "themeColor": colour,
    }


@pytest.mark.parametrize(("over", "colour"), [(False, "Attention"), (True, "Good")])
async def test_a_workflow_gets_an_adaptive_card(over: bool, colour: str) -> None:
    body = await sent("msteamsv2", group_card(over=over), **TEXTS)
    (attachment,) = body.pop("attachments")
    assert body == {"type": "message"}
    assert attachment == {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": {
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.2",
            "body": [
                {
                    "type": "TextBlock",
                    "text": TEXTS["title"],
                    "weight": "Bolder",
                    "size": "Medium",
                    "wrap": True,
                    "style": "heading",
                    "color": colour,
                },
                {"type": "TextBlock", "text": TEXTS["text"], "wrap": True},
            ],
            "msteams": {"width": "full"},
        },
    }


def test_the_file_is_read_with_alertmanagers_defaults() -> None:
    found = integration("msteams_configs: [{webhook_url: 'http://h/x', summary: ''}]")
    assert found.send_resolved
    assert (found.settings.title, found.settings.summary) == (
        '{{ template "msteams.default.title" . }}',
        '{{ "" }}',
    )
    assert integration("msteamsv2_configs: [{webhook_url_file: /dev/null}]").send_resolved


@pytest.mark.parametrize(
    ("kind", "own", "wanted"),
    [
        ("msteamsv2", "", "http://global:1"),
        ("msteamsv2", "{follow_redirects: false}", "http://global:1"),
        ("msteamsv2", "{proxy_url: 'http://own:1'}", "http://own:1"),
        ("msteamsv2", "{proxy_from_environment: true}", ""),
        ("msteams", "", "http://global:1"),
        ("msteams", "{follow_redirects: false}", ""),
    ],
)
def test_a_workflow_without_a_proxy_of_its_own_has_that_of_global(
    kind: str, own: str, wanted: str
) -> None:
    http = f", http_config: {own}" if own else ""
    found = integration(
        f"{kind}_configs: [{{webhook_url: 'http://h/'{http}}}]",
        "global: {http_config: {proxy_url: 'http://global:1'}}\n",
    )
    assert found.settings.http.proxy_url == wanted
