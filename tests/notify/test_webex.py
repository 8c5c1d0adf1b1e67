"""Messages to Webex: Markdown to a room, as Alertmanager's."""

from __future__ import annotations

import pytest

from amproxy.config.loader import load_text
from amproxy.errors import ConfigError
from tests.support.notify.chats import sent
from tests.support.notify.groups import group_card, integration


async def test_a_group_is_a_message_in_markdown() -> None:
    body = await sent("webex", group_card(), message="**Firing** <sda1> & co")
    assert body == {"markdown": "**Firing** <sda1> & co", "roomId": "room"}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("x" * 7439, "x" * 7439),
        ("x" * 7440, "x" * 7436 + "…"),
        ("я" * 3720, "я" * 3718 + "…"),
        ("x" + "я" * 3720, "x" + "я" * 3717 + "…"),
        ("😀" * 1860, "😀" * 1859 + "…"),
        ("x" * 7435 + "😀😀", "x" * 7435 + "…"),
    ],
)
async def test_a_long_text_is_cut_by_bytes_and_between_characters(text: str, wanted: str) -> None:
    assert (await sent("webex", group_card(), message=text))["markdown"] == wanted


def test_the_file_is_read_with_alertmanagers_defaults() -> None:
    found = integration("webex_configs: [{room_id: r, http_config: {bearer_token: t}}]")
    assert found.send_resolved
    assert found.settings.api_url == "https://webexapis.com/v1/messages"
    assert found.settings.http.authorization_credentials.reveal() == "t"


@pytest.mark.parametrize("http", ["{}", "{basic_auth: {username: u, password: p}}"])
def test_a_token_must_be_there(http: str) -> None:
    entry = f"webex_configs: [{{room_id: r, http_config: {http}}}]"
    with pytest.raises(ConfigError, match="missing authorization"):
        load_text(f"route: {{receiver: r}}\nreceivers: [{{name: r, {entry}}}]\n", env={})
