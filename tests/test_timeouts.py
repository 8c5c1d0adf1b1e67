"""A time-out counts the time in which the process ran."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from amproxy.timeouts import LAST_LOOK, limit


async def test_a_loop_that_was_held_up_reads_what_has_come_before_a_time_out_counts() -> None:
    here, there = socket.socketpair()
    here.setblocking(False)
    loop = asyncio.get_running_loop()
    async with limit(0.2):
        read = asyncio.create_task(loop.sock_recv(here, 10))
        await asyncio.sleep(0)
        there.sendall(b"answer")
        time.sleep(0.5)
        assert await read == b"answer"
    for one in (here, there):
        one.close()


async def test_a_time_out_comes_where_nothing_has_come() -> None:
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        async with limit(0.2):
            await asyncio.sleep(60)
    assert time.monotonic() - began + 0.01 >= 0.2 + LAST_LOOK
    async with limit(0.01):
        pass
    await asyncio.sleep(0.01 + 1.1 * LAST_LOOK)  # one that is over comes no more
