"""Heavy work beside the event loop, so that the loop goes on answering.

The interpreter runs one thread at a time, but makes them take turns every few milliseconds: Python
that takes seconds in a thread of its own holds the loop up no longer than that. A single call into
C is not interrupted, so what decodes, encodes or sorts many MB does it in pieces.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, TypeVar

from amproxy import metrics

# Alerts, or what costs as much. So few take about 10 ms: they are not worth a change of threads.
LIGHT: Final = 500
SLICE: Final = 0.003  # seconds of work between two turns of others
PATIENCE: Final = 0.03  # seconds for which work that can wait gives way to pushes, at most
WATCH_INTERVAL: Final = 0.05  # seconds
# One for what comes in and is flushed, one for what somebody reads (Context.big_read): more would
# only take the interpreter from each other.
_THREADS: Final = ThreadPoolExecutor(max_workers=2, thread_name_prefix="offload")

T = TypeVar("T")


class Intake:
    """Pushes that are under way: each is a `with` around its answer."""

    def __init__(self) -> None:
        self.under_way = 0

    def __enter__(self) -> None:
        self.under_way += 1

    def __exit__(self, *_: object) -> None:
        self.under_way -= 1


intake: Final = Intake()  # of this process


async def watch_stalls() -> None:
    """Measure for ever how late the loop comes to what is due."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + WATCH_INTERVAL
        await asyncio.sleep(WATCH_INTERVAL)
        metrics.loop_stall.observe(max(0.0, loop.time() - due))


async def run(size: int, do: Callable[..., T], *args: object) -> T:
    """Return `do(*args)`; where `size` is more than LIGHT, a thread does it meanwhile.

    `do` must leave alone what others change while they wait for it.
    """
    if size <= LIGHT:
        return do(*args)
    return await asyncio.get_running_loop().run_in_executor(_THREADS, partial(do, *args))


async def collect(pieces: Iterable[T]) -> list[T]:
    """Return the pieces of what must be made in the loop's own thread, such as a page.

    After every SLICE seconds others have a turn, pushes until they are answered.
    """
    collected, since = list[T](), time.perf_counter()
    for piece in pieces:
        collected.append(piece)
        if time.perf_counter() - since > SLICE:
            await give_way()
            since = time.perf_counter()
    return collected


async def give_way() -> None:
    """Give others a turn, and pushes that are under way as many as they need, within PATIENCE."""
    until = time.perf_counter() + PATIENCE
    # A request that has come is read in the first turn; what deals with it begins in the next.
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    while intake.under_way and time.perf_counter() < until:  # noqa: ASYNC110  # an event costs pushes
        await asyncio.sleep(0.001)


async def scrap(*collections: list[Any] | dict[Any, Any]) -> None:
    """Empty collections that nobody needs any more.

    The interpreter frees what a collection holds in one go, when its last user ends: with a hundred
    thousand alerts all would wait for it.
    """
    await run(max(map(len, collections), default=0), _empty, collections)


def _empty(collections: Iterable[list[Any] | dict[Any, Any]]) -> None:
    for one in collections:
        while one:
            if isinstance(one, list):
                del one[-LIGHT:]
            else:
                one.popitem()
