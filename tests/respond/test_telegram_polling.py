"""Presses and commands from Telegram, fetched by long polling."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from amproxy.config.structs import Config, Global, Receiver, Route
from amproxy.errors import StoreUnavailable
from amproxy.notify.channels.telegram.channel import TelegramChannel
from amproxy.notify.channels.telegram.settings import TelegramSettings
from amproxy.notify.channels.telegram.updates import TelegramPoller, TelegramPollers
from amproxy.notify.message import Button, Card, Press
from amproxy.secret import Secret
from tests.support.standins.telegram import TelegramStandIn
from tests.support.waiting import soon

CHAT, PERSON = 111, 111


@pytest.fixture
def telegram() -> Iterator[TelegramStandIn]:
    with TelegramStandIn() as standin:
        standin.add_chat(CHAT)
        yield standin
        standin.assert_no_surprises()


class State:
    """The store's part, in memory."""

    def __init__(self) -> None:
        self.holder, self.offset, self.names, self.saves = "", 0, set[str](), 0
        self.away = False

    async def lease(self, name: str, holder: str, seconds: float) -> bool:
        if self.away:
            raise StoreUnavailable("away")
        self.names.add(name)
        self.holder = self.holder or holder
        return self.holder == holder

    async def load_offset(self, name: str) -> int:
        return self.offset

    async def save_offset(self, name: str, offset: int) -> None:
        if self.away:
            raise StoreUnavailable("away")
        self.offset, self.saves = offset, self.saves + 1


class Pressed:
    """What was pressed, and what is answered: a text, or an exception, or a wait."""

    def __init__(self, *answers: str | Exception) -> None:
        self.seen: list[Press] = []
        self._answers = list(answers)

    async def __call__(self, press: Press) -> str:
        self.seen.append(press)
        answer = self._answers.pop(0) if self._answers else "Done"
        if isinstance(answer, Exception):
            raise answer
        return answer


def settings(telegram: TelegramStandIn, **changes: Any) -> TelegramSettings:
    return TelegramSettings(
        **{"api_url": telegram.url, "bot_token": Secret(telegram.token), "chat_id": CHAT} | changes
    )


def poller(
    telegram: TelegramStandIn, state: State, press: Callable[[Press], Awaitable[str]]
) -> TelegramPoller:
    return TelegramPoller(settings(telegram), state, press, poll=1, lease=0.3, backoff=0.01)


@contextlib.asynccontextmanager
async def running(*pollers: TelegramPoller) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(each.run()) for each in pollers]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes), outcomes


async def page(telegram: TelegramStandIn) -> int:
    """Send a page with buttons; return the id of its message."""
    channel = TelegramChannel()
    button = Button(action="acknowledge", text="Acknowledge", value="acknowledge:INC:1")
    ref = await channel.send(
        settings(telegram),
        Card(kind="incident", title="T", state="triggered", buttons=[button], at=0),
    )
    await channel.close()
    return int(ref["message_id"])


async def test_a_press_arrives_with_who_and_what_and_is_answered(telegram: TelegramStandIn) -> None:
    message, state, press = await page(telegram), State(), Pressed("Acknowledged by Bob")
    async with running(poller(telegram, state, press)):
        query = telegram.press(CHAT, message, "Acknowledge", PERSON, name="Bob")
        await soon(lambda: state.saves)
    assert press.seen == [
        Press(value="acknowledge:INC:1", channel="telegram", account="111", name="Bob")
    ]
    assert telegram.answers == [{"callback_query_id": query, "text": "Acknowledged by Bob"}]
    [polled] = {
        str(sorted(call.payload["allowed_updates"]))
        for call in telegram.calls
        if call.method == "getUpdates"
    }
    assert polled == "['callback_query', 'message']"


async def test_what_was_handled_is_confirmed_and_not_fetched_again(
    telegram: TelegramStandIn,
) -> None:
    message, state, press = await page(telegram), State(), Pressed()
    async with running(poller(telegram, state, press)):
        telegram.press(CHAT, message, "Acknowledge", PERSON)
        await soon(lambda: state.saves and telegram.pending == 0)
    async with running(poller(telegram, state, press)):
        await asyncio.sleep(0.2)
    assert len(press.seen) == 1


async def test_an_offset_that_could_not_be_stored_repeats_the_press_and_loses_none(
    telegram: TelegramStandIn,
) -> None:
    message, state = await page(telegram), State()
    seen: list[Press] = []

    async def press(pressed: Press) -> str:
        seen.append(pressed)
        state.away = len(seen) == 1
        return "Done"

    async with running(poller(telegram, state, press)):
        telegram.press(CHAT, message, "Acknowledge", PERSON)
        await soon(lambda: seen)
        await asyncio.sleep(0.2)
        state.away = False
        await soon(lambda: state.saves)
    assert len(seen) == 2


