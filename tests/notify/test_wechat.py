"""Messages by WeChat: a token first, then messages as Alertmanager's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
import pytest

from amproxy.errors import DeliveryError
from amproxy.notify.channels.wechat import channel as module
from amproxy.notify.channels.wechat.channel import WechatChannel
from amproxy.notify.channels.wechat.settings import WechatSettings
from amproxy.secret import Secret
from tests.support.notify.cards import card
from tests.support.notify.chats import BY_NAME, sent
from tests.support.notify.groups import group_card, integration
from tests.support.standins.chats import WechatStandIn
from tests.support.standins.serving import Response

METHODS = {"/cgi-bin/gettoken": "token", "/cgi-bin/message/send": "send"}


@pytest.fixture
def service() -> Iterator[WechatStandIn]:
    with WechatStandIn() as started:
        yield started
        started.assert_no_surprises()


@pytest.fixture
async def channel() -> AsyncIterator[WechatChannel]:
    made = WechatChannel()
    yield made
    await made.close()


def settings(service: WechatStandIn, **changes: Any) -> WechatSettings:
    found: WechatSettings = BY_NAME["wechat"].settings(service)
    return msgspec.structs.replace(found, **{"message": "x"} | changes)


def methods(service: WechatStandIn) -> list[str]:
    return [METHODS[request.path] for request in service.requests]


async def test_a_group_is_a_text_or_markdown_and_the_other_one_goes_out_empty() -> None:
    text = "Firing: <sda1> & co"
    common = {"touser": "@all", "agentid": "7", "safe": "0"}
    assert await sent("wechat", group_card(), message=text) == common | {
        "msgtype": "text",
        "text": {"content": text},
        "markdown": {"content": ""},
    }
    others = {"to_user": "", "to_party": "2", "to_tag": "3", "agent_id": ""}
    changed = await sent("wechat", group_card(), message=text, message_type="markdown", **others)
    assert changed == {
        "toparty": "2",
        "totag": "3",
        "safe": "0",
        "msgtype": "markdown",
        "text": {"content": ""},
        "markdown": {"content": text},
    }


async def test_one_token_serves_many_messages_and_each_application_has_its_own(
    service: WechatStandIn, channel: WechatChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        await channel.send(settings(service), group_card())
    assert methods(service) == ["token", "send", "send", "send"]
    with pytest.raises(DeliveryError, match="40001 invalid credential") as caught:
        await channel.send(settings(service, api_secret=Secret("another")), group_card())
    assert (caught.value.permanent, caught.value.reason) == (True, "auth_error")
    monkeypatch.setattr(module, "TOKEN_LIFETIME", 0.0)
    fresh = WechatChannel()
    for _ in range(2):
        await fresh.send(settings(service), group_card())
    await fresh.close()
    assert methods(service)[4:] == ["token", "token", "send", "token", "send"]


async def test_a_token_that_is_over_is_asked_for_anew_at_the_next_attempt(
    service: WechatStandIn, channel: WechatChannel
) -> None:
    await channel.send(settings(service), group_card())
    service.over()
    with pytest.raises(DeliveryError, match="42001 access_token expired") as caught:
        await channel.send(settings(service), group_card())
    assert (caught.value.permanent, caught.value.reason) == (False, "auth_error")
    await channel.send(settings(service), group_card())
    assert methods(service)[2:] == ["send", "token", "send"]


@pytest.mark.parametrize(
    ("body", "group", "page"),
    [
        (b'{"errcode": -1, "errmsg": "busy"}', True, False),
        (b'{"errcode": 45009, "errmsg": "too often"}', True, False),
        (b'{"errcode": 40003, "errmsg": "no user"}', True, True),
        (b'{"errcode": "x"}', False, False),
        (b"[]", False, False),
        (b"<html>", False, False),
        (b"", False, False),
    ],
)
async def test_a_refusal_is_final_and_what_cannot_be_read_is_not(
    service: WechatStandIn, channel: WechatChannel, body: bytes, group: bool, page: bool
) -> None:
    await channel.send(settings(service), group_card())
    for one, permanent in ((group_card(), group), (card(), page)):
        service.answers = [Response(200, body)]
        with pytest.raises(DeliveryError) as caught:
            await channel.send(settings(service), one)
        assert caught.value.permanent == permanent


@pytest.mark.parametrize(
    ("response", "permanent"),
    [
        (Response(502, b"<html>"), False),
        (Response(429), False),
        (Response(200, b"<html>"), False),
        (Response(200, b'{"errcode": 40013, "errmsg": "invalid corpid"}'), True),
        (Response(200, b'{"access_token": ""}'), True),
    ],
)
async def test_without_a_token_nothing_is_sent(
    service: WechatStandIn, channel: WechatChannel, response: Response, permanent: bool
) -> None:
    service.answers = [response]
    with pytest.raises(DeliveryError) as caught:
        await channel.send(settings(service), group_card())
    assert (caught.value.permanent, caught.value.ambiguous) == (permanent, False)
    assert methods(service) == ["token"]
    await channel.send(settings(service), group_card())


async def test_the_query_of_the_address_goes_with_the_message_alone() -> None:
    seen = []
    with WechatStandIn() as service:
        api_url = service.url.rstrip("/") + "?b=1 2&access_token=old&a="
        service.answers = [Response.json({"access_token": "t+"}), Response.json({"errcode": 0})]
        channel = WechatChannel()
        await channel.send(settings(service, api_url=api_url), group_card())
        await channel.close()
        seen = [(request.path, request.query) for request in service.requests]
    assert seen == [
        ("/cgi-bin/gettoken", "corpid=corp&corpsecret=secret+of+the+application"),
        ("/cgi-bin/message/send", "a=&access_token=t%2B&b=1+2"),
    ]


async def test_messages_that_begin_at_once_ask_for_tokens_and_all_arrive(
    service: WechatStandIn, channel: WechatChannel
) -> None:
    await asyncio.gather(*(channel.send(settings(service), group_card()) for _ in range(5)))
    assert methods(service).count("send") == 5


def test_the_file_is_read_with_alertmanagers_defaults() -> None:
    found = integration("wechat_configs: [{corp_id: c, api_secret: s, to_party: ''}]")
    read: WechatSettings = found.settings
    assert not found.send_resolved and not read.send_resolved
    assert (read.api_url, read.message_type) == ("https://qyapi.weixin.qq.com/cgi-bin/", "text")
    # an incident needs somebody too, so that these are no texts of groups alone
    assert (read.to_party, read.to_user) == ("", '{{ template "wechat.default.to_user" . }}')
    in_global = integration(
        "wechat_configs: [{message_type: markdown}]",
        "global: {wechat_api_secret: s, wechat_api_corp_id: c, wechat_api_url: 'http://h/'}\n",
    ).settings
    assert (in_global.api_secret.reveal(), in_global.corp_id) == ("s", "c")
    assert (in_global.api_url, in_global.message_type) == ("http://h/", "markdown")
