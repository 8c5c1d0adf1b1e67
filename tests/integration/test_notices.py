"""Notices: told to those who chose them, once, however many replicas run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

from msgspec.structs import replace

from amproxy import metrics
from amproxy.config.structs import Absence, Config, Team
from amproxy.model import Swap
from amproxy.shifts import record
from amproxy.shifts.record import record_superseded, swap_request_operations
from amproxy.store.commit import commit
from amproxy.store.schedule_changes import ManualScheduleChanges
from tests.support.integration.house import House
from tests.support.integration.on_duty import (
    DAY,
    HOUR,
    KINDS,
    START,
    by_hand,
    changed,
    config,
    people,
    replicas,
    turns,
)
from tests.support.waiting import soon

ALL = people(*KINDS)


async def test_a_handoff_is_told_to_both_sides_once_by_two_replicas(redis_url: str) -> None:
    async with replicas(redis_url) as time:
        found = config(users=ALL)
        one, two = await time.started(found), await time.started(found)
        await time.passes(DAY - 1, one, two)
        assert await time.told() == []
        await time.passes(2, one, two)
        assert await time.told() == [("going_on_call", "bob"), ("leaving", "ann")]
        coming, going = await time.sent()
        assert (
            coming.text == "You are on call for main until Wed 7 Jan 09:00 (UTC); after you: Ann."
        )
        assert going.text == "You are no longer on call for main; Bob has taken over."
        assert (coming.kind, coming.channel, coming.address, str(coming.subject)) == (
            "notice",
            "console",
            "bob",
            "You are on call for main",
        )


async def test_nobody_who_did_not_ask_is_told(redis_url: str) -> None:
    async with replicas(redis_url) as time:
        one = await time.started(config(users=people() | {"bob": ALL["bob"]}))
        await time.passes(4 * DAY, one)
        assert await time.told() == [
            ("going_on_call", "bob"),
            ("leaving", "bob"),
            ("going_on_call", "bob"),
            ("leaving", "bob"),
        ]


async def test_each_channel_that_reaches_the_person_gets_the_notice(redis_url: str) -> None:
    async with replicas(redis_url) as time:
        one = await time.started(
            config(users=people("going_on_call", channels=("console", "phone_call", "email")))
        )
        await time.passes(DAY, one)
        assert [(one.channel, one.address) for one in await time.sent()] == [
            ("console", "bob"),
            ("email", "bob@example.org"),
        ]


async def test_an_override_that_begins_now_is_told_at_once_and_once(redis_url: str) -> None:
    async with replicas(redis_url) as time:
        found = config(users=ALL)
        both = await time.started(found), await time.started(found)
        await time.passes(HOUR, *both)
        for context in both:
            context.use_schedule_changes(
                ManualScheduleChanges(
                    overrides={"main": [by_hand("cid", time.clock - 60, time.clock + HOUR)]}
                )
            )
        for context in both:
            await record_superseded(context)
        await time.passes(5, *both)
        assert sorted(await time.told()) == [("going_on_call", "cid"), ("leaving", "ann")]
        await time.passes(2 * HOUR, *both)
        assert sorted((await time.told())[2:]) == [("going_on_call", "ann"), ("leaving", "cid")]


async def test_handoffs_of_a_standstill_are_told_only_while_they_are_news(redis_url: str) -> None:
    async with replicas(redis_url) as time:
        one = await time.started(config(users=ALL))
        await time.looks(one)
        time.clock += 2 * DAY + 2 * HOUR  # ann → bob → ann, two hours ago
        await time.looks(one)
        assert await time.told() == []
        time.clock = START + 3 * DAY + HOUR / 2  # ann → bob, half an hour ago
        await time.looks(one)
        assert await time.told() == [("going_on_call", "bob"), ("leaving", "ann")]


async def test_a_gap_is_told_when_it_comes_into_sight_and_a_day_before_it_begins(
    redis_url: str,
) -> None:
    async with replicas(redis_url) as time:
        found = config(turns("ann", "bob"), users=people("gap_ahead", names=("ann", "bob")))
        both = await time.started(found), await time.started(found)
        await time.passes(DAY, *both)
        assert await time.told() == []
        gone = away(
            found, "2026-01-15T09:00", "2026-01-16T09:00"
        )  # everybody, from day 10 to day 11
        await changed(*both, to=gone)
        await time.passes(DAY, *both)
        assert await time.told() == []  # more than a week ahead
        await time.passes(DAY + HOUR, *both)
        assert await time.told() == [("gap_ahead", "ann"), ("gap_ahead", "bob")]
        assert (await time.sent())[0].text == (
            "Nobody is on call for main from Thu 15 Jan 09:00 (UTC) until Fri 16 Jan 09:00 (UTC): everyone in layer daily is absent."
        )
        await time.passes(5 * DAY, *both)
        assert len(await time.told()) == 2
        await time.passes(2 * DAY, *both)
        assert await time.told() == [("gap_ahead", "ann"), ("gap_ahead", "bob")] * 2
        await time.passes(10 * DAY, *both)
        assert len(await time.told()) == 4


async def test_a_gap_that_was_filled_and_opens_again_is_told_again(redis_url: str) -> None:
    async with replicas(redis_url) as time:
        whole = config(turns("ann"), users=people("gap_ahead", names=("ann",)))
        gap = away(whole, "2026-01-08T09:00", "2026-01-09T09:00")
        one = await time.started(gap)
        await time.passes(HOUR, one)
        for file in (whole, gap):
            await changed(one, to=file)
            await time.passes(HOUR, one)
        assert await time.told() == [("gap_ahead", "ann")] * 2


async def test_a_schedule_without_anybody_is_told_once_to_its_team(redis_url: str) -> None:
    async with replicas(redis_url) as time:
        found = config(turns(), users=people("gap_ahead"), team="all")
        found = replace(found, teams={"all": Team(name="all", members=("cid",))})
        one = await time.started(found)
        await time.passes(20 * DAY, one)
        [only] = await time.sent()
        assert (only.reason, only.user) == ("gap_ahead", "cid")
        assert (
            only.text
            == "Nobody is on call for main from now on until further notice: no layer is active."
        )


async def test_an_empty_shift_is_told_once_though_somebody_below_stands_in(redis_url: str) -> None:
    async with replicas(redis_url) as time:
        users = people("empty_shift", "gap_ahead", names=("ann", "cid"))
        found = config(turns("cid", name="base"), turns("ann", name="top"), users=users)
        one = await time.started(away(found, "2026-01-08T09:00", "2026-01-09T09:00", "ann"))
        await time.passes(6 * DAY, one)
        assert sorted(await time.told()) == [("empty_shift", "ann"), ("empty_shift", "cid")]
        assert (await time.sent())[0].text == (
            "Nobody is left for a shift of main from Thu 8 Jan 09:00 (UTC): everyone in layer top is absent."
        )


async def test_a_swap_is_asked_of_everybody_of_the_schedule_but_the_one_who_asks(
    redis_url: str,
) -> None:
    async with replicas(redis_url) as time:
        one = await time.started(config(turns("ann", "bob", "cid"), users=ALL))
        swap = Swap(
            id="s",
            schedule="main",
            user="ann",
            start=START,
            end=START + DAY,
            reason="<b>=1+1</b>",
            asked_at=START,
        )
        assert await commit(one.wire, swap_request_operations(one, swap))
        assert await time.told() == [("swap_asked", "bob"), ("swap_asked", "cid")]
        assert (await time.sent())[0].text == (
            "Ann looks for somebody to take over main from Mon 5 Jan 09:00 (UTC) until Tue 6 Jan 09:00 (UTC): <b>=1+1</b>."
        )
        assert swap_request_operations(one, replace(swap, schedule="gone")).ops == []


async def test_a_notice_arrives_over_its_channel_and_is_counted(
    house_of: Callable[[Config], Awaitable[House]],
) -> None:
    found = config(turns(), users=people("gap_ahead", names=("ann",)), team="all")
    house = await house_of(replace(found, teams={"all": Team(name="all", members=("ann",))}))
    counter = metrics.notices.labels("gap_ahead", "console")
    before = counter._value.get()
    await record.restore_schedule_timers(house.context)
    await soon(lambda: house.chat.sent)
    address, card = house.chat.sent[0]
    assert (address, card.kind, card.title) == ("ann", "notice", "Nobody is on call for main")
    await soon(lambda: counter._value.get() == before + 1)


def away(found: Config, start: str, end: str, *names: str) -> Config:
    """The same file with people absent: all of them, or these."""
    absence = Absence(start=datetime.fromisoformat(start), end=datetime.fromisoformat(end))
    users = {
        name: replace(user, absences=(absence,)) if name in (names or found.users) else user
        for name, user in found.users.items()
    }
    return replace(found, users=users)


async def test_a_change_of_the_file_that_moves_shifts_is_told_once_to_those_whom_it_concerns(
    redis_url: str,
) -> None:
    async with replicas(redis_url) as time:
        users = people("shift_moved", names=("ann", "bob")) | people(
            "going_on_call", names=("cid",)
        )
        found = config(turns("ann", "bob", every="1w", seconds=7 * 86400), users=users)
        one, two = await time.started(found), await time.started(found)
        await time.passes(HOUR, one, two)
        assert await time.told() == []
        # neither another line in the file nor somebody else's override moves a shift of the file
        await changed(one, two, to=replace(found, users=dict(reversed(users.items()))))
        await record_superseded(one)
        await time.passes(60, one, two)
        made = ManualScheduleChanges(
            overrides={"main": [by_hand("cid", time.clock + DAY, time.clock + 2 * DAY)]}
        )
        one.use_schedule_changes(made)
        await record_superseded(one)
        await time.passes(60, one)
        assert await time.told() == []
        layer = turns("ann", "bob", "cid", every="1w", seconds=7 * 86400)
        await changed(one, two, to=config(layer, users=users))
        await record_superseded(one)
        await time.passes(60, one, two)
        sent = sorted(await time.sent(), key=lambda message: message.user)
        assert [(message.reason, message.user) for message in sent] == [
            ("shift_moved", "ann"),
            ("shift_moved", "bob"),
            ("shift_moved", "cid"),
        ]
        assert sent[2].text == (
            "A change of the file moves your shifts of main in the next weeks."
            "\nNew: Mon 19 Jan 09:00 (UTC) until Mon 26 Jan 09:00 (UTC)."
        )
        assert "No longer: Mon 19 Jan 09:00 (UTC)" in sent[0].text


async def test_a_change_is_told_after_a_restart_too_and_not_by_a_replica_with_the_file_of_before(
    redis_url: str,
) -> None:
    async with replicas(redis_url) as time:
        users = people("shift_moved")
        found = config(turns("ann", "bob"), users=users)
        old = await time.started(found)
        await time.passes(HOUR, old)
        new = await time.started(config(turns("bob", "ann"), users=users))
        await time.passes(HOUR, new)
        assert sorted(await time.told()) == [("shift_moved", "ann"), ("shift_moved", "bob")]
        await time.passes(HOUR, old)
        await time.passes(HOUR, new)
        assert len(await time.told()) == 2


async def test_who_had_shifts_of_a_schedule_that_is_removed_is_told_but_not_for_a_new_name(
    redis_url: str,
) -> None:
    async with replicas(redis_url) as time:
        found = config(turns("ann", "bob"), users=people("shift_moved", names=("ann", "bob")))
        one = await time.started(found)
        await time.passes(HOUR, one)
        renamed = {"first": replace(found.schedules["main"], name="first")}
        await changed(one, to=replace(found, schedules=renamed))
        await record_superseded(one)
        await time.passes(HOUR, one)
        assert await time.told() == []
        await changed(one, to=replace(found, schedules={}))
        await record_superseded(one)
        await time.passes(HOUR, one)
        assert sorted(await time.told()) == [("shift_moved", "ann"), ("shift_moved", "bob")]
        assert "No longer: Mon 5 Jan" in (await time.sent())[0].text
