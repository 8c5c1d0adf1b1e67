"""A heartbeat that stays away pages somebody; the next beat ends it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from conftest_road import House, config, until

from amproxy.config.structs import Config, Heartbeat
from amproxy.correlate import heartbeats


async def test_silence_raises_an_alert_and_the_next_beat_resolves_it(house_of: Callable[[Config], Awaitable[House]]) -> None:
    beating = Heartbeat(name="watchdog", every=0.4, labels={"severity": "critical"})
    house = await house_of(config(heartbeats={"watchdog": beating}))
    await heartbeats.watch(house.context)
    await heartbeats.beat(house.context, "watchdog")
    assert not house.chat.sent
    await until(lambda: house.chat.sent)
    assert "HeartbeatMissing" in house.chat.sent[0][1].title
    assert 0.4 <= (await heartbeats.ages(house.context))["watchdog"] < 5
    [incident] = await house.incidents("triggered")
    await heartbeats.beat(house.context, "watchdog")
    await until(lambda: house.incidents("resolved"))
    assert incident.firing == 1
