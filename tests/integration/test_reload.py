"""A changed file moves alerts to other groups; no incident is left behind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec.structs import replace

from amproxy.apply import apply_event
from amproxy.config.structs import Config
from amproxy.correlate.regroup import regroup_all
from amproxy.machine.events import Acknowledge
from amproxy.model import Incident
from amproxy.store.groups import load_groups
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


def grouped(by: Config, *labels: str) -> Config:
    return replace(by, route=replace(by.route, group_by=labels))


def disks(*hosts: str) -> list[dict[str, dict[str, str]]]:
    return [{"labels": {"alertname": "Disk", "host": host}} for host in hosts]


async def acknowledge(house: House, incident: Incident) -> None:
    await apply_event(house.context, incident.id, Acknowledge(user="ann", via="web"))


async def regrouped(house: House, file: Config) -> None:
    house.context.use_config(file)
    assert await regroup_all(house.context)


async def flushed(house: House, groups: int) -> None:
    """Each of so many groups has been flushed, as its version says."""

    async def all_are() -> bool:
        found = await load_groups(house.context.wire)
        return len(found) == groups and all(one.version for one in found)

    await soon(all_are)


async def test_an_answer_survives_a_changed_group_by(
    house_of: Callable[[Config], Awaitable[House]],
) -> None:
    # prometheus/alertmanager#787: the new groups paged the person who had acknowledged.
    file = config()
    house = await house_of(file)
    await house.post("/api/v2/alerts", disks("db1", "db2"))
    await soon(lambda: house.chat.sent)
    [incident] = await house.incidents("triggered")
    await acknowledge(house, incident)
    await regrouped(house, grouped(file, "alertname", "host"))
    await flushed(house, 2)
    [still] = await house.incidents("acknowledged")
    assert (still.id, still.firing) == (incident.id, 2) and len(house.chat.sent) == 1
    assert not await house.incidents("triggered", "resolved")
    # Back in one group, it is still the same incident, and it ends with its alerts.
    await regrouped(house, file)
    await flushed(house, 1)
    assert [one.id for one in await house.incidents("acknowledged")] == [incident.id]
    ended = [{**one, "endsAt": "2026-01-01T00:00:00Z"} for one in disks("db1", "db2")]
    await house.post("/api/v2/alerts", ended)
    [over] = await soon(lambda: house.incidents("resolved"))
    assert over.id == incident.id and len(house.chat.sent) == 1


async def test_an_unanswered_incident_is_not_hidden_in_an_answered_one_by_a_changed_group_by(
    house_of: Callable[[Config], Awaitable[House]],
) -> None:
    file = config()
    house = await house_of(grouped(file, "alertname", "host"))
    await house.post("/api/v2/alerts", disks("db1", "db2"))
    await soon(lambda: len(house.chat.sent) == 2)
    answered, _ = await house.incidents("triggered")
    await acknowledge(house, answered)
    await regrouped(house, file)
    [new] = await soon(lambda: house.incidents("triggered"))
    await soon(lambda: len(house.chat.sent) == 3)
    assert new.id != answered.id and not await house.incidents("acknowledged")
    assert len(await soon(lambda: house.incidents("resolved"))) == 2
