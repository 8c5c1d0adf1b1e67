"""A changed file moves alerts to other groups; no incident is left behind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec.structs import replace

from amproxy.config.structs import Config
from amproxy.correlate.regroup import regroup_all
from tests.support.integration.house import House, config
from tests.support.waiting import soon


async def test_an_incident_whose_alerts_moved_ends_and_says_so(
    house_of: Callable[[Config], Awaitable[House]],
) -> None:
    before = config()
    house = await house_of(before)
    await house.post("/api/v2/alerts", [{"labels": {"alertname": "Disk", "host": "db1"}}])
    await soon(lambda: house.chat.sent)
    house.context.use_config(
        replace(before, route=replace(before.route, group_by=("alertname", "host")))
    )
    assert await regroup_all(house.context) == 1
    [old] = await soon(lambda: house.incidents("resolved"))
    assert any("since the file changed" in line for line in await house.timeline(old))
    [new] = await soon(lambda: house.incidents("triggered"))
    assert new.group_labels == {"alertname": "Disk", "host": "db1"}
    assert await regroup_all(house.context) == 0
