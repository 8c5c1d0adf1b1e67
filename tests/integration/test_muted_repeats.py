"""Alerts that fire on after their incident was resolved by hand: when they page again, and not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from amproxy.config.structs import NotifyStep, Route
from amproxy.labels.intervals import parse_time_interval
from amproxy.machine.events import Resolve
from amproxy.model import Incident
from amproxy.text.render import in_english
from tests.support.integration.house import config, plan
from tests.support.integration.stepping import Stepping, stepping

EVENING = datetime(2026, 1, 5, 21, tzinfo=UTC)
NIGHTS = [
    {
        "times": [
            {"start_time": "22:00", "end_time": "24:00"},
            {"start_time": "00:00", "end_time": "07:00"},
        ]
    }
]


async def test_an_incident_that_was_resolved_by_hand_does_not_come_back_while_its_group_is_muted(
    redis_url: str,
) -> None:
    route = Route(
        receiver="oncall",
        key="{}",
        group_by=("alertname",),
        group_by_given=True,
        group_wait=30.0,
        group_interval=600.0,
        repeat_interval=3600.0,
        mute_time_intervals=("nights",),
    )
    found = config(
        plan(NotifyStep(users=("ann",))),
        route=route,
        time_intervals={"nights": parse_time_interval("nights", NIGHTS)},
    )

    async def night(service: Stepping) -> list[datetime]:
        await service.push({"alertname": "Disk"}, EVENING.timestamp() + 86400)
        resolved = EVENING.timestamp() + 1800, lambda: service.act(Resolve(user="ann", via="web"))
        await service.until(EVENING.timestamp() + 11 * 3600, resolved)
        return [
            datetime.fromtimestamp(incident.started_at, UTC)
            for incident in await service.incidents()
        ]

    first, second = await stepping(redis_url, found, EVENING.timestamp(), night)
    assert first - EVENING < timedelta(minutes=1)
    assert timedelta(hours=10) <= second - EVENING < timedelta(hours=10, minutes=11)


async def test_who_resolves_what_still_fires_is_told_when_it_pages_again(redis_url: str) -> None:
    """repeat_interval is no multiple of group_interval here: the tick after it is meant."""
    route = Route(
        receiver="oncall",
        key="{}",
        group_by=("alertname",),
        group_by_given=True,
        group_wait=30.0,
        group_interval=600.0,
        repeat_interval=4000.0,
    )
    found = config(plan(NotifyStep(users=("ann",))), route=route)
    start = EVENING.timestamp()

    async def night(service: Stepping) -> list[Incident]:
        await service.push({"alertname": "Disk"}, start + 86400)
        resolved = start + 5000, lambda: service.act(Resolve(user="ann", via="web"))
        await service.until(start + 3 * 3600, resolved)
        return await service.incidents()

    first, second = await stepping(redis_url, found, start, night)
    assert first.quiet_until is not None and second.quiet_until is None
    assert (
        timedelta(0)
        <= timedelta(seconds=second.started_at - first.quiet_until)
        < timedelta(seconds=1)
    )
    until = datetime.fromtimestamp(first.quiet_until, UTC)
    assert first.news != "" and in_english(first.news) == (
        "Resolved by ann (via web). 1 alert still fires: without a change it pages again at "
        f"{until:%Y-%m-%d %H:%M} UTC."
    )
