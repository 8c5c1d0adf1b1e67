"""Pushes go before pages: work that can wait gives way to them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from amproxy import offload
from amproxy.server.service import App
from tests.support.waiting import PATIENCE


def long_drawing(drawn: list[int]) -> Iterator[int]:
    """A page of a thousand pieces; each takes longer than a slice."""
    for number in range(1000):
        drawn.append(number)
        yield number


async def test_a_push_is_answered_while_a_long_drawing_is_under_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(offload, "SLICE", 0.0)
    monkeypatch.setattr(offload, "PATIENCE", PATIENCE)
    drawn: list[int] = []
    drawing = asyncio.create_task(offload.collect(long_drawing(drawn)))
    while not drawn:
        await asyncio.sleep(0)
    with offload.intake:
        begun = len(drawn)
        for _ in range(30):  # a push waits for Redis and for its turns
            await asyncio.sleep(0.002)
        assert len(drawn) - begun <= 1, "the page was drawn on between two turns of the push"
    assert await asyncio.wait_for(drawing, PATIENCE) == list(range(1000))


async def test_a_drawing_goes_on_beside_pushes_that_never_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(offload, "SLICE", 0.0)
    monkeypatch.setattr(offload, "PATIENCE", 0.002)
    with offload.intake:
        pieces = offload.collect(iter(range(20)))
        assert await asyncio.wait_for(pieces, PATIENCE) == list(range(20))


@pytest.mark.parametrize("path", ["/api/v2/alerts", "/webhook/am"])
async def test_every_push_is_known_to_be_under_way_until_it_is_answered(path: str) -> None:
    seen: list[int] = []

    async def push(*_: object) -> None:
        seen.append(offload.intake.under_way)
        raise ValueError("a defect ends it as well")

    endpoints = SimpleNamespace(context=None, v2_alerts=push, webhook=push)
    app: Any = App(cast("Any", endpoints), cast("Any", None))
    with pytest.raises(ValueError, match="a defect"):
        await app({"type": "http", "method": "POST", "path": path}, None, None)
    assert seen == [1] and offload.intake.under_way == 0
