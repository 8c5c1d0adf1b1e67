"""A webhook states its group: each alert told once, and ended when its sender says or shows it."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec.structs import replace

from amproxy.config.structs import Config, NotifyStep
from amproxy.correlate import ingest
from amproxy.model import Incident
from amproxy.respond.actions import ActionRequest, perform
from amproxy.store import groups
from tests.support.acceptance.moments import rfc3339
from tests.support.integration.house import House, config, plan
from tests.support.waiting import soon

Build = Callable[[Config], Awaitable[House]]
UNNAMED = "Resolved: no longer named by its sender."


def by_sender() -> Config:
    """A file whose route groups nothing: what belongs together, the sender says."""
    found = config(plan(NotifyStep(users=("ann",))))
    return replace(found, route=replace(found.route, group_by=(), group_by_given=False))


def alert(instance: str, start: float, end: float | None = None, **more: Any) -> dict[str, Any]:
    """One alert; times in seconds from now, end None = it fires."""
    now = time.time()
    labels = {"alertname": "X", "instance": instance}
    sent = {"labels": labels, "annotations": {}, "startsAt": rfc3339(now + start)}
    if end is None:
        return {**sent, "status": "firing", "endsAt": "0001-01-01T00:00:00Z", **more}
    return {**sent, "status": "resolved", "endsAt": rfc3339(now + end), **more}


def payload(*alerts: dict[str, Any], key: str = "k", truncated: int = 0) -> dict[str, Any]:
    firing = any(one["status"] == "firing" for one in alerts)
    return {
        "version": "4",
        "receiver": "pager",
        "status": "firing" if firing else "resolved",
        "groupKey": key,
        "groupLabels": {"alertname": "X"},
        "truncatedAlerts": truncated,
        "alerts": list(alerts),
    }


async def post(house: House, *bodies: dict[str, Any]) -> None:
    for body in bodies:
        assert (await house.post("/webhook/am", body))[0] == 200


async def paged(house: House, number: int = 1) -> None:
    await soon(lambda: len(house.chat.sent) >= number)


async def the_end(house: House) -> Incident:
    """The only incident, once it is over; one page told of it."""
    found: list[Incident] = await soon(lambda: house.incidents("resolved"))
    assert len(await house.incidents()) == 1
    assert len(house.chat.sent) == 1
    return found[0]


async def settled(house: House) -> Incident:
    """The newest incident, when all that was posted has been flushed."""

    async def idle() -> bool:
        loaded = await groups.load_groups(house.context.wire)
        return all(not one.touched or one.version for one in loaded)

    await soon(idle)
    await asyncio.sleep(0.3)
    return (await house.incidents())[0]


async def test_what_a_complete_payload_no_longer_names_has_ended(house_of: Build) -> None:
    house = await house_of(by_sender())
    await post(house, payload(alert("a", -120), alert("b", -120)))
    await paged(house)
    await post(house, payload(alert("b", -120, -1)))
    incident = await the_end(house)
    assert incident.ended == "unnamed"
    assert UNNAMED in await house.timeline(incident)


async def test_the_others_fire_on_and_the_timeline_tells_of_the_one(house_of: Build) -> None:
    house = await house_of(by_sender())
    await post(house, payload(alert("a", -120), alert("b", -120)))
    await paged(house)
    await post(house, payload(alert("b", -120)))

    async def one_left() -> bool:
        return [one.firing for one in await house.incidents("triggered")] == [1]

    await soon(one_left)
    [incident] = await house.incidents()
    lines = await house.timeline(incident)
    assert "Alerts changed (no longer named by its sender): 1 firing, 1 resolved." in lines
    # its silence upstream is over, and it fires on: that is news again
    await post(house, payload(alert("a", -120), alert("b", -120), alert("c", -1)))

    async def all_fire() -> bool:
        return [one.firing for one in await house.incidents("triggered")] in ([2], [3])

    await soon(all_fire)


@pytest.mark.parametrize(
    "sent",
    [
        {"truncatedAlerts": 7},
        {"status": None},  # a script: nothing says that it is all
        {"status": "firing"},  # and yet nothing in it fires
        {"refused": {"status": "firing", "labels": {}}},
    ],
)
async def test_what_names_a_part_of_its_group_ends_nothing(
    house_of: Build, sent: dict[str, Any]
) -> None:
    house = await house_of(by_sender())
    await post(house, payload(alert("a", -120), alert("b", -120)))
    await paged(house)
    part = {**payload(alert("b", -120, -1)), **sent}
    refused = part.pop("refused", None)
    part["alerts"] += [refused] if refused else []
    assert (await house.post("/webhook/am", part))[0] == (422 if refused else 200)

    async def half() -> bool:
        return [(one.firing, one.resolved) for one in await house.incidents()] == [(1, 1)]

    await soon(half)


async def test_a_payload_of_a_group_that_is_over_and_names_nothing_ends_all_of_it(
    house_of: Build,
) -> None:
    house = await house_of(by_sender())
    await post(house, payload(alert("a", -120)))
    await paged(house)
    await post(house, payload())
    assert (await the_end(house)).ended == "unnamed"


async def test_what_a_newer_payload_names_again_fires_at_once(house_of: Build) -> None:
    house = await house_of(by_sender())
    both, other = alert("a", -120), alert("b", -60)
    await post(house, payload(both), payload(both, other))
    await paged(house)
    # silenced upstream while another one joins, and then no longer silenced
    joined = alert("c", -1)
    await post(house, payload(other, joined))

    async def firing(number: int) -> bool:
        return [one.firing for one in await house.incidents()] == [number]

    await soon(lambda: firing(2))
    await post(house, payload(other))  # late, from before c: it ends nothing
    await post(house, payload(both, other))  # late as well
    assert (await settled(house)).firing == 2
    await post(house, payload(both, other, joined))
    await soon(lambda: firing(3))


async def test_an_alert_that_two_senders_name_in_turn_ends_with_the_last_of_them(
    house_of: Build,
) -> None:
    house = await house_of(by_sender())
    pair = [{"externalURL": "http://am.one"}, {"externalURL": "http://am.two"}]
    both = alert("a", -120), alert("b", -120)
    for address in (*pair, *pair[:1]):
        await post(house, {**payload(*both), **address})
    await paged(house)
    # The other one is the last no more: what it no longer names may fire on.
    await post(house, {**payload(both[1]), **pair[1]})
    assert (await settled(house)).firing == 2
    await post(house, {**payload(both[1]), **pair[0]})

    async def one_left() -> bool:
        return [one.firing for one in await house.incidents()] == [1]

    await soon(one_left)


async def test_an_alert_in_another_group_is_paged_once_and_ends_where_it_is_open(
    house_of: Build,
) -> None:
    house = await house_of(by_sender())
    await post(house, payload(alert("a", -120), key='{}/{team="x"}:{alertname="X"}'))
    await paged(house)
    await post(house, payload(alert("a", -120), key='{}/{team=~"x|y"}:{alertname="X"}'))
    assert (await settled(house)).firing == 1
    await post(house, payload(alert("a", -120, -1), key='{}/{team=~"x|y"}:{alertname="X"}'))
    assert (await the_end(house)).ended == "source"


@pytest.mark.parametrize("fingerprint", ["", "bbbb"])
async def test_an_end_with_another_fingerprint_is_the_same_alerts(
    house_of: Build, fingerprint: str
) -> None:
    house = await house_of(by_sender())
    await post(house, payload(alert("a", -120, fingerprint="aaaa")))
    await paged(house)
    await post(house, payload(alert("a", -120, -1, fingerprint=fingerprint)))
    await the_end(house)


async def test_four_copies_at_once_are_one_page(house_of: Build) -> None:
    house = await house_of(by_sender())
    await asyncio.gather(*(post(house, payload(alert("a", -120))) for _ in range(4)))
    await paged(house)
    await settled(house)
    assert len(house.chat.sent) == 1


async def test_the_end_of_an_older_period_changes_nothing(house_of: Build) -> None:
    house = await house_of(by_sender())
    await post(house, payload(alert("a", -600)))
    await paged(house)
    await post(house, payload(alert("a", -600, -300)))
    await soon(lambda: house.incidents("resolved"))
    await post(house, payload(alert("a", -10)))
    await soon(lambda: house.incidents("triggered"))
    await paged(house, 2)
    await post(house, payload(alert("a", -600, -300)))
    assert (await settled(house)).state == "triggered"


async def test_a_late_copy_of_what_is_over_changes_nothing(house_of: Build) -> None:
    house = await house_of(by_sender())
    first = payload(alert("a", -600))
    await post(house, first)
    await paged(house)
    await post(house, payload(alert("a", -600, -300)))
    await the_end(house)
    await post(house, first)
    assert (await settled(house)).state == "resolved"
    assert len(house.chat.sent) == 1


async def test_an_end_that_overtakes_its_beginning_pages_nobody(house_of: Build) -> None:
    house = await house_of(by_sender())
    await post(house, payload(alert("a", -600, -300)), payload(alert("a", -600)))
    await asyncio.sleep(0.3)
    assert not await house.incidents()
    assert not house.chat.sent


async def test_a_new_beginning_beside_an_old_end_is_paged(house_of: Build) -> None:
    house = await house_of(by_sender())
    await post(house, payload(alert("a", -10), alert("a", -600, -300)))
    await paged(house)
    assert (await settled(house)).state == "triggered"


async def test_flapping_that_ends_firing_is_open_and_one_page(house_of: Build) -> None:
    house = await house_of(by_sender())
    flaps = [alert("a", -9), alert("a", -9, -7), alert("a", -6), alert("a", -6, -4), alert("a", -3)]
    for one in flaps:
        await post(house, payload(one))
    await paged(house)
    assert (await settled(house)).state == "triggered"


async def test_alerts_of_a_sender_without_groups_are_told_apart(house_of: Build) -> None:
    house = await house_of(by_sender())
    first = alert("a", -120, labels={"alertname": "NoKeyA", "instance": "a"})
    second = alert("z", -120, labels={"alertname": "NoKeyB", "severity": "critical"})
    await post(house, {"alerts": [first]})
    await paged(house)
    [incident] = await house.incidents()
    await perform(
        house.context,
        incident.id,
        ActionRequest(action="acknowledge", user="ann", via="web"),
    )
    await post(house, {"alerts": [second]})
    await paged(house, 2)
    assert "NoKeyB" in house.chat.sent[1][1].title
    await post(house, {"alerts": [{**first, "status": "resolved", "endsAt": rfc3339(time.time())}]})
    [ended] = await soon(lambda: house.incidents("resolved"))
    assert ended.id == incident.id


async def test_senders_that_share_a_source_end_nothing_of_one_another(house_of: Build) -> None:
    house = await house_of(by_sender())
    one = {**payload(alert("a", -120)), "externalURL": "http://am.one"}
    await post(house, one, {**payload(alert("b", -60)), "externalURL": "http://am.two"})

    async def both() -> bool:
        return [incident.firing for incident in await house.incidents()] == [2]

    await soon(both)


async def test_what_is_named_no_more_ends_in_the_groups_of_the_file_as_well(
    house_of: Build,
) -> None:
    grouped = by_sender()
    route = replace(grouped.route, group_by=("instance",), group_by_given=True)
    house = await house_of(replace(grouped, route=route))
    await post(house, payload(alert("a", -120), alert("b", -120)))
    await paged(house, 2)
    await post(house, payload(alert("b", -120, -1)))
    found = await soon(lambda: two(house))
    assert sorted(incident.ended for incident in found) == ["source", "unnamed"]


async def two(house: House) -> list[Incident]:
    found = await house.incidents("resolved")
    return found if len(found) == 2 else []


async def test_of_a_large_group_each_alert_that_is_not_named_ends(
    house_of: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "SLICE", 4)
    house = await house_of(by_sender())
    many = [alert(str(number), -120) for number in range(11)]
    await post(house, payload(*many, alert("last", -120)))
    await paged(house)
    await post(house, payload(*many[:6]))

    async def left() -> bool:
        return [(one.firing, one.resolved) for one in await house.incidents()] == [(6, 6)]

    await soon(left)
    await post(house, payload(alert("last", -120, -1)))
    assert (await the_end(house)).ended in ("source", "unnamed")


def told_in_any_order(chance: random.Random) -> tuple[list[dict[str, Any]], int, int]:
    """A sender's payloads, late and twice; how many periods they tell of, and what fires at last."""
    firing: dict[str, dict[str, Any]] = {}
    payloads, periods, at = [], 0, -5000.0
    for name in chance.choices("abc", k=chance.randint(3, 9)):
        at += chance.randint(1, 60)
        ended = []
        if name in firing:
            began = firing.pop(name)
            over = {"status": "resolved", "endsAt": rfc3339(time.time() + at)}
            ended.append({**began, **over})
        else:
            firing[name], periods = alert(name, at), periods + 1
        payloads.append(payload(*firing.values(), *ended))
    coming = payloads + chance.choices(payloads, k=chance.randint(0, 5))
    chance.shuffle(coming)
    return coming, periods, len(firing)


