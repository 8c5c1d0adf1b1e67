"""A state that is moved to another Redis goes on there: open incidents, their timers, their numbers."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from amproxy.store.backup import back_up, opened, restore
from tests.support.e2e.stories import ALICE, BOB, ROUTES, list_open, push, storm_titles
from tests.support.servers import Servers
from tests.support.standins.telegram import TelegramStandIn
from tests.support.waiting import until


async def move(source: str, target: str, file: Path) -> None:
    async with opened(source) as wire:
        with file.open("wb") as out:
            await back_up(wire, out, time.time())
    async with opened(target) as wire:
        await restore(wire, file, replace=False)


def test_an_incident_escalates_on_the_redis_that_it_was_moved_to(
    servers: Servers, redis_url: str, tmp_path: Path
) -> None:
    with TelegramStandIn() as telegram:
        for chat in (ALICE, BOB):
            telegram.add_chat(chat)
        routes = ROUTES.format(token=telegram.token, telegram=telegram.url, wait="2s")
        amproxy = servers.amproxy(routes, data_dir=tmp_path / "data")
        push(amproxy.url, 1)
        until(lambda: storm_titles(telegram, ALICE)["Storm1"])
        amproxy.terminate()
        told = storm_titles(telegram, BOB)["Storm1"]  # on a busy machine the step was due before
        asyncio.run(move(str(tmp_path / "data"), redis_url, tmp_path / "state.jsonl"))
        amproxy = servers.amproxy(routes, redis_url=redis_url)
        until(lambda: storm_titles(telegram, BOB)["Storm1"])
        assert storm_titles(telegram, ALICE)["Storm1"] == 1
        assert storm_titles(telegram, BOB)["Storm1"] == 1, f"{told} of them before the move"
        push(amproxy.url, 2)
        until(lambda: storm_titles(telegram, ALICE)["Storm2"])
        assert [one["number"] for one in list_open(amproxy.url)] == [2, 1]
