"""Changes reach open pages in rounds, slow ones too, and nobody waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from amproxy.web.http import live, page_cache
from amproxy.web.http.live import LiveEvents, LiveHub
from amproxy.web.http.page_cache import LIVE_HEADER
from tests.support.waiting import PATIENCE
from tests.support.web.website import Site

LIVE = {LIVE_HEADER: "60000"}  # ms: more than any of these tests takes


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "PACE", 0.02)
    monkeypatch.setattr(live, "GUESS", 0.0)
    monkeypatch.setattr(live, "SERVING", 0.0)
    monkeypatch.setattr(page_cache, "MAX_PAGE_AGE", 60.0)
    monkeypatch.setattr(page_cache, "DRAWING_SHARE", 1.0)


async def begin(stream: AsyncIterator[str]) -> asyncio.Task[str]:
    task = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    return task


async def test_every_listener_hears_a_change() -> None:
    hub = LiveHub()
    first, second = hub.listen(), hub.listen()
    heard = [await begin(first), await begin(second)]
    hub.publish("incident a")
    assert [await asyncio.wait_for(task, PATIENCE) for task in heard] == [
        "incident a",
        "incident a",
    ]


async def test_what_changes_within_a_round_is_told_once_in_the_next() -> None:
    hub = LiveHub()
    stream = hub.listen()
    task = await begin(stream)
    hub.publish("incident 0")
    assert await asyncio.wait_for(task, PATIENCE) == "incident 0"
    for number in range(1, 1000):
        hub.publish(f"incident {number}")
    assert await asyncio.wait_for(anext(stream), PATIENCE) == "incident 999"
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(stream), 0.2)


async def test_pages_that_cost_much_are_told_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = LiveHub()
    stream = hub.listen("the list of alice", "/incidents")
    task = await begin(stream)
    hub.publish("incident a")
    await asyncio.wait_for(task, PATIENCE)
    # a tenth of the time may go into pages: the round after this one lasts 0.3 s
    hub.costs.add("/incidents", 0.03)
    began = asyncio.get_running_loop().time()
    hub.publish("incident b")
    await asyncio.wait_for(anext(stream), PATIENCE)
    hub.publish("incident c")
    await asyncio.wait_for(anext(stream), PATIENCE)
    assert asyncio.get_running_loop().time() - began >= 0.3


async def test_a_slow_listener_loses_repeats_but_not_the_news() -> None:
    hub = LiveHub()
    stream = hub.listen()
    task = await begin(stream)
    hub.publish("incident 0")
    assert await asyncio.wait_for(task, PATIENCE) == "incident 0"
    for number in range(1, 5):
        hub.publish(f"incident {number}")
        await asyncio.sleep(0.05)  # a round and more, in which nobody listens
    assert await asyncio.wait_for(anext(stream), PATIENCE) == "incident 4"


async def test_closing_ends_all_streams_and_later_ones_at_once() -> None:
    hub = LiveHub()
    task = asyncio.ensure_future(_all(hub))
    await asyncio.sleep(0)
    hub.publish("incident a")
    hub.close()
    assert await asyncio.wait_for(task, PATIENCE) in ([], ["incident a"])
    assert await asyncio.wait_for(_all(hub), PATIENCE) == []


async def test_a_stream_shows_that_it_lives_and_cannot_be_broken_by_what_was_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live, "KEEPALIVE", 0.05)
    hub = LiveHub()
    lines = LiveEvents(hub, lambda *_: "")._lines()
    assert (await anext(lines)).startswith("retry:")
    assert await anext(lines) == ": still here\n\n"
    task = await begin(lines)
    hub.publish("incident a\n\ndata: forged")
    assert await asyncio.wait_for(task, PATIENCE) == "data: 0 incident a data: forged\n\n"


async def _all(hub: LiveHub) -> list[str]:
    return [heard async for heard in hub.listen()]


async def test_pages_that_stay_up_to_date_are_drawn_once_for_all_who_see_the_same(
    site: Site,
) -> None:
    first = await site.client.get("/", headers=LIVE)
    await site.opened(title="Fresh")
    assert (
        "Fresh" not in (await site.client.get("/", headers=LIVE)).text and "Fresh" not in first.text
    )
    assert (
        "Fresh" in (await site.client.get("/")).text
    )  # whoever comes by a link sees what is so now


async def test_a_page_is_never_older_than_what_its_reader_knows(site: Site) -> None:
    await site.client.get("/", headers=LIVE)
    await asyncio.sleep(0.05)
    await site.opened(title="Fresh")
    assert (
        "Fresh" in (await site.client.get("/", headers={LIVE_HEADER: "20"})).text
    )  # they were told, or acted, 20 ms ago
    assert "Fresh" in (await site.client.get("/", headers=LIVE)).text


@pytest.mark.parametrize("age", ["", "x", "-1", "1e3", "²", "9" * 400])
async def test_a_strange_age_gets_a_page_of_its_own(site: Site, age: str) -> None:
    await site.client.get("/", headers=LIVE)
    await site.opened(title="Fresh")
    assert "Fresh" in (await site.client.get("/", headers={LIVE_HEADER: age.encode()})).text


async def test_readers_do_not_see_what_is_drawn_for_others(site: Site) -> None:
    alice = await site.client.get("/", headers={**LIVE, "Cookie": "amproxy_user=alice"})
    assert "that is you" in alice.text
    assert "that is you" not in (await site.client.get("/", headers=LIVE)).text
    assert (
        '<html lang="ru">'
        in (await site.client.get("/", headers={**LIVE, "Accept-Language": "ru"})).text
    )
    assert (
        "No incident is like this"
        in (await site.client.get("/incidents?label=team%3Dx", headers=LIVE)).text
    )
    assert (await site.client.get("/incidents/none", headers=LIVE)).status_code == 404


async def test_what_programs_ask_for_is_never_shared(site: Site) -> None:
    await site.client.get("/api/v1/incidents", headers=LIVE)
    await site.opened(title="Fresh")
    assert "Fresh" in (await site.client.get("/api/v1/incidents", headers=LIVE)).text


async def test_pages_beyond_the_limit_are_told_to_ask_again_later() -> None:
    hub = LiveHub()
    hub.limit = 1
    stream = hub.listen()
    task = await begin(stream)
    lines = [line async for line in LiveEvents(hub, lambda *_: "")._lines()]
    assert lines == ["retry: 30000\n\n"]
    hub.close()
    with pytest.raises(StopAsyncIteration):
        await task
    hub = LiveHub()
    hub.close()
    assert [line async for line in LiveEvents(hub, lambda *_: "")._lines()] == ["retry: 2000\n\n"]
