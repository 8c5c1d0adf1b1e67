"""Delivery is fair and fenced: one destination delays no other, one process sends what it has."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from amproxy import metrics
from amproxy.apply import apply_event
from amproxy.config.structs import Config, Notify, NotifyStep, Storm, User, Wait
from amproxy.errors import DeliveryError
from amproxy.machine.events import Acknowledge
from amproxy.model import Incident, OutgoingMessage
from amproxy.notify import delivery, lanes
from amproxy.notify import worker as delivery_worker
from amproxy.notify.message import Card
from amproxy.notify.permit import obtain_permit
from amproxy.store import incidents, keys, outbox
from amproxy.store.commit import Operations, commit
from amproxy.store.incidents import enqueue
from amproxy.store.outbox import RateLimit
from tests.support.integration.house import House, Recorder, config, plan
from tests.support.waiting import soon

Build = Callable[[Config], Awaitable[House]]


def timed_out(address: str = "", card: Card | None = None) -> DeliveryError:
    return DeliveryError("chat: no answer in time", reason="timeout", ambiguous=True)


def broken(address: str = "", card: Card | None = None) -> DeliveryError:
    return DeliveryError("chat: the connection broke", reason="network", ambiguous=True)


def one_step(**more: Any) -> Config:
    """Ann is paged over her chat, and ten minutes later over her mail; bob has a chat only."""
    rules = (Notify(channels=("console",)), Wait(seconds=600), Notify(channels=("email",)))
    ann = User(
        name="ann",
        contacts={"console": "ann", "email": "ann@example.org"},
        notification_rules={"default": rules},
    )
    bob = User(name="bob", contacts={"console": "bob"})
    return config(plan(NotifyStep(users=("ann",))), users={"ann": ann, "bob": bob}, **more)


async def push(house: House, *names: str) -> None:
    alerts = [{"labels": {"alertname": name}} for name in names]
    assert await house.post("/api/v2/alerts", alerts) == (200, None)


def titles(channel: Recorder, address: str) -> list[str]:
    return [card.title for where, card in channel.sent if where == address]


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits after time-outs that a test can wait for."""
    monkeypatch.setattr(delivery, "UNCLEAR_WAIT", 0.05)
    monkeypatch.setattr(delivery, "FIRST_RETRY_WAIT", 0.05)
    monkeypatch.setattr(lanes, "PROBE_WAITS", (0.3, 0.5))


class Hanging(Recorder):
    """A chat that never answers some people."""

    def __init__(self, *hang: str) -> None:
        super().__init__("console")
        self.hang, self.asked = set(hang), 0

    async def send(self, settings: Any, card: Card) -> dict[str, str]:
        await obtain_permit()
        if settings in self.hang:
            self.asked += 1
            await asyncio.Event().wait()
        return await super().send(settings, card)


async def house_with(house_of: Build, wanted: Config, chat: Recorder) -> House:
    house = await house_of(wanted)
    await house.stop()
    house.chat = chat
    house.start()
    return house


class Gate(Recorder):
    """A chat that answers nobody until it is opened."""

    def __init__(self) -> None:
        super().__init__("console")
        self.asked, self.opened = 0, asyncio.Event()

    async def send(self, settings: Any, card: Card) -> dict[str, str]:
        await obtain_permit()
        self.asked += 1
        await self.opened.wait()
        return await super().send(settings, card)


async def test_pages_that_nobody_needs_any_more_are_skipped_together(house_of: Build) -> None:
    chat, names = Gate(), [f"disk-{number}" for number in range(120)]
    house = await house_with(house_of, one_step(), chat)
    context = house.context
    skipped = metrics.pages.labels("console", "main", "skipped")
    before = skipped._value.get()

    async def reads() -> int:
        """How often Redis read from its clients so far: once for commands that come together."""
        lines = (await context.wire.call("INFO", "stats")).decode().split()
        [count] = [line for line in lines if line.startswith("total_reads_processed:")]
        return int(count.partition(":")[2])

    await push(house, *names)
    await soon(lambda: chat.asked == 1)

    async def all_wait() -> bool:
        opened, _ = await incidents.list_incidents(context.wire, limit=500)
        return len(opened) == len(names) and all(one.pages for one in opened)

    await soon(all_wait, seconds=30)
    acknowledge = Acknowledge(user="bob", via="web")
    for one in (await incidents.list_incidents(context.wire, limit=500))[0]:
        await apply_event(context, one.id, acknowledge)
    await push(house, "the last")
    count = await reads()
    chat.opened.set()
    await soon(lambda: skipped._value.get() - before == len(names) - 1, seconds=30)
    await soon(lambda: titles(chat, "ann")[1:] == ["the last"], seconds=30)
    assert await reads() - count < len(names), "each page took a round trip of its own"


