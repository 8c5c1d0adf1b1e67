"""The dead man's switch: called while all is well, and only then."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from amproxy.config.structs import Config, DeadMansSwitch
from amproxy.engine import dead_mans_switch as engine_health
from amproxy.engine.dead_mans_switch import DeadMansSwitchLoop
from amproxy.model import OutgoingMessage
from amproxy.secret import Secret
from amproxy.store import health, incidents, keys
from amproxy.store.commit import Operations, commit
from tests.support.integration.house import House, config
from tests.support.standins.webhook import Answer, Request, WebhookServer
from tests.support.waiting import soon

Build = Callable[[Config], Awaitable[House]]


class Outside(WebhookServer):
    """Whoever waits for the calls."""

    def problem(self, request: Request) -> str:
        return "" if request.method == "GET" and not request.body else "not a bare GET"


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("amproxy.engine.dead_mans_switch.CONFIG_CHECK_EVERY", 0.02)


def switched(server: WebhookServer, path: str = "/ping/s3cret", **values: Any) -> Config:
    url = values.pop("url", Secret(f"{server.url}{path}"))
    return config(dead_mans_switch=DeadMansSwitch(**{"url": url, "every": 0.2, **values}))


@contextlib.asynccontextmanager
async def running(*beats: DeadMansSwitchLoop) -> Any:
    tasks = [asyncio.create_task(beat.run()) for beat in beats]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for beat in beats:
        await beat.close()


async def test_it_is_called_again_and_again_and_a_reload_takes_up_another_url(
    house_of: Build, tmp_path: Path
) -> None:
    with Outside() as server:
        house = await house_of(switched(server))
        async with running(DeadMansSwitchLoop(house.context, "a", lambda: True)):
            await soon(lambda: len(server.requests) >= 2)
            assert {
                (request.method, request.path.rpartition("/ping")[2]) for request in server.requests
            } == {("GET", "/s3cret")}
            (tmp_path / "url").write_text(f"{server.url}/ping/other\n")
            house.context.use_config(
                switched(server, url=Secret(""), url_file=str(tmp_path / "url"))
            )
            await soon(
                lambda: any(request.path.endswith("/ping/other") for request in server.requests)
            )
        left = await health.load_dead_mans_switch(house.context.wire)
        assert left.up and left.at


async def test_of_two_replicas_one_calls(house_of: Build) -> None:
    with Outside() as server:
        house = await house_of(switched(server, every=300.0))
        one, two = (
            DeadMansSwitchLoop(house.context, "a", lambda: True),
            DeadMansSwitchLoop(house.context, "b", lambda: True),
        )
        async with running(one, two):
            await soon(lambda: server.requests)
            switch = house.context.config.dead_mans_switch
            assert switch
            assert await two.once(switch)
            assert await one.once(switch)
        assert len(server.requests) == 2, (
            "the first call of the one, and the one that was asked for"
        )


async def test_a_url_that_fails_is_tried_again_and_never_shows(
    house_of: Build, caplog: pytest.LogCaptureFixture
) -> None:
    with Outside() as server:
        server.answers += [
            Answer(500),
            Answer(302, {"Location": "http://127.0.0.1/"}),
            Answer(drop=True),
        ]
        house = await house_of(switched(server))
        with caplog.at_level(logging.INFO):
            async with running(DeadMansSwitchLoop(house.context, "a", lambda: True)):
                await soon(lambda: len(server.requests) >= 4)
                await soon(lambda: "called again" in caplog.text)
        told = [
            record.getMessage() for record in caplog.records if "dead man" in record.getMessage()
        ]
        assert len([text for text in told if "not called" in text]) == 3, told
        assert "s3cret" not in caplog.text and str(server.port) not in caplog.text


@pytest.mark.parametrize("what", ["timer", "page", "part"])
async def test_it_is_not_called_while_something_is_wrong_and_says_why_once(
    house_of: Build, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    with Outside() as server:
        house = await house_of(switched(server))
        await house.stop()  # nobody works
        wire, now = house.context.wire, house.context.now()
        if what == "timer":
            await wire.call("ZADD", keys.TIMERS, int((now - 90) * 1000), "incident:x")
        if what == "page":
            operations = Operations()
            incidents.enqueue(
                operations,
                OutgoingMessage(id="n", kind="notification", channel="webhook", due=now - 900),
            )
            incidents.enqueue(
                operations,
                OutgoingMessage(id="r", kind="page", channel="chat", due=now - 900, attempt=2),
            )
            assert await commit(wire, operations)
            assert not await engine_health.find_problems(house.context, ready=True), (
                "what is not a page, or was tried, is not stuck"
            )
            operations = Operations()
            incidents.enqueue(
                operations, OutgoingMessage(id="p", kind="page", channel="chat", due=now - 400)
            )
            assert await commit(wire, operations)
        beat = DeadMansSwitchLoop(house.context, "a", lambda: what != "part")
        switch = house.context.config.dead_mans_switch
        assert switch
        for _ in range(3):
            assert not await beat.once(switch)
        assert not server.requests
        [said] = [
            record.getMessage() for record in caplog.records if "dead man" in record.getMessage()
        ]
        wanted = {
            "timer": "a timer is overdue by 1 min 3",
            "page": "a page has waited for 6 min 4",
            "part": "a part of this process does not run",
        }[what]
        assert wanted in said
        if what != "part":
            assert not (await health.load_dead_mans_switch(wire)).up
        await beat.close()


@pytest.mark.own_redis
async def test_a_redis_that_takes_no_writes_is_wrong(house_of: Build) -> None:
    house = await house_of(config())
    assert await engine_health.find_problems(house.context, ready=True) == []
    await house.context.wire.call("CONFIG", "SET", "min-replicas-to-write", "3")
    [why] = await engine_health.find_problems(house.context, ready=True)
    assert re.search("takes no writes", why)
    await house.context.wire.call("CONFIG", "SET", "min-replicas-to-write", "0")
    assert await engine_health.find_problems(house.context, ready=True) == []