@pytest.mark.parametrize("at_once", [500, 2])  # the second as what is big is stored
async def test_payloads_in_any_order_end_in_their_senders_final_state(
    house_of: Build, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(ingest, "SLICE", at_once)
    monkeypatch.setattr(ingest, "FEW", min(at_once, 10) - 2)
    house, chance = await house_of(by_sender()), random.Random(0)
    told = {f"am{number}": told_in_any_order(chance) for number in range(20)}

    async def tell(sender: str) -> None:
        for body in told[sender][0]:
            assert (await house.post(f"/webhook/{sender}", body))[0] == 200

    await asyncio.gather(*map(tell, told))
    await settled(house)
    now_ns, open_ = int(house.context.now() * 10**9), Counter[str]()
    for group in await groups.load_groups(house.context.wire):
        open_[group.group.source] += sum(not one.resolved(now_ns) for one in group.alerts)
    assert {sender: open_[sender] for sender in told} == {
        sender: firing for sender, (_, _, firing) in told.items()
    }
    incidents = Counter(incident.source for incident in await house.incidents())
    for sender, (_, periods, firing) in told.items():
        assert bool(firing) <= incidents[sender] <= periods


async def test_the_raw_door_takes_what_comes_last_as_alertmanager_does(house_of: Build) -> None:
    house = await house_of(by_sender())
    labels = {"alertname": "X"}
    await house.post("/api/v2/alerts", [{"labels": labels}])
    await paged(house)
    past = {"startsAt": rfc3339(time.time() - 600), "endsAt": rfc3339(time.time() - 300)}
    await house.post("/api/v2/alerts", [{"labels": labels, **past}])
    await soon(lambda: house.incidents("resolved"))