async def test_a_failing_press_is_answered_and_the_next_one_works(
    telegram: TelegramStandIn,
) -> None:
    message, state, press = await page(telegram), State(), Pressed(RuntimeError("broken"), "Done")
    async with running(poller(telegram, state, press)):
        telegram.press(CHAT, message, "Acknowledge", PERSON)
        telegram.press(CHAT, message, "Acknowledge", PERSON)
        await soon(lambda: len(telegram.answers) == 2)
    assert [answer["text"] for answer in telegram.answers] == [
        "That could not be done, try again.",
        "Done",
    ]


async def test_a_press_that_hangs_is_answered_and_the_next_one_works(
    telegram: TelegramStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("amproxy.notify.channels.telegram.updates.PRESS_TIMEOUT", 0.1)
    message, count = await page(telegram), iter(range(9))

    async def press(_: Press) -> str:
        await asyncio.sleep(60 if next(count) == 0 else 0)
        return "Done"

    async with running(poller(telegram, State(), press)):
        telegram.press(CHAT, message, "Acknowledge", PERSON)
        telegram.press(CHAT, message, "Acknowledge", PERSON)
        await soon(lambda: len(telegram.answers) == 2)
    assert [answer["text"] for answer in telegram.answers] == [
        "That could not be done, try again.",
        "Done",
    ]


async def test_a_long_answer_is_shortened_and_an_empty_one_still_ends_the_spinning(
    telegram: TelegramStandIn,
) -> None:
    message = await page(telegram)
    async with running(poller(telegram, State(), Pressed("x" * 500, ""))):
        telegram.press(CHAT, message, "Acknowledge", PERSON)
        query = telegram.press(CHAT, message, "Acknowledge", PERSON)
        await soon(lambda: len(telegram.answers) == 2)
    assert len(telegram.answers[0]["text"]) == 200
    assert telegram.answers[1] == {"callback_query_id": query}


async def test_a_press_of_an_old_message_that_is_no_longer_shown_arrives(
    telegram: TelegramStandIn,
) -> None:
    press = Pressed()
    async with running(poller(telegram, State(), press)):
        telegram.press_raw(CHAT, 5, "resolve:INC:1", PERSON, accessible=False)
        await soon(lambda: telegram.answers)
    assert press.seen[0].value == "resolve:INC:1"


async def test_a_press_that_came_too_late_to_be_answered_is_done_all_the_same(
    telegram: TelegramStandIn,
) -> None:
    message, state, press = await page(telegram), State(), Pressed()
    telegram.allow("query is too old")
    telegram.expire(telegram.press(CHAT, message, "Acknowledge", PERSON))
    async with running(poller(telegram, state, press)):
        await soon(lambda: state.saves)
    assert len(press.seen) == 1


async def test_an_answer_lost_on_the_way_is_given_again(telegram: TelegramStandIn) -> None:
    message = await page(telegram)
    telegram.drop(method="answerCallbackQuery", after=False)
    async with running(poller(telegram, State(), Pressed())):
        telegram.press(CHAT, message, "Acknowledge", PERSON)
        await soon(lambda: telegram.answers)


async def test_trouble_of_every_kind_passes_and_the_press_arrives(
    telegram: TelegramStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    message = await page(telegram)
    telegram.fail(2, 409, "Conflict: terminated by other getUpdates request", method="getUpdates")
    telegram.fail(2, 500, method="getUpdates")
    telegram.html(1, 200, method="getUpdates")
    telegram.drop(2, method="getUpdates")
    telegram.truncate(1, method="getUpdates")
    async with running(poller(telegram, State(), Pressed())):
        telegram.press(CHAT, message, "Acknowledge", PERSON)
        await soon(lambda: telegram.answers)
    assert caplog.text.count("Conflict") == 1
    assert telegram.token not in caplog.text


async def test_a_refused_token_is_said_once_and_tried_seldom(
    telegram: TelegramStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    wrong = settings(telegram, bot_token=Secret("1:wrong"))
    telegram.allow("Unauthorized", 3)
    state = State()
    async with running(
        TelegramPoller(wrong, state, Pressed(), poll=1, lease=0.3, backoff=0.001)
    ):  # tries again every 0.3 s
        await soon(lambda: len(telegram.calls) == 3)
    assert caplog.text.count("Unauthorized") == 1


async def test_of_two_replicas_one_polls_and_the_other_takes_over(
    telegram: TelegramStandIn,
) -> None:
    message, state, first, second = await page(telegram), State(), Pressed(), Pressed()
    async with running(poller(telegram, state, second)):
        await soon(lambda: state.holder)
        async with running(poller(telegram, state, first)):
            telegram.press(CHAT, message, "Acknowledge", PERSON)
            await soon(lambda: telegram.answers)
            assert (len(first.seen), len(second.seen)) == (0, 1)
            state.holder = "nobody"  # the lease is lost
            await asyncio.sleep(0.4)
            state.holder = ""
            telegram.press(CHAT, message, "Acknowledge", PERSON)
            await soon(lambda: len(telegram.answers) == 2)
    assert len(first.seen) + len(second.seen) == 2
    [name] = state.names
    assert telegram.token not in name


async def test_the_store_being_away_ends_nothing(telegram: TelegramStandIn) -> None:
    message, state = await page(telegram), State()
    state.away = True
    async with running(poller(telegram, state, Pressed())):
        telegram.press(CHAT, message, "Acknowledge", PERSON)
        await asyncio.sleep(0.2)
        state.away = False
        await soon(lambda: telegram.answers)


@pytest.mark.parametrize("text", ["/start", "/id", "/ID@amproxy_bot", "/start payload"])
async def test_who_asks_is_told_the_id_for_the_file(telegram: TelegramStandIn, text: str) -> None:
    async with running(poller(telegram, State(), Pressed())):
        telegram.say(CHAT, text, PERSON)
        await soon(lambda: telegram.sent(CHAT))
    assert telegram.sent(CHAT)[0].text.startswith("Your Telegram id is 111.")


async def test_a_group_is_told_the_id_of_the_chat_in_its_thread(telegram: TelegramStandIn) -> None:
    telegram.add_chat(-100777, "supergroup", threads={9})
    async with running(poller(telegram, State(), Pressed())):
        telegram.say(-100777, "/id", PERSON, is_topic_message=True, message_thread_id=9)
        await soon(lambda: telegram.sent(-100777))
    [message] = telegram.sent(-100777)
    assert message.text.startswith("The id of this chat is -100777.")
    assert message.thread == 9


async def test_other_messages_other_bots_commands_and_strange_updates_are_passed_over(
    telegram: TelegramStandIn,
) -> None:
    state, press = State(), Pressed()
    for text in ("hello", "id", "/idle", "/start@other_bot", "say /id", ""):
        telegram.say(CHAT, text, PERSON)
    telegram.queue_raw({"callback_query": {"id": "1"}})
    telegram.queue_raw({"message": "strange"})
    telegram.queue_raw({"message": {"text": "/id", "chat": None}})
    async with running(poller(telegram, state, press)):
        await soon(lambda: telegram.pending == 0 and state.saves == 9)
    assert telegram.sent(CHAT) == []
    assert press.seen == []


class Poorly(State):
    """A store's part that has a defect for once."""

    broken = False

    async def load_offset(self, name: str) -> int:
        if self.broken:
            self.broken = False
            raise TypeError("a defect")
        return await super().load_offset(name)


def config_with(telegram: TelegramStandIn, *, bot: bool = True) -> Config:
    channels = {"telegram": settings(telegram)} if bot else {}
    return Config(
        route=Route(key="{}", receiver="r"),
        receivers={"r": Receiver(name="r")},
        global_=Global(channels=channels),
    )


async def test_a_defect_ends_the_pollers_for_the_service_to_begin_them_anew(
    telegram: TelegramStandIn,
) -> None:
    message, state, press = await page(telegram), Poorly(), Pressed("Acknowledged by Bob")
    pollers, state.broken = TelegramPollers(state, press), True
    pollers.use(config_with(telegram))
    with pytest.raises(TypeError):
        await pollers.run()
    again = asyncio.create_task(pollers.run())
    telegram.press(CHAT, message, "Acknowledge", PERSON)
    await soon(lambda: telegram.answers, 5)  # the lease is its own still
    again.cancel()
    await asyncio.gather(again, return_exceptions=True)


async def test_a_bot_that_leaves_the_file_is_polled_no_more_and_one_that_comes_is(
    telegram: TelegramStandIn,
) -> None:
    message, state, press = await page(telegram), State(), Pressed()
    pollers = TelegramPollers(state, press)
    running = asyncio.create_task(pollers.run())
    pollers.use(config_with(telegram))
    await soon(lambda: any(call.method == "getUpdates" for call in telegram.calls))
    pollers.use(config_with(telegram, bot=False))
    await asyncio.sleep(0.3)
    telegram.press(CHAT, message, "Acknowledge", PERSON)
    await asyncio.sleep(0.5)
    assert not press.seen
    pollers.use(config_with(telegram))
    state.holder = ""  # as it lapses
    await soon(lambda: press.seen)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
