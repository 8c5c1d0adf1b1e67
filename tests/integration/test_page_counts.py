"""Pages that people got are counted by the time of day on their own clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from amproxy import metrics
from amproxy.config.structs import Config
from amproxy.oncall.hours import DAYTIMES, classify_daytime
from tests.support.integration.house import House, config
from tests.support.waiting import soon

Build = Callable[[Config], Awaitable[House]]


def counted(user: str) -> dict[str, float]:
    return {
        time: metrics.registry.get_sample_value(
            "amproxy_pages_by_time_total", {"user": user, "time": time}
        )
        or 0.0
        for time in DAYTIMES
    }


async def test_a_page_that_went_out_is_counted_for_the_person_at_that_time_of_day(
    house_of: Build,
) -> None:
    before, began = counted("ann"), datetime.now(UTC)
    house = await house_of(config())
    alert = {"status": "firing", "labels": {"alertname": "Disk"}}
    await house.post(
        "/webhook/am", {"version": "4", "groupKey": "g", "groupLabels": {}, "alerts": [alert]}
    )
    await soon(lambda: house.chat.sent)
    await soon(lambda: sum(counted("ann").values()) > sum(before.values()))
    grown = {time for time, number in counted("ann").items() if number > before[time]}
    assert grown <= {classify_daytime(at, ZoneInfo("UTC")) for at in (began, datetime.now(UTC))}
