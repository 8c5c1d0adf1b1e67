"""The simulation holds the pages that the service's script in Redis holds, and sends them when it does."""

from __future__ import annotations

import asyncio

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.config.structs import Storm
from amproxy.model import OutgoingMessage
from amproxy.simulation.storms import StormBook
from amproxy.store import keys, leases, outbox
from amproxy.store.storms import hold_page, load_backlog
from amproxy.store.wire import Wire

BEGIN = 1_767_603_600_000  # ms


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(
    st.builds(
        Storm, more_than=st.integers(1, 4), within=st.sampled_from([10.0, 45.5, 60.0, 600.0])
    ),
    st.lists(st.sampled_from([0, 1, 900, 4_000, 15_000, 31_000, 60_000]), max_size=20),
)
def test_pages_are_held_and_sent_as_by_the_script(
    redis_url: str, storm: Storm, pauses: list[int]
) -> None:
    asyncio.run(_compare(redis_url, storm, pauses))


async def _compare(url: str, storm: Storm, pauses: list[int]) -> None:
    wire = Wire(url)
    wire.open()
    await wire.connected()
    try:
        await wire.call("FLUSHALL")
        await outbox.join(wire)
        book, now = StormBook(), BEGIN
        for number, pause in enumerate(pauses):
            now += pause
            if book.due is not None and book.due <= now:
                await (await load_backlog(wire, "storm")).release(wire, [], book.due / 1000)
                book.take()
            name = str(number)
            message = OutgoingMessage(
                id=name, kind="page", channel="chat", page=name, due=now / 1000
            )
            await wire.call("XADD", keys.OUTBOX, "*", "m", msgspec.msgpack.encode(message))
            [queued] = await outbox.read(wire, "me", 1)
            held = await hold_page(wire, storm, "storm", queued, now / 1000)
            assert book.holds(storm, now) == held
            due = await leases.next_due(wire)
            assert (None if due is None else round(due * 1000)) == book.due
    finally:
        await wire.close()
