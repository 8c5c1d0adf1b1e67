"""Many pages of one policy to one person in a short time become one message, and none is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from amproxy.apply import apply_event
from amproxy.config.structs import Config, NotifyStep, Storm
from amproxy.errors import DeliveryError
from amproxy.machine.events import Acknowledge
from amproxy.notify import storms
from amproxy.notify.message import Card, Press
from amproxy.respond.actions import handle_press
from amproxy.store import keys, outbox
from amproxy.store import storms as store
from tests.support.integration.house import House, Recorder, config, plan
from tests.support.waiting import soon

Build = Callable[[Config], Awaitable[House]]
STORM = Storm(more_than=3, within=1.0)
LONG = Storm(
    more_than=3, within=600.0
)  # for tests that say themselves when the time is over: `bundled`
KEY = store.storm_key("main", "ann", "console")


def stormy(storm: Storm = STORM, **more: Any) -> Config:
    return config(plan(NotifyStep(users=("ann",)), storm=storm, **more))


async def push(house: House, *numbers: int) -> None:
    alerts = [
        {"labels": {"alertname": f"Disk{number}"}, "annotations": {"summary": "It is full"}}
        for number in numbers
    ]
    assert await house.post("/api/v2/alerts", alerts) == (200, None)


def named(channel: Recorder, address: str) -> list[str]:
    """The titles told of, message by message, each name of a bundle by itself."""
    cards = [card for where, card in channel.sent if where == address]
    return [
        title
        for card in cards
        for title in ([entry.title for entry in card.entries] or [card.title])
    ]


def bundles(channel: Recorder) -> list[Card]:
    return [card for _, card in channel.sent if card.kind == "bundle"]


def titles(*numbers: int) -> list[str]:
    return sorted(f"Disk{number}" for number in numbers)


async def settled(house: House) -> None:
    """Nothing waits any more."""

    async def nothing_waits() -> bool:
        timers = await house.context.wire.call("ZRANGE", keys.TIMERS, 0, -1)
        return not any((await outbox.load_depths(house.context.wire)).values()) and not any(
            b"bundle" in name for name in timers
        )

    await soon(nothing_waits)


async def bundled(house: House, held: int, user: str = "ann") -> None:
    """Once so many pages are held, the time of the storm is over."""
    key = store.storm_key("main", user, "console")
    await soon(lambda: _held(house, held, key))
    await storms.release_bundle(house.context, key)


async def test_what_exceeds_the_storm_becomes_one_message_that_names_all(house_of: Build) -> None:
    house = await house_of(stormy(LONG))
    await push(house, *range(40))
    await bundled(house, 37)
    await soon(lambda: len(named(house.chat, "ann")) == 40)
    await settled(house)
    assert sorted(named(house.chat, "ann")) == titles(*range(40))
    assert len(house.chat.sent) == 4
    [bundle] = bundles(house.chat)
    assert bundle.title == "37 incidents of policy main"
    assert [entry.number for entry in bundle.entries] == sorted(
        entry.number for entry in bundle.entries
    )
    for incident in await house.incidents("triggered"):
        [page] = incident.pages
        assert page.state == "sent" and (page.bundle == "") == (page.ref != {})
        if page.bundle:
            assert any(
                "delivered in one message with 36 others" in line
                for line in await house.timeline(incident)
            )


async def test_few_pages_are_sent_one_by_one_without_a_wait(house_of: Build) -> None:
    house = await house_of(stormy())
    await push(house, 1, 2, 3)
    await soon(lambda: len(house.chat.sent) == 3)
    assert not bundles(house.chat)


async def test_without_a_storm_in_the_policy_every_page_is_a_message(house_of: Build) -> None:
    house = await house_of(config(plan(NotifyStep(users=("ann",)))))
    await push(house, *range(20))
    await soon(lambda: len(house.chat.sent) == 20)
    assert not bundles(house.chat)


async def test_people_are_bundled_apart(house_of: Build) -> None:
    house = await house_of(config(plan(NotifyStep(users=("ann", "bob")), storm=LONG)))
    await push(house, *range(10))
    for user in ("ann", "bob"):
        await bundled(house, 7, user)
    await soon(lambda: len(named(house.chat, "ann")) == len(named(house.chat, "bob")) == 10)
    assert [len(card.entries) for card in bundles(house.chat)] == [7, 7]


async def test_what_was_answered_while_it_was_held_is_not_told(house_of: Build) -> None:
    house = await house_of(stormy(LONG))
    await push(house, *range(10))
    await soon(lambda: len(house.chat.sent) == 3)
    held = await soon(lambda: _due(house, 7))
    await soon(lambda: _held(house, 7))
    for incident in held[:4]:
        await apply_event(house.context, incident.id, Acknowledge(user="bob", via="web"))
    await storms.release_bundle(house.context, KEY)
    await soon(lambda: bundles(house.chat))
    await settled(house)
    assert sorted(entry.incident for entry in bundles(house.chat)[0].entries) == sorted(
        incident.id for incident in held[4:]
    )
    for incident in held[:4]:
        assert any(
            "not sent" in line and "is acknowledged by now" in line
            for line in await house.timeline(incident)
        )


async def test_the_last_one_left_of_a_bundle_goes_out_as_an_ordinary_page(house_of: Build) -> None:
    house = await house_of(stormy(LONG))
    await push(house, *range(6))
    held = await soon(lambda: _due(house, 3))
    await soon(lambda: _held(house, 3))
    for incident in held[:2]:
        await apply_event(house.context, incident.id, Acknowledge(user="bob", via="web"))
    await storms.release_bundle(house.context, KEY)
    await soon(lambda: len(house.chat.sent) == 4)
    await settled(house)
    last = house.chat.sent[-1][1]
    assert (last.kind, last.incident) == ("incident", held[2].id)
    assert [button.text for button in last.buttons][:1] == ["Acknowledge"]


async def _due(house: House, number: int) -> list[Any]:
    """The incidents whose pages are held, once the others are out and there are so many."""
    found = [
        incident
        for incident in await house.incidents("triggered")
        if [page.state for page in incident.pages] == ["due"]
    ]
    return found if len(found) == number and len(house.chat.sent) == 3 else []


async def test_a_bundle_that_fails_for_good_passes_to_the_next_contact(house_of: Build) -> None:
    house = await house_of(stormy())
    house.chat.refuse = lambda address, card: DeliveryError(
        "bot was blocked by the user", permanent=True
    )
    await push(house, *range(10))
    await soon(lambda: len(named(house.mail, "ann@example.org")) == 10)
    await settled(house)
    assert sorted(named(house.mail, "ann@example.org")) == titles(*range(10))
    assert bundles(house.mail)


async def test_a_bundle_is_tried_again_like_a_page(house_of: Build) -> None:
    house = await house_of(stormy(LONG))
    refused: list[Card] = []

    def once(address: str, card: Card) -> DeliveryError | None:
        if card.kind == "bundle" and not refused:
            refused.append(card)
            return DeliveryError("server error", reason="server_error")
        return None

    house.chat.refuse = once
    await push(house, *range(10))
    await bundled(house, 7)
    await soon(lambda: len(named(house.chat, "ann")) == 10)
    assert refused and len(bundles(house.chat)) == 1


async def test_two_processes_make_one_bundle(house_of: Build) -> None:
    storm = Storm(more_than=3, within=4.0)  # a busy machine takes in all of them in that time
    houses = [await house_of(stormy(storm)), await house_of(stormy(storm))]
    await push(houses[0], *range(40))
    await soon(lambda: sum(len(named(house.chat, "ann")) for house in houses) == 40)
    await settled(houses[0])
    told = [title for house in houses for title in named(house.chat, "ann")]
    assert sorted(told) == titles(*range(40))
    assert sum(len(bundles(house.chat)) for house in houses) == 1


async def test_a_timer_that_two_processes_take_up_makes_one_bundle(house_of: Build) -> None:
    houses = [await house_of(stormy(LONG)), await house_of(stormy(LONG))]
    await push(houses[0], *range(10))
    await soon(lambda: _held(houses[0], 7))
    await asyncio.gather(*(storms.release_bundle(house.context, KEY) for house in houses))
    await soon(lambda: sum(len(named(house.chat, "ann")) for house in houses) == 10)
    await settled(houses[0])
    assert sum(len(bundles(house.chat)) for house in houses) == 1
    assert sum(len(named(house.chat, "ann")) for house in houses) == 10


async def test_a_page_that_is_held_while_a_bundle_is_made_waits_for_the_next(
    house_of: Build,
) -> None:
    house = await house_of(stormy(LONG))
    await push(house, *range(10))
    await soon(lambda: _held(house, 7))
    wire, now = house.context.wire, house.context.now()
    read = await store.load_backlog(wire, KEY)
    await push(house, 10)
    await soon(lambda: _held(house, 8))
    assert await read.release(wire, storms.build_bundles(read.messages, now), now)
    assert await _held(house, 1)
    assert await wire.call("ZSCORE", keys.TIMERS, f"bundle:{KEY}")
    await storms.release_bundle(house.context, KEY)
    await soon(lambda: len(named(house.chat, "ann")) == 11)
    await settled(house)


async def _held(house: House, number: int, key: str = KEY) -> bool:
    return bool(await house.context.wire.call("LLEN", keys.storm_pages(key)) == number)


async def test_one_press_acknowledges_all_parts_and_says_what_was_answered_already(
    house_of: Build,
) -> None:
    house = await house_of(stormy(LONG))
    await push(house, *range(100))
    await bundled(house, 97)
    await soon(lambda: len(named(house.chat, "ann")) == 100)
    await settled(house)
    first, second = bundles(house.chat)
    assert (len(first.entries), len(second.entries)) == (60, 37)
    assert (
        first.text
        == "Message 1 of 2 about 97 incidents. One press acknowledges all that they name."
    )
    ends = [
        {"labels": {"alertname": f"Disk{number}"}, "endsAt": "2026-01-01T00:00:00Z"}
        for number in range(100)
        if number < 2
    ]
    assert (await house.post("/api/v2/alerts", ends))[0] == 200
    over = {incident.title for incident in await soon(lambda: _at_least(house, 2))}
    gone = len(over & {entry.title for card in (first, second) for entry in card.entries})
    pressed = Press(value=second.buttons[0].value, channel="email", account="ann@example.org")
    answer = await handle_press(house.context, pressed)
    assert (
        answer
        == f"{97 - gone} acknowledged"
        + {0: ".", 1: ", 1 was resolved already.", 2: ", 2 were resolved already."}[gone]
    )
    assert len(await house.incidents("acknowledged")) == 97 - gone
    assert (await handle_press(house.context, pressed)).startswith("0 acknowledged, ")
    stranger = Press(value=second.buttons[0].value, channel="email", account="nobody@example.org")
    assert "Nobody in amproxy's file" in await handle_press(house.context, stranger)
    made_up = Press(value="acknowledge-all:x", channel="email", account="ann@example.org")
    assert await handle_press(house.context, made_up) == "Nothing done: this button is too old."


async def _at_least(house: House, number: int) -> list[Any]:
    found = await house.incidents("resolved")
    return found if len(found) >= number else []


async def test_a_page_that_comes_in_while_a_bundle_is_made_is_told_too(house_of: Build) -> None:
    house = await house_of(stormy(Storm(more_than=1, within=0.4)))
    for number in range(60):
        await push(house, number)
        await asyncio.sleep(0.02)
    await soon(lambda: len(named(house.chat, "ann")) == 60)
    await settled(house)
    assert sorted(named(house.chat, "ann")) == titles(*range(60))
