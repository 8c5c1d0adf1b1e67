"""Messages to Mattermost, as Alertmanager's."""

from __future__ import annotations

from typing import Any

import pytest

from amproxy.config.loader import load_text
from amproxy.notify.channels.mattermost.settings import (
    MattermostAttachment,
    MattermostField,
    MattermostPriority,
    MattermostProps,
)
from tests.support.notify.cards import card, resolved
from tests.support.notify.chats import sent
from tests.support.notify.groups import group_card, integration

TEXTS = {
    name: f"the {name}"
    for name in (
        *("fallback", "color", "pretext", "text", "author_name", "author_link", "author_icon"),
        *("title", "title_link", "thumb_url", "footer", "footer_icon", "image_url"),
    )
}


async def test_a_group_is_one_attachment_with_all_that_the_file_says() -> None:
    own = {"username": "u", "icon_url": "i", "icon_emoji": "e", "type": "custom_x"}
    fields = [
        MattermostField(title="a", value="b"),
        MattermostField(title="c", value="d", short=False),
    ]
    body = await sent(
        "mattermost",
        group_card(),
        **TEXTS,
        **own,
        channel="town-square",
        fields=fields,
        props=MattermostProps(card="more"),
        priority=MattermostPriority(
            priority="URGENT", requested_ack=True, persistent_notifications=True
        ),
    )
    shown = [{"title": "a", "value": "b"}, {"title": "c", "value": "d", "short": False}]
    assert body == {
        **own,
        "channel": "town-square",
        "attachments": [TEXTS | {"fields": shown}],
        "props": {"card": "more"},
        "priority": {
            "priority": "urgent",
            "requested_ack": True,
            "persistent_notifications": True,
        },
    }


async def test_beside_attachments_the_text_stands_alone_and_is_cut() -> None:
    attachments = [
        MattermostAttachment(text="t", fields=[MattermostField(title="a", value="b")]),
        MattermostAttachment(),
    ]
    long = TEXTS | {"text": "я" * 16384}
    body = await sent("mattermost", group_card(), **long, attachments=attachments)
    assert body == {
        "text": "я" * 16382 + "…",
        "attachments": [{"text": "t", "fields": [{"title": "a", "value": "b"}]}, {}],
    }


@pytest.mark.parametrize(
    ("wanted", "sends"),
    [
        ({"priority": "Important"}, {"priority": "important", "requested_ack": True}),
        ({"priority": "standard"}, {"priority": "standard"}),
        ({"priority": "nonsense"}, {"priority": "standard"}),
        ({"priority": ""}, {"priority": "standard"}),
    ],
)
async def test_a_priority_has_the_switches_that_go_with_it(
    wanted: dict[str, str], sends: dict[str, Any]
) -> None:
    switches = {"requested_ack": True, "persistent_notifications": True}
    priority = MattermostPriority(**wanted, **switches)  # type: ignore[arg-type]
    body = await sent("mattermost", group_card(), title="x", priority=priority)
    assert body["priority"] == sends


async def test_an_incident_has_the_colour_of_its_state_and_a_link_to_its_page() -> None:
    (begun,) = (await sent("mattermost", card()))["attachments"]
    (over,) = (await sent("mattermost", resolved()))["attachments"]
    page = "https://oncall.example.org/incidents/INC"
    assert (begun["color"], over["color"]) == ("danger", "good")
    assert (begun["title"], begun["title_link"]) == ("HighCPU on eu1", page)
    assert begun["fallback"] == f"HighCPU on eu1 | {page}"


def test_the_file_is_read_with_alertmanagers_defaults() -> None:
    found = integration(
        "mattermost_configs: [{text: '', fields: [{title: a, value: b}], props: {card: ''},"
        " priority: {}, attachments: [{text: t, fields: [{title: a, value: b, short: true}]}]}]",
        "global: {mattermost_webhook_url: 'http://h/x'}\n",
    )
    read = found.settings
    assert found.send_resolved and read.webhook_url.reveal() == "http://h/x"
    assert (read.text, read.props, read.priority) == ('{{ "" }}', None, None)
    assert read.title == '{{ template "mattermost.default.title" . }}'
    assert read.attachments == [
        MattermostAttachment(text="t", fields=[MattermostField(title="a", value="b", short=True)])
    ]


def test_keys_that_alertmanager_does_not_send_are_told() -> None:
    entry = (
        "mattermost_configs: [{webhook_url: 'http://h/', title: t, attachments: [{text: t}],"
        " priority: {requested_ack: true}}]"
    )
    text = f"route: {{receiver: r}}\nreceivers: [{{name: r, {entry}}}]\n"
    place = "receivers[0].mattermost_configs[0]"
    assert sorted((one.kind, one.path) for one in load_text(text, env={}).warnings) == [
        ("unused", f"{place}.priority.requested_ack"),
        ("unused", f"{place}.title"),
    ]