async def test_thousands_of_messages_to_a_chat_that_hangs_delay_nobody_else(
    house_of: Build,
) -> None:
    chat = Hanging("ann")
    house = await house_with(house_of, one_step(), chat)
    operations = Operations()
    for number in range(3000):
        notice = OutgoingMessage(
            id=f"n{number}", kind="notice", channel="console", user="ann", address="ann", due=0
        )
        enqueue(operations, notice)
    assert await commit(house.context.wire, operations)
    house.context.wake(outbox=True)
    await soon(lambda: chat.asked)
    notice = OutgoingMessage(
        id="b", kind="notice", channel="console", user="bob", address="bob", subject="Hi", due=0
    )
    operations = Operations()
    enqueue(operations, notice)
    assert await commit(house.context.wire, operations)
    house.context.wake(outbox=True)
    await soon(lambda: titles(chat, "bob") == ["Hi"], seconds=20)
    assert chat.asked == 1, "a person's messages go out one after the other"


async def test_many_chats_that_hang_delay_no_other(house_of: Build) -> None:
    names = [f"p{number}" for number in range(100)]
    users = {name: User(name=name, contacts={"console": name}) for name in (*names, "bob")}
    chat = Hanging(*names)
    house = await house_with(house_of, config(users=users), chat)
    operations = Operations()
    for name in users:
        notice = OutgoingMessage(
            id=name, kind="notice", channel="console", user=name, address=name, subject="Hi", due=0
        )
        enqueue(operations, notice)
    assert await commit(house.context.wire, operations)
    house.context.wake(outbox=True)
    await soon(lambda: titles(chat, "bob") == ["Hi"], seconds=20)
    assert chat.asked == len(names)


async def test_a_chat_that_hangs_is_probed_one_message_at_a_time_and_the_others_go_elsewhere(
    house_of: Build, short_waits: None
) -> None:
    house = await house_of(one_step())
    house.chat.refuse = timed_out
    names = [f"Disk{number}" for number in range(12)]
    await push(house, *names)
    await soon(lambda: sorted(titles(house.mail, "ann@example.org")) == sorted(names))
    attempts = metrics.delivery_attempts.labels("console", "failed", "timeout")._value.get()
    await push(house, "Late")
    await soon(lambda: "Late" in titles(house.mail, "ann@example.org"))
    later = metrics.delivery_attempts.labels("console", "failed", "timeout")._value.get()
    assert later - attempts <= 3
    house.chat.refuse = lambda address, card: None

    async def answers_again() -> bool:
        await push(house, f"Back{len(house.mail.sent)}")
        return any(title.startswith("Back") for title in titles(house.chat, "ann"))

    await soon(answers_again)


async def test_who_has_no_other_contact_is_told_once_the_chat_answers_again(
    house_of: Build, short_waits: None
) -> None:
    users = {"ann": User(name="ann", contacts={"console": "ann"})}
    house = await house_of(config(plan(NotifyStep(users=("ann",))), users=users))
    house.chat.refuse = timed_out
    names = [f"Disk{number}" for number in range(8)]
    await push(house, *names)

    async def stalled() -> bool:
        found = await house.incidents()
        return len(found) == 8 and house.chat.sent == []

    await soon(stalled)
    await asyncio.sleep(1)  # more than three time-outs
    house.chat.refuse = lambda address, card: None
    await soon(lambda: sorted(titles(house.chat, "ann")) == sorted(names))


@pytest.mark.parametrize("fault", [timed_out, broken])
async def test_a_page_whose_answers_are_lost_goes_out_three_times_and_then_over_the_next_contact(
    house_of: Build, short_waits: None, fault: Callable[[str, Card], DeliveryError]
) -> None:
    house, copies = await house_of(one_step()), list[str]()

    def lose(address: str, card: Card) -> DeliveryError:
        copies.append(card.title)
        return fault(address, card)

    house.chat.refuse = lose
    await push(house, "Disk")
    await soon(lambda: titles(house.mail, "ann@example.org") == ["Disk"])
    assert copies == ["Disk"] * 3


