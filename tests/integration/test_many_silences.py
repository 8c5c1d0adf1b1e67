"""Thousands of silences: neither a change nor a flush is dearer for those that do not concern it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from statistics import median

import pytest

from amproxy.config.structs import Config
from amproxy.correlate.flusher import flush_group
from amproxy.labels.matchers import Matcher
from amproxy.model import Silence
from amproxy.respond import muting
from amproxy.store import keys
from amproxy.store import muting as store_muting
from amproxy.store.commit import Operations, commit
from amproxy.store.leases import Timer
from tests.support.integration.house import House, config

pytestmark = pytest.mark.clock

SILENCES, ROUNDS = 4000, 25
FEW = 20  # with fewer a change costs next to nothing, and ratios mean little


def a_silence(name: str, silence_id: str = "") -> Silence:
    matchers = [Matcher("alertname", "=", "Disk"), Matcher("instance", "=", name)]
    now = time.time_ns()
    return Silence(
        id=silence_id, matcher_sets=[matchers], starts_ns=now, ends_ns=now + 3600 * 10**9
    )


async def store(house: House, count: int) -> None:
    operations = Operations()
    made = [a_silence(f"host-{number}", f"id-{number}") for number in range(count)]
    store_muting.save_silences(operations, *made)
    assert await commit(house.context.wire, operations)
    assert len(await muting.load_silences(house.context)) >= count


async def cost(do: Callable[[int], Awaitable[object]]) -> float:
    """CPU seconds of this process, the median of ROUNDS."""
    times = []
    for number in range(ROUNDS):
        started = time.process_time()
        await do(number)
        times.append(time.process_time() - started)
    return median(times)


async def flush_cost(house: House, name: str) -> float:
    """Of groups of ten alerts each, pushed for the first time."""
    context, wire = house.context, house.context.wire
    before = set(await wire.call("SMEMBERS", keys.GROUPS))
    for number in range(ROUNDS):
        alerts = [
            {
                "labels": {"alertname": f"{name}{number}", "instance": f"host-{host}"},
                "endsAt": "2200-01-01T00:00:00Z",
            }
            for host in range(10)
        ]
        assert (await house.post("/api/v2/alerts", alerts))[0] == 200
    ids = [one.decode() for one in await wire.call("SMEMBERS", keys.GROUPS) if one not in before]
    assert len(ids) == ROUNDS
    return await cost(
        lambda number: flush_group(context, Timer("flush", ids[number], context.now()))
    )


async def test_a_change_and_a_flush_cost_about_as_much_with_thousands_of_silences(
    house_of: Callable[[Config], Awaitable[House]],
) -> None:
    house = await house_of(config())
    await house.stop()  # only what is measured is at work

    async def make(number: int) -> None:
        made = await muting.put_silence(house.context, a_silence(f"made-{number}"))
        await muting.expire_silence(house.context, made.id)

    flush_without = await flush_cost(house, "without")
    await store(house, FEW)
    change_few = await cost(make)
    await store(house, SILENCES)
    assert await cost(make) < 6 * change_few
    assert await flush_cost(house, "with") < 3 * flush_without
