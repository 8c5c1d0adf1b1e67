"""What must not be sent is not sent: each channel asks once the connection stands, before its first byte."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from amproxy.config.channels import REGISTRY, channel_kind, load_name
from amproxy.config.loader import load_text
from amproxy.errors import DeliveryError
from amproxy.notify.channels.pushover import channel as pushover
from amproxy.notify.delivery import NotOurs
from amproxy.notify.permit import Permit, may_have_left, obtain_permit, sending_by
from tests.support.notify.groups import group_card

# Entries of `KIND_configs` that speak to URL, HOST:PORT.
ENTRIES = {
    "webhook": "{url: 'URL'}",
    "email": "{to: a@example.org, from: b@example.org, smarthost: 'HOST:PORT', require_tls: false}",
    "slack": "{channel: '#a', api_url: 'URL'}",
    "telegram": "{chat_id: 1, api_url: 'URL', bot_token: 'a:b'}",
    "pagerduty": "{routing_key: k, url: 'URL'}",
    "opsgenie": "{api_key: k, api_url: 'URL/'}",
    "victorops": "{api_key: k, routing_key: k, api_url: 'URL/'}",
    "pushover": "{user_key: k, token: k}",
    "jira": "{project: P, issue_type: Bug, api_url: 'URL', http_config: {basic_auth: {username: a, password: b}}}",
    "sns": "{topic_arn: 'arn:aws:sns:eu-west-1:123456789012:a', api_url: 'URL', sigv4: {region: eu-west-1, access_key: a, secret_key: b}}",
    "discord": "{webhook_url: 'URL'}",
    "msteams": "{webhook_url: 'URL'}",
    "msteamsv2": "{webhook_url: 'URL'}",
    "webex": "{room_id: r, api_url: 'URL', http_config: {authorization: {credentials: c}}}",
    "wechat": "{api_url: 'URL/', corp_id: c, api_secret: s, agent_id: '1'}",
    "rocketchat": "{channel: '#a', api_url: 'URL', token: t, token_id: i}",
    "mattermost": "{webhook_url: 'URL'}",
    "incidentio": "{url: 'URL', alert_source_token: t}",
    "alertmanager": "{url: 'URL'}",
}
PEOPLE_ONLY = {"push", "console"}


class Listener:
    """Takes connections, greets like a mail server, and keeps what it was sent."""

    def __init__(self) -> None:
        self.received, self.connected = bytearray(), 0
        self._mail = False

    async def __aenter__(self) -> Listener:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connected += 1
        if self._mail:
            writer.write(b"220 mail\r\n")
        try:
            while data := await reader.read(4096):
                self.received += data
                if self._mail:
                    writer.write(b"250 mail\r\n")
        except ConnectionError:
            pass
        finally:
            writer.close()

    def greet(self) -> None:
        self._mail = True


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    async with Listener() as listening:
        yield listening


async def refused() -> bool:
    raise NotOurs("another process has it")


def settings_of(kind: str, port: int) -> Any:
    entry = ENTRIES[kind].replace("URL", f"http://127.0.0.1:{port}")
    entry = entry.replace("HOST:PORT", f"127.0.0.1:{port}")
    wanted = "alertmanager_configs" if kind == "alertmanager" else f"{kind}_configs"
    text = f"route: {{receiver: r}}\nreceivers: [{{name: r, {wanted}: [{entry}]}}]\n"
    [integration] = load_text(text, env={}).config.receivers["r"].integrations
    return integration.settings


@pytest.mark.parametrize("kind", [one for one in REGISTRY if one not in PEOPLE_ONLY])
async def test_no_channel_sends_what_it_must_not(
    kind: str, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "email":
        listener.greet()
    if kind == "pushover":  # its address is no setting
        url = f"http://127.0.0.1:{listener.port}/1/messages.json"
        monkeypatch.setattr(pushover, "URL", url)
    channel = load_name(channel_kind(kind).channel)()
    card = group_card()
    with sending_by(Permit(refused)), pytest.raises(NotOurs):
        await channel.send(settings_of(kind, listener.port), card)
    await channel.close()
    assert listener.connected == 1
    spoken = re.sub(rb"(EHLO|HELO|QUIT)[^\r]*\r\n", b"", bytes(listener.received))
    assert spoken == b"", "a greeting tells nobody anything"


async def test_a_connection_that_never_stood_is_not_ambiguous_and_one_that_broke_is(
    listener: Listener,
) -> None:
    asked = 0

    async def allowed() -> bool:
        nonlocal asked
        asked += 1
        return False

    channel = load_name(channel_kind("webhook").channel)()
    card = group_card()
    permit = Permit(allowed)
    with sending_by(permit), pytest.raises(DeliveryError) as failed:
        await channel.send(settings_of("webhook", 1), card)
    assert not failed.value.ambiguous and not permit.obtained and not asked

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with sending_by(permit), pytest.raises(DeliveryError) as failed:
        await channel.send(settings_of("webhook", port), card)
        assert may_have_left()
    assert failed.value.ambiguous and permit.obtained and asked == 1
    server.close()
    await channel.close()


async def test_outside_of_a_message_nobody_is_asked() -> None:
    await obtain_permit()
    assert may_have_left()