async def test_attempts_that_are_refused_after_a_lost_answer_do_not_count_as_repeated(
    house_of: Build, short_waits: None
) -> None:
    house = await house_of(one_step())
    faults = [
        broken(),
        DeliveryError("chat: 503", reason="server_error"),
        DeliveryError("chat: 503", reason="server_error"),
    ]
    house.chat.refuse = lambda address, card: faults.pop(0) if faults else None
    counter = metrics.deliveries_repeated.labels(house.chat.name)._value
    before = counter.get()
    await push(house, "Disk")
    await soon(lambda: titles(house.chat, "ann") == ["Disk"], seconds=20)
    await soon(lambda: counter.get() - before == 1)


async def test_a_bundle_whose_answers_are_lost_goes_out_three_times_and_then_elsewhere(
    house_of: Build, short_waits: None
) -> None:
    wanted = one_step()
    policy = msgspec.structs.replace(wanted.policies["main"], storm=Storm(more_than=1, within=2.0))
    house, copies = (
        await house_of(msgspec.structs.replace(wanted, policies={"main": policy})),
        list[str](),
    )

    def lose(address: str, card: Card) -> DeliveryError | None:
        if card.kind != "bundle":
            return None
        copies.append(card.key)
        return broken(address, card)

    house.chat.refuse = lose
    await push(house, *(f"Disk{number}" for number in range(5)))

    async def told() -> bool:
        cards = [card for where, card in house.mail.sent if where == "ann@example.org"]
        named = [entry.title for card in cards for entry in card.entries]
        return len({*named, *titles(house.mail, "ann@example.org")} - {""}) >= 4

    await soon(told)
    assert len(copies) == 3


async def test_a_notice_whose_answers_are_lost_goes_out_three_times(
    house_of: Build, short_waits: None
) -> None:
    house, copies = await house_of(one_step()), list[str]()

    def lose(address: str, card: Card) -> DeliveryError:
        copies.append(card.title)
        return broken(address, card)

    house.chat.refuse = lose
    operations = Operations()
    notice = OutgoingMessage(
        id="n",
        kind="notice",
        channel="console",
        user="ann",
        address="ann",
        subject="Hi",
        due=house.context.now(),
    )
    enqueue(operations, notice)
    assert await commit(house.context.wire, operations)
    house.context.wake(outbox=True)

    async def given_up() -> bool:
        return not any((await outbox.load_depths(house.context.wire)).values())

    await soon(given_up)
    assert copies == ["Hi"] * 3


class Limited(Recorder):
    """A chat with a limit that all its messages share."""

    def rate_limit(self, settings: Any) -> RateLimit:
        return RateLimit((f"chat:{settings}", "console"), 0.05)


async def test_a_refusal_for_being_too_fast_holds_every_message_to_the_chat(
    house_of: Build,
) -> None:
    chat = Limited("console")
    house, told = await house_with(house_of, one_step(), chat), list[tuple[float, str]]()
    refused: list[float] = []
    clock = asyncio.get_running_loop().time

    def limit(address: str, card: Card) -> DeliveryError | None:
        told.append((clock(), card.title))
        if len(told) == 2:
            refused.append(clock())
            return DeliveryError("too fast", reason="rate_limited", retry_after=1.0)
        return None

    chat.refuse = limit
    names = [f"Disk{number}" for number in range(10)]
    await push(house, *names)
    await soon(lambda: sorted(titles(chat, "ann")) == sorted(names))
    assert len(told) == 11, "one refusal, no other attempt"
    assert all(at >= refused[0] + 1.0 for at, _ in told[2:])


