"""Who has shown who they are may push from any machine, without `sources` in the file; others from this machine only."""

from __future__ import annotations

from typing import Any

import pytest

from amproxy.accept import tokens
from amproxy.accept.body import PushRefused, Receive, Scope, Send
from amproxy.config.structs import Config, Route
from amproxy.secret import Secret
from amproxy.server.basic_auth import BasicAuth
from amproxy.server.web_config import WebConfig
from tests.support.server.reached import PASSWORD, hashed

ALICE = b"Basic YWxpY2U6Y29ycmVjdCBob3JzZQ=="  # alice:correct horse
OPEN = Config(route=Route(receiver="default", key="{}"))


async def pushed(config: WebConfig, client: str, *headers: tuple[bytes, bytes]) -> int:
    """The status of a push from this address."""
    sent: list[Any] = []

    async def door(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            tokens.source_by_token(OPEN, scope)
            status = 200
        except PushRefused as refused:
            status = refused.status
        await send({"type": "http.response.start", "status": status, "headers": []})

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("nobody reads the body")

    scope = {
        "type": "http",
        "path": "/api/v2/alerts",
        "client": (client, 1),
        "headers": list(headers),
    }
    await BasicAuth(door, lambda: config)(scope, receive, send)
    return int(sent[0]["status"])


@pytest.mark.parametrize("client", ["127.0.0.1", "192.0.2.1"])
async def test_a_password_opens_the_door_from_any_machine(client: str) -> None:
    config = WebConfig(users={"alice": Secret(hashed(PASSWORD))})
    assert await pushed(config, client, (b"authorization", ALICE)) == 200
    assert await pushed(config, client) == 401


async def test_a_file_that_demands_nothing_opens_the_door_for_this_machine_only() -> None:
    assert await pushed(WebConfig(), "127.0.0.1", (b"authorization", ALICE)) == 200
    assert await pushed(WebConfig(), "192.0.2.1", (b"authorization", ALICE)) == 403
