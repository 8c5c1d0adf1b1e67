"""Messages to Discord: embeds as Alertmanager's, against a stand-in that refuses what Discord refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from amproxy.config.loader import load_text
from amproxy.errors import DeliveryError
from amproxy.secret import Secret
from tests.support.notify.chats import BY_NAME, sent
from tests.support.notify.groups import group_card, integration


async def test_a_group_is_one_embed_in_the_colour_of_its_state() -> None:
    texts = {"title": "[FIRING:1] DiskFull", "message": "Alerts Firing: <sda1> & co"}
    embed = {"title": "[FIRING:1] DiskFull", "description": "Alerts Firing: <sda1> & co"}
    assert await sent("discord", group_card(), **texts) == {
        "content": "",
        "embeds": [embed | {"color": 10038562}],
    }
    decorated = {"content": "@here", "username": "watch", "avatar_url": "https://e.org/a.png"}
    assert await sent("discord", group_card(over=True), **texts, **decorated) == {
        **decorated,
        "embeds": [embed | {"color": 3066993}],
    }


async def test_an_empty_text_of_a_group_stays_empty() -> None:
    (embed,) = (await sent("discord", group_card(), title="x"))["embeds"]
    assert (embed["title"], embed["description"]) == ("x", "")


async def test_long_texts_are_cut_by_characters() -> None:
    long = {"title": "я" * 257, "message": "я" * 4097, "content": "я" * 2001}
    body = await sent("discord", group_card(), **long)
    (embed,) = body["embeds"]
    assert embed["title"] == "я" * 255 + "…"
    assert embed["description"] == "я" * 4095 + "…"
    assert body["content"] == "я" * 1999 + "…"
    whole = await sent("discord", group_card(), title="😀" * 256, message="x" * 4096)
    assert whole["embeds"][0]["title"] == "😀" * 256
    assert whole["embeds"][0]["description"] == "x" * 4096


async def test_the_address_may_stand_in_a_file_which_is_read_anew(tmp_path: Path) -> None:
    case, file = BY_NAME["discord"], tmp_path / "url"
    channel = case.channel()
    with case.stand_in() as service:
        settings = case.settings(service).__class__(webhook_url_file=str(file), title="x")
        with pytest.raises(DeliveryError, match="webhook_url_file cannot be read") as caught:
            await channel.send(settings, group_card())
        assert caught.value.permanent
        for text in ("", "ftp://x/", "no address"):
            file.write_text(text)
            with pytest.raises(DeliveryError) as caught:
                await channel.send(settings, group_card())
            assert caught.value.permanent
        file.write_text(f" {service.url}\n")
        await channel.send(settings, group_card())
        assert len(service.taken) == 1
        assert channel.rate_limit(settings) == channel.rate_limit(case.settings(service))
    await channel.close()


def test_the_file_is_read_with_alertmanagers_defaults() -> None:
    found = integration(
        "discord_configs: [{webhook_url: 'http://h/x', title: '', content: c, username: u}]"
    )
    read = found.settings
    assert found.send_resolved and read.webhook_url == Secret("http://h/x")
    # a title written as nothing is nothing; a message left out has the default text
    assert (read.title, read.content, read.username) == ('{{ "" }}', "c", "u")
    assert read.message == '{{ template "discord.default.message" . }}'


@pytest.mark.parametrize(
    ("avatar", "kept"),
    [
        ("https://e.org/a%20b.png?x=%zz", True),
        ("a/relative/one", True),
        ("http://[::1]:80/", True),
        ("mailto:somebody", True),
        ("https://user@e.org:/x", True),
        ("http://a@b@c/", True),
        ("http://x y/", False),
        ("https://e.org/%zz", False),
        ("https://e.org:port/", False),
        ("http://[::1/", False),
        ("http://[::1]x/", False),
        ("http://[x]/", False),
        ("http://u:p%zz@h/", False),
        (":x", False),
        ("1:2/x", False),
        ("http://e.org/#%a", False),
    ],
)
def test_an_avatar_that_go_does_not_take_for_a_url_is_left_out_and_told(
    avatar: str, kept: bool
) -> None:
    entry = f"discord_configs: [{{webhook_url: 'http://h/x', avatar_url: '{avatar}'}}]"
    found = load_text(f"route: {{receiver: r}}\nreceivers: [{{name: r, {entry}}}]\n", env={})
    (one,) = found.config.receivers["r"].integrations
    assert one.settings.avatar_url == (avatar if kept else "")
    assert [warning.kind for warning in found.warnings] == ([] if kept else ["unused"])