async def test_a_process_that_was_silent_drops_what_it_held_and_takes_up_what_is_still_its_own(
    house_of: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = Hanging("ann")
    house = await house_with(house_of, one_step(), chat)
    names = [f"Disk{number}" for number in range(6)]
    await push(house, *names)
    await soon(lambda: chat.asked)
    monkeypatch.setattr(delivery_worker, "ALIVE_SECONDS", 0.0)  # every turn comes too late
    monkeypatch.setattr(delivery_worker, "POLL_INTERVAL", 0.05)
    await asyncio.sleep(1.0)
    monkeypatch.setattr(delivery_worker, "ALIVE_SECONDS", outbox.ALIVE_SECONDS)
    chat.hang.clear()
    await house.stop()
    house.start()
    await soon(lambda: set(titles(chat, "ann")) == set(names))
    assert len(chat.sent) == len(names), "nothing is sent twice"


class Slow(Recorder):
    """A chat that takes its time."""

    def __init__(self) -> None:
        super().__init__("console")
        self.asked = 0

    async def send(self, settings: Any, card: Card) -> dict[str, str]:
        await obtain_permit()
        self.asked += 1
        await asyncio.sleep(0.5)
        return await super().send(settings, card)


async def test_an_orderly_end_finishes_what_is_being_sent_and_leaves_the_rest_to_others_at_once(
    house_of: Build,
) -> None:
    chat, names = Slow(), [f"Disk{number}" for number in range(4)]
    house = await house_with(house_of, one_step(), chat)
    await push(house, *names)
    await soon(lambda: chat.asked)
    await house.stop()
    assert len(titles(chat, "ann")) == 1, "the message under way was finished, no other begun"
    other = House(house.context)
    other.chat = chat
    other.start()
    await soon(lambda: sorted(titles(chat, "ann")) == names, seconds=outbox.ALIVE_SECONDS)
    await other.stop()
    assert chat.asked == len(names)


async def test_a_message_of_which_no_consumer_knows_is_sent(house_of: Build) -> None:
    house = await house_of(one_step())
    wire = house.context.wire
    await house.stop()
    await push(house, "Disk")
    house.start()
    await soon(lambda: titles(house.chat, "ann"))
    await house.stop()
    notice = OutgoingMessage(
        id="n", kind="notice", channel="console", user="bob", address="bob", subject="Stray", due=0
    )
    operations = Operations()
    enqueue(operations, notice)
    assert await commit(wire, operations)
    [read] = await outbox.read(wire, "lost", 1)
    await wire.call("XACK", keys.OUTBOX, outbox.CONSUMER_GROUP, read.entry)
    house.start()
    await soon(lambda: titles(house.chat, "bob") == ["Stray"])


async def test_an_entry_that_cannot_be_read_is_set_aside_and_the_others_go_out(
    house_of: Build,
) -> None:
    house = await house_of(one_step())
    await house.context.wire.call("XADD", keys.OUTBOX, "*", "m", b"\xc1\xff")
    await push(house, "Disk")
    await soon(lambda: titles(house.chat, "ann") == ["Disk"])
    assert await house.context.wire.call("LRANGE", keys.UNREADABLE, 0, -1) == [b"m\xc1\xff"]


async def test_a_message_that_meets_a_defect_goes_back_and_is_tried_again(
    house_of: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, failed = await house_of(one_step()), list[Incident]()
    from amproxy.notify import pages

    whole = pages.skip_reason

    def faulty(incident: Incident, page: Any) -> str:
        if len(failed) < 2:
            failed.append(incident)
            raise ZeroDivisionError
        return whole(incident, page)

    monkeypatch.setattr(pages, "skip_reason", faulty)
    await push(house, "Disk")
    await soon(lambda: titles(house.chat, "ann") == ["Disk"])
    assert len(failed) == 2


async def test_a_notice_that_fails_goes_over_the_next_contact_and_a_test_page_does_not(
    house_of: Build,
) -> None:
    house = await house_of(one_step())
    house.chat.refuse = lambda address, card: DeliveryError("blocked", permanent=True)
    operations = Operations()
    for name, reason in (("shift", "gap_ahead"), ("test", "")):
        notice = OutgoingMessage(
            id=name,
            kind="notice",
            channel="console",
            user="ann",
            address="ann",
            subject=name,
            reason=reason,
            due=house.context.now(),
        )
        enqueue(operations, notice)
    assert await commit(house.context.wire, operations)
    house.context.wake(outbox=True)
    await soon(lambda: titles(house.mail, "ann@example.org"))
    await soon(lambda: _is_empty(house))
    assert titles(house.mail, "ann@example.org") == ["shift"]


async def _is_empty(house: House) -> bool:
    return not any((await outbox.load_depths(house.context.wire)).values())


async def test_a_defect_after_a_message_was_sent_makes_no_copies_without_end(
    house_of: Build, short_waits: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = await house_of(one_step())
    from amproxy.notify import pages

    def faulty(*words: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(pages, "count_delivered_page", faulty)
    await push(house, "Disk")
    await soon(lambda: len(titles(house.chat, "ann")) == 3)
    await asyncio.sleep(1)
    assert len(titles(house.chat, "ann")) == 3
