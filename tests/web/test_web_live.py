"""Changes reach open pages, slow ones too, and nobody waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from amproxy.web import live
from amproxy.web.live import Events, Hub


async def begin(stream: AsyncIterator[str]) -> asyncio.Task[str]:
    task = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    return task


async def test_every_listener_hears_a_change() -> None:
    hub = Hub()
    first, second = hub.listen(), hub.listen()
    heard = [await begin(first), await begin(second)]
    hub.say("incident a")
    assert [await task for task in heard] == ["incident a", "incident a"]


async def test_a_slow_listener_loses_repeats_but_not_the_news() -> None:
    hub = Hub()
    stream = hub.listen()
    task = await begin(stream)
    for number in range(1000):
        hub.say(f"incident {number}")
    assert await task == "incident 0"
    rest = [await asyncio.wait_for(anext(stream), 1) for _ in range(live.WAITING - 1)]
    assert rest[0] == "incident 1"


async def test_closing_ends_all_streams_and_later_ones_at_once() -> None:
    hub = Hub()
    task = asyncio.ensure_future(_all(hub))
    await asyncio.sleep(0)
    hub.close()
    assert await asyncio.wait_for(task, 1) == []
    assert await asyncio.wait_for(_all(hub), 1) == []


async def test_a_stream_shows_that_it_lives_and_cannot_be_broken_by_what_was_said(monkeypatch) -> None:
    monkeypatch.setattr(live, "BEAT", 0.01)
    hub = Hub()
    lines = Events(hub)._lines()
    assert (await anext(lines)).startswith("retry:")
    assert await anext(lines) == ": still here\n\n"
    task = await begin(lines)
    hub.say("incident a\n\ndata: forged")
    assert await task == "data: incident a data: forged\n\n"


async def _all(hub: Hub) -> list[str]:
    return [heard async for heard in hub.listen()]
