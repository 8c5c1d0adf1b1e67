"""The dead man's switch, turn by turn: its calls stop when something is wrong, and go on after.

tests/road/test_beat.py has it at work.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from amproxy.config.structs import DeadMansSwitch
from amproxy.context import Context
from amproxy.engine.dead_mans_switch import DeadMansSwitchLoop
from amproxy.secret import Secret
from amproxy.store import health, keys
from tests.support.standins.webhook import Request, WebhookServer


class Outside(WebhookServer):
    """Whoever waits for the calls."""

    def problem(self, request: Request) -> str:
        return "" if request.method == "GET" and not request.body else "not a bare GET"


@pytest.fixture
def outside() -> Iterator[Outside]:
    with Outside() as server:
        yield server


def switch_of(outside: Outside) -> DeadMansSwitch:
    return DeadMansSwitch(url=Secret(f"{outside.url}/ping"), every=60.0)


async def test_the_calls_stop_while_a_timer_is_overdue_and_go_on_when_it_is_gone(
    context: Context, outside: Outside
) -> None:
    loop, switch = DeadMansSwitchLoop(context, "a", lambda: True), switch_of(outside)
    assert await loop.once(switch)
    assert len(outside.requests) == 1
    await context.wire.call("ZADD", keys.TIMERS, int((context.now() - 90) * 1000), "incident:x")
    assert not await loop.once(switch)
    assert len(outside.requests) == 1
    state = await health.load_dead_mans_switch(context.wire)
    assert not state.up and state.at, "the last good call stays known"
    await context.wire.call("DEL", keys.TIMERS)
    assert await loop.once(switch)
    assert len(outside.requests) == 2
    assert (await health.load_dead_mans_switch(context.wire)).up
    await loop.close()


async def test_a_process_that_is_not_ready_leaves_the_calls_to_another(
    context: Context, outside: Outside
) -> None:
    sick = DeadMansSwitchLoop(context, "sick", lambda: False)
    well = DeadMansSwitchLoop(context, "well", lambda: True)
    assert not await sick.once(switch_of(outside))
    assert await well.once(switch_of(outside))
    assert len(outside.requests) == 1
    await sick.close()
    await well.close()


async def test_it_is_not_called_when_redis_is_away(context: Context, outside: Outside) -> None:
    loop = DeadMansSwitchLoop(context, "a", lambda: True)
    await context.wire.close()
    assert not await loop.once(switch_of(outside))
    assert not outside.requests
    await loop.close()
