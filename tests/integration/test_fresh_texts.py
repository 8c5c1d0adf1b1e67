"""Texts of alerts that change while an incident is open: who is paged next reads the new ones."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from amproxy.config.structs import Config, NotifyStep, Wait
from amproxy.respond.actions import ActionRequest, perform
from amproxy.store import incidents
from tests.support.integration.house import Clock, House, config, plan
from tests.support.waiting import soon

Build = Callable[[Config], Awaitable[House]]
STEPS = (NotifyStep(users=("ann",)), Wait(seconds=600), NotifyStep(users=("bob",)))


def disk(percent: int, name: str = "Disk") -> dict[str, Any]:
    return {
        "labels": {"alertname": name},
        "annotations": {"summary": f"{percent} % full"},
    }


async def push(house: House, door: str, *alerts: dict[str, Any]) -> None:
    body = list(alerts) if door.startswith("/api") else {"alerts": alerts, "groupKey": "g"}
    assert (await house.post(door, body))[0] == 200


@pytest.mark.parametrize("door", ["/api/v2/alerts", "/webhook/am"])
async def test_the_second_page_says_what_the_alert_says_by_then(house_of: Build, door: str) -> None:
    house = await house_of(config(plan(*STEPS)))
    clock = Clock(house)
    await push(house, door, disk(91))
    await clock.later(1)
    await soon(lambda: house.chat.sent)
    await push(house, door, disk(99))
    for _ in range(11):  # as a sender repeats it, so that it goes on firing
        await clock.later(60)
        await push(house, door, disk(99))
    await soon(lambda: len(house.chat.sent) == 2)
    (_, first), (_, second) = house.chat.sent
    assert (first.text, second.text) == ("91 % full", "99 % full")
    assert second.alerts[0].annotations["summary"] == "99 % full"
    assert second.common_annotations["summary"] == "99 % full"
    assert not second.alerts[0].resolved(int(clock.now * 10**9))


async def test_an_incident_that_is_ended_by_hand_keeps_the_last_texts(house_of: Build) -> None:
    house = await house_of(config(plan(*STEPS)))
    await push(house, "/webhook/am", disk(91))
    await soon(lambda: house.chat.sent)
    await push(house, "/webhook/am", disk(99))
    [incident] = await house.incidents("triggered")
    await perform(
        house.context, incident.id, ActionRequest(action="resolve", user="ann", via="web")
    )
    await soon(lambda: house.chat.edits)
    assert house.chat.edits[-1][1].text == "99 % full"
    await push(house, "/webhook/am", disk(12))
    [ended] = await house.incidents("resolved")
    [alert] = await incidents.load_current_alerts(house.context.wire, ended)
    assert alert.annotations["summary"] == "99 % full"


async def test_an_incident_that_was_merged_into_another_brings_its_texts_along(
    house_of: Build,
) -> None:
    house = await house_of(config(plan(*STEPS)))
    for name, key in (("Disk", "g1"), ("Inode", "g2")):
        await house.post("/webhook/am", {"alerts": [disk(91, name)], "groupKey": key})
    await soon(lambda: len(house.chat.sent) == 2)
    await house.post("/webhook/am", {"alerts": [disk(99, "Inode")], "groupKey": "g2"})
    found = {one.title: one for one in await house.incidents("triggered")}
    merge = ActionRequest(action="merge", user="ann", via="web", into=found["Disk"].id)
    await perform(house.context, found["Inode"].id, merge)
    await house.post("/webhook/am", {"alerts": [disk(97)], "groupKey": "g1"})
    [whole] = await house.incidents("triggered")
    alerts = await incidents.load_current_alerts(house.context.wire, whole)
    said = {one.labels["alertname"]: one.annotations["summary"] for one in alerts}
    assert said == {"Disk": "97 % full", "Inode": "99 % full"}


async def test_a_critical_alert_that_joins_an_acknowledged_warning_pages_anew(
    house_of: Build,
) -> None:
    house = await house_of(config(plan(*STEPS)))

    async def fire(*severities: str) -> None:
        alerts = [
            {"labels": {"alertname": "Disk", "severity": one, "disk": str(number)}}
            for number, one in enumerate(severities)
        ]
        assert (await house.post("/webhook/am", {"alerts": alerts, "groupKey": "g"}))[0] == 200

    async def acknowledge() -> None:
        [incident] = await house.incidents("triggered")
        action = ActionRequest(action="acknowledge", user="ann", via="web")
        await perform(house.context, incident.id, action)

    await fire("warning")
    await soon(lambda: house.chat.sent)
    await acknowledge()
    await fire("warning", "warning")
    await fire("warning", "warning", "critical")
    await soon(lambda: len(house.chat.sent) == 2)
    address, card = house.chat.sent[1]
    assert (address, card.state, card.firing) == ("ann", "triggered", 3)
    assert "a graver alert joined (critical)" in card.state_text
    assert card.buttons[0].action == "acknowledge"
    await acknowledge()
    await fire("warning", "warning", "critical", "critical")

    async def all_fire() -> bool:
        return [one.firing for one in await house.incidents("acknowledged")] == [4]

    await soon(all_fire)
    assert len(house.chat.sent) == 2
