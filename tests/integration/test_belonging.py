"""Which incident alerts belong to: one that was merged, one that is over but fresh, one of which nothing was heard."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from amproxy.config.structs import Config, Integration, NotifyStep, OncallSettings, Receiver, Wait
from amproxy.model import Incident
from amproxy.respond.actions import ActionRequest, perform
from amproxy.store import groups, incidents
from amproxy.store.commit import commit
from tests.support.integration.house import Clock, House, config, plan
from tests.support.waiting import soon

Build = Callable[[Config], Awaitable[House]]
PAST = "2026-01-01T00:00:00Z"


async def push(house: House, *names: str, over: bool = False, **labels: str) -> None:
    """At the raw door; alerts without an end of their own fire for a resolve_timeout."""
    end = {"startsAt": PAST, "endsAt": PAST} if over else {}
    assert (
        await house.post(
            "/api/v2/alerts", [{"labels": {"alertname": name, **labels}, **end} for name in names]
        )
    )[0] == 200


async def by_title(house: House, *states: str) -> dict[str, Incident]:
    return {incident.title: incident for incident in await house.incidents(*states)}


async def one(house: House, *states: str) -> Incident:
    """The only incident there is, once it is in one of these states."""
    [incident] = await soon(lambda: house.incidents(*states))
    assert len(await house.incidents()) == 1
    return incident


async def merged(house: House) -> tuple[Incident, Incident]:
    """Disk is merged into Load."""
    await push(house, "Disk", "Load")
    await soon(lambda: len(house.chat.sent) == 2)
    found = await by_title(house)
    await perform(
        house.context,
        found["Disk"].id,
        ActionRequest(action="merge", user="bob", via="web", into=found["Load"].id),
    )
    return found["Disk"], found["Load"]


async def test_later_alerts_of_a_merged_incident_go_to_the_other(house_of: Build) -> None:
    house = await house_of(config(plan(NotifyStep(users=("ann",)))))
    disk, load = await merged(house)
    await push(house, "Disk", host="db2")

    async def arrived() -> bool:
        return (await incidents.load(house.context.wire, load.id)).firing == 3

    await soon(arrived)
    assert len(await house.incidents()) == 2
    assert len(await incidents.load_alerts(house.context.wire, load.id)) == 3
    assert (await incidents.load(house.context.wire, disk.id)).firing == 1


async def test_it_is_over_when_the_alerts_of_both_are(house_of: Build) -> None:
    house = await house_of(config(plan(NotifyStep(users=("ann",)))))
    _, load = await merged(house)
    await push(house, "Load", over=True)

    async def load_over() -> bool:
        return (await incidents.load(house.context.wire, load.id)).firing == 1

    await soon(load_over)
    assert [incident.id for incident in await house.incidents("triggered")] == [load.id]
    await push(house, "Disk", over=True)

    async def over() -> bool:
        return (await incidents.load(house.context.wire, load.id)).state == "resolved"

    await soon(over)
    assert (await incidents.load(house.context.wire, load.id)).resolved_by == "source"


async def test_what_is_taken_out_again_pages_and_has_its_later_alerts_and_its_end(
    house_of: Build,
) -> None:
    house = await house_of(config(plan(NotifyStep(users=("ann",)))))
    wire = house.context.wire
    disk, load = await merged(house)
    await push(house, "Disk", host="db2")

    async def both() -> bool:
        return (await incidents.load(wire, load.id)).firing == 3

    await soon(both)
    unmerge = ActionRequest(action="unmerge", user="bob", via="web")
    await perform(house.context, disk.id, unmerge)
    own, rest = await incidents.load(wire, disk.id), await incidents.load(wire, load.id)
    assert (own.state, own.firing, rest.state, rest.firing) == ("triggered", 2, "triggered", 1)
    assert len(await incidents.load_alerts(wire, disk.id)) == 2
    assert len(await incidents.load_alerts(wire, load.id)) == 1
    await soon(lambda: len(house.chat.sent) == 3)
    await push(house, "Disk", host="db3")

    async def grown() -> bool:
        return (await incidents.load(wire, disk.id)).firing == 3

    await soon(grown)
    for labels in ({}, {"host": "db2"}, {"host": "db3"}):
        await push(house, "Disk", over=True, **labels)

    async def over() -> bool:
        return (await incidents.load(wire, disk.id)).state == "resolved"

    await soon(over)
    assert (await incidents.load(wire, load.id)).state == "triggered"
    assert len(await house.incidents()) == 2


async def test_a_flush_that_had_begun_before_it_was_taken_out_decides_anew(
    house_of: Build,
) -> None:
    """Else it would open another incident for alerts of one that a person resolved with it."""
    house = await house_of(config(plan(NotifyStep(users=("ann",)))))
    wire, now = house.context.wire, house.context.now()
    disk, load = await merged(house)
    resolve = ActionRequest(action="resolve", user="bob", via="web")
    assert (await perform(house.context, load.id, resolve)).quiet_until is not None
    loaded = await groups.load_group(wire, disk.group)
    assert loaded is not None
    flush = groups.begin_flush(loaded, next_due=now + 300, now=now)
    unmerge = ActionRequest(action="unmerge", user="bob", via="web")
    assert (await perform(house.context, disk.id, unmerge)).state == "triggered"
    assert not await commit(wire, flush)
    await push(house, "Disk", host="db2")

    async def grown() -> bool:
        return [one.firing for one in await house.incidents("triggered")] == [2]

    await soon(grown)


# ------------------------------------------------------------------------------------------------------ coming back


async def test_alerts_that_return_soon_open_the_same_incident_though_their_group_was_forgotten(
    house_of: Build,
) -> None:
    house = await house_of(config(plan(NotifyStep(users=("ann",)), reopen_within=600.0)))
    await push(house, "Disk")
    await soon(lambda: house.chat.sent)
    await push(house, "Disk", over=True)
    first = await one(house, "resolved")
    assert await groups.load_group_ids(house.context.wire) == []
    await push(house, "Disk")
    again = await one(house, "triggered")
    assert again.id == first.id and again.epoch > first.epoch and again.firing == 1
    await soon(lambda: len(house.chat.sent) == 2)
    assert any("Its alerts fire again" in line for line in await house.timeline(again))


async def test_alerts_that_return_later_open_a_new_one(house_of: Build) -> None:
    house = await house_of(config(plan(NotifyStep(users=("ann",)), reopen_within=600.0)))
    clock = Clock(house)
    await push(house, "Disk")
    await clock.later(1)
    await soon(lambda: house.chat.sent)
    await push(house, "Disk", over=True)
    await clock.later(1)
    await one(house, "resolved")
    await clock.later(601)
    await push(house, "Disk")
    await clock.later(1)
    await soon(lambda: house.incidents("triggered"))
    assert len(await house.incidents()) == 2


async def test_one_that_a_person_ended_learns_what_becomes_of_its_alerts(house_of: Build) -> None:
    house = await house_of(config(plan(NotifyStep(users=("ann",)))))
    await push(house, "Disk")
    await soon(lambda: house.chat.sent)
    [incident] = await house.incidents()
    await perform(
        house.context, incident.id, ActionRequest(action="resolve", user="bob", via="web")
    )
    await push(house, "Disk", over=True)

    async def told() -> bool:
        return (await incidents.load(house.context.wire, incident.id)).firing == 0

    await soon(told)
    assert (await one(house, "resolved")).resolved_by == "bob"


# ------------------------------------------------------------------------------------------------------------ silent


QUIET = config(plan(NotifyStep(users=("ann",)), auto_resolve=3600.0))


async def webhook(house: House) -> None:
    """An alert that has no end of its own."""
    alerts = [{"status": "firing", "labels": {"alertname": "Disk"}, "startsAt": PAST}]
    assert (await house.post("/webhook/am", {"version": "4", "groupKey": "g", "alerts": alerts}))[
        0
    ] == 200


async def opened(house: House, clock: Clock) -> None:
    await webhook(house)
    await clock.later(1)
    await soon(lambda: house.chat.sent)


async def test_pushes_that_go_on_keep_an_incident_open_and_it_ends_when_they_stop(
    house_of: Build,
) -> None:
    house = await house_of(QUIET)
    clock = Clock(house)
    await opened(house, clock)
    for _ in range(5):
        await clock.later(1500)
        await webhook(house)
        assert await one(house, "triggered")
    await clock.later(3500)
    assert await one(house, "triggered")
    await clock.later(200)
    assert (await one(house, "resolved")).resolved_by == "silent"


async def test_alerts_of_which_nothing_was_heard_do_not_bring_it_back_but_a_push_does(
    house_of: Build,
) -> None:
    house = await house_of(QUIET)
    clock = Clock(house)
    await opened(house, clock)
    await clock.later(3700)
    assert await one(house, "resolved")
    for _ in range(3):  # the group repeats what it told every hour
        await clock.later(3700)
    assert await one(house, "resolved")
    await webhook(house)
    await clock.later(3700)
    assert len(await house.incidents("triggered")) == 1


async def test_what_ended_for_silence_comes_back_with_the_next_push_at_both_doors(
    house_of: Build,
) -> None:
    house = await house_of(config(plan(NotifyStep(users=("ann",)), auto_resolve=70.0)))
    clock = Clock(house)
    await webhook(house)
    await push(house, "Load")
    await clock.later(1)
    await soon(lambda: len(house.chat.sent) == 2)
    await clock.later(73)
    await soon(lambda: house.incidents("resolved"))
    assert {one.resolved_by for one in await house.incidents("resolved")} == {"silent"}
    await clock.later(30)  # nothing was pushed: its group's flushes bring nothing back
    assert not await house.incidents("triggered")
    await webhook(house)
    await push(house, "Load")
    await clock.later(1)
    await soon(lambda: len(house.chat.sent) == 4)
    assert len(await house.incidents("triggered")) == 2


async def test_a_short_silence_is_counted_from_the_last_push_exactly(house_of: Build) -> None:
    house = await house_of(config(plan(NotifyStep(users=("ann",)), auto_resolve=4.0)))
    clock = Clock(house)
    await opened(house, clock)
    for _ in range(9):
        await clock.later(1)
        await webhook(house)
    await clock.later(3.5)
    assert await one(house, "triggered")
    await clock.later(1)
    assert (await one(house, "resolved")).resolved_by == "silent"


# ------------------------------------------------------------------------------------------------------------- turns


def in_turn(**more: Any) -> Config:
    return config(
        plan(NotifyStep(users=("ann", "bob"), pick="round_robin"), Wait(seconds=600)), **more
    )


async def test_incidents_that_start_together_take_turns_whichever_worker_opens_them(
    house_of: Build,
) -> None:
    one_house, other = await house_of(in_turn()), await house_of(in_turn())
    await push(one_house, *(f"Alert{number}" for number in range(20)))
    one_house.context.wake(timers=True)
    other.context.wake(timers=True)

    async def paged() -> list[str]:
        return [page.user for incident in await one_house.incidents() for page in incident.pages]

    async def all_paged() -> bool:
        return len(await paged()) == 20

    await soon(all_paged)
    assert sorted(await paged()) == ["ann"] * 10 + ["bob"] * 10


async def test_two_incidents_of_one_group_take_two_turns_and_may_be_merged(house_of: Build) -> None:
    settings = OncallSettings(escalation_policy="main")
    both = tuple(
        Integration(kind="oncall", index=index, send_resolved=True, settings=settings)
        for index in (0, 1)
    )
    house = await house_of(
        in_turn(receivers={"oncall": Receiver(name="oncall", integrations=both)})
    )
    await push(house, "Disk")
    await soon(lambda: len(house.chat.sent) == 2)
    assert sorted(address for address, _ in house.chat.sent) == ["ann", "bob"]
    first, second = await house.incidents()
    await perform(
        house.context,
        first.id,
        ActionRequest(action="merge", user="bob", via="web", into=second.id),
    )
    unmerge = ActionRequest(action="unmerge", user="bob", via="web")
    await perform(house.context, first.id, unmerge)  # the group is of both
    assert [one.firing for one in await house.incidents("triggered")] == [1, 1]
    await perform(
        house.context,
        first.id,
        ActionRequest(action="merge", user="bob", via="web", into=second.id),
    )
    await push(house, "Disk", host="db2")

    async def grown() -> bool:
        return (await incidents.load(house.context.wire, second.id)).firing == 2

    await soon(grown)
    await push(house, "Disk", over=True)
    await push(house, "Disk", over=True, host="db2")
    await soon(lambda: no_open(house))


async def no_open(house: House) -> bool:
    return await house.incidents("triggered") == []
