"""Messages to Rocket.Chat, as Alertmanager's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from amproxy.config.loader import load_text
from amproxy.errors import ConfigError, DeliveryError
from amproxy.notify.channels.rocketchat.settings import RocketChatAction, RocketChatField
from amproxy.secret import Secret
from tests.support.notify.chats import BY_NAME, sent
from tests.support.notify.groups import group_card, integration
from tests.support.standins.chats import ROCKETCHAT_TOKEN, ROCKETCHAT_USER
from tests.support.standins.serving import Response

TOKENS = "token: t, token_id: i"


async def test_a_group_is_an_attachment_with_all_that_the_file_says() -> None:
    body = await sent(
        "rocketchat",
        group_card(),
        color="red",
        title="[FIRING:1] DiskFull",
        title_link="http://am/#/alerts",
        text="<sda1> & co",
        message_text="a disk is full",
        emoji=":fire:",
        icon_url="https://e.org/i.png",
        image_url="https://e.org/m.png",
        thumb_url="https://e.org/t.png",
        fields=[RocketChatField(title="a", value="b", short=True), RocketChatField(title="c")],
        actions=[RocketChatAction(text="Open", url="https://e.org"), RocketChatAction(msg="m")],
    )
    button = {"type": "button", "is_webview": False, "msg_in_chat_window": False}
    assert body == {
        "channel": "#ops",
        "text": "a disk is full",
        "emoji": ":fire:",
        "avatar": "https://e.org/i.png",
        "attachments": [
            {
                "title": "[FIRING:1] DiskFull",
                "title_link": "http://am/#/alerts",
                "text": "<sda1> & co",
                "image_url": "https://e.org/m.png",
                "thumb_url": "https://e.org/t.png",
                "color": "red",
                "fields": [
                    {"short": True, "title": "a", "value": "b"},
                    {"short": False, "title": "c"},
                ],
                "actions": [
                    button | {"text": "Open", "url": "https://e.org"},
                    button | {"msg": "m"},
                ],
            }
        ],
    }


async def test_what_is_empty_is_left_out_and_a_long_title_is_cut() -> None:
    body = await sent("rocketchat", group_card(), title="я" * 1025)
    assert body == {"channel": "#ops", "attachments": [{"title": "я" * 1023 + "…"}]}


@pytest.mark.parametrize(
    ("body", "permanent"),
    [
        (b'{"success": false, "error": "no channel"}', True),
        (b'{"success": null}', True),
        (b"{}", True),
        (b'{"success": 1}', False),
        (b"<html>", False),
        (b"[]", False),
    ],
)
async def test_a_refusal_may_come_with_a_200(body: bytes, permanent: bool) -> None:
    case = BY_NAME["rocketchat"]
    channel = case.channel()
    with case.stand_in() as service:
        service.answers = [Response(200, body)]
        with pytest.raises(DeliveryError) as caught:
            await channel.send(case.settings(service), group_card())
    assert caught.value.permanent == permanent
    await channel.close()


async def test_tokens_may_stand_in_files_and_the_address_of_the_api_may_be_any(
    tmp_path: Path,
) -> None:
    case = BY_NAME["rocketchat"]
    channel = case.channel()
    (tmp_path / "token").write_text(f"{ROCKETCHAT_TOKEN}\n")
    (tmp_path / "id").write_text(f"{ROCKETCHAT_USER}\n")
    by_file: dict[str, Any] = {
        "token": Secret(""),
        "token_id": Secret(""),
        "token_file": str(tmp_path / "token"),
        "token_id_file": str(tmp_path / "id"),
    }
    with case.stand_in() as service:
        plain = msgspec.structs.replace(case.settings(service), **by_file)
        for api_url in (plain.api_url, plain.api_url + "x/..//", plain.api_url.rstrip("/")):
            await channel.send(msgspec.structs.replace(plain, api_url=api_url), group_card())
        assert len(service.taken) == 3
        (tmp_path / "token").unlink()
        with pytest.raises(DeliveryError, match="token_file cannot be read"):
            await channel.send(plain, group_card())
    await channel.close()


def test_the_file_is_read_with_alertmanagers_defaults() -> None:
    found = integration(
        f"rocketchat_configs: [{{{TOKENS}, short_fields: true, message_text: m,"
        " fields: [{title: a}, {title: b, short: false}], actions: [{type: button, msg: m}]}]"
    )
    read = found.settings
    assert not found.send_resolved and read.api_url == "https://open.rocket.chat/"
    assert [field.short for field in read.fields] == [True, False]
    assert (read.message_text, read.actions) == ("m", [RocketChatAction(msg="m")])


def test_keys_that_alertmanager_does_not_send_are_told() -> None:
    entry = f"rocketchat_configs: [{{{TOKENS}, link_names: true, actions: [{{imageurl: i}}]}}]"
    text = f"route: {{receiver: r}}\nreceivers: [{{name: r, {entry}}}]\n"
    told = [(one.kind, one.path) for one in load_text(text, env={}).warnings]
    place = "receivers[0].rocketchat_configs[0]"
    assert told == [("unused", f"{place}.link_names"), ("unused", f"{place}.actions[0].imageurl")]
    with pytest.raises(ConfigError, match="image_url"):
        load_text(text.replace("imageurl", "image_url"), env={})
