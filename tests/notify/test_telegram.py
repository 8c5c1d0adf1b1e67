"""What people see in Telegram, and what becomes of Telegram's refusals."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.config.structs import Global
from amproxy.errors import DeliveryError
from amproxy.notify.channels.telegram.channel import TelegramChannel, call_telegram
from amproxy.notify.channels.telegram.settings import TelegramSettings
from amproxy.notify.channels.telegram.text import render_card
from amproxy.notify.message import Button, Link
from amproxy.secret import Secret
from tests.support.config.configs import fault
from tests.support.notify.cards import HOSTILE, PICTURES, alert, card, hostile_cards, resolved
from tests.support.notify.groups import group_card
from tests.support.standins.telegram import TelegramStandIn
from tests.support.standins.telegram_html import parse

CHAT = 111


@pytest.fixture
def telegram() -> Iterator[TelegramStandIn]:
    with TelegramStandIn() as standin:
        standin.add_chat(CHAT)
        yield standin
        standin.assert_no_surprises()


@pytest.fixture
async def channel() -> AsyncIterator[TelegramChannel]:
    made = TelegramChannel()
    yield made
    await made.close()


def to(telegram: TelegramStandIn, **changes: Any) -> TelegramSettings:
    return TelegramSettings(
        **{"api_url": telegram.url, "bot_token": Secret(telegram.token), "chat_id": CHAT} | changes
    )


async def test_a_page_shows_number_title_state_reason_text_labels_alerts_and_links(
    telegram: TelegramStandIn, channel: TelegramChannel
) -> None:
    ref = await channel.send(to(telegram), card())
    [message] = telegram.sent(CHAT)
    assert ref == {"chat_id": "111", "message_id": str(message.message_id)}
    assert message.text == (
        "🔴 #42 HighCPU on eu1\n"
        "Triggered at 14:03 UTC · 1 firing, 1 resolved\n"
        "You are on call for platform (layer weekly)\n\n"
        "CPU is above 90 %\nfor ten minutes\n\n"
        "severity: critical\ncluster: eu1\n\n"
        "🔥 pod=web-1\nweb-1 is hot\n✅ pod=web-2\n\n"
        "Runbook"
    )
    marked = {
        (entity.kind, message.text[entity.start : entity.end], entity.url)
        for entity in message.entities
    }
    assert ("b", "HighCPU on eu1", "") in marked
    assert ("a", "#42", "https://oncall.example.org/incidents/INC") in marked
    assert ("a", "Runbook", "https://runbooks.example.org/cpu") in marked


async def test_values_and_what_the_sender_left_out_are_told(
    telegram: TelegramStandIn, channel: TelegramChannel
) -> None:
    one = alert("web-1")
    one.extra = {"values": {"A": 7.4213999999}}
    await channel.send(to(telegram), card(alerts=[one], left_out=3, resolved=0))
    [message] = telegram.sent(CHAT)
    assert "A = 7.4214" in message.text
    assert "… and 3 more that the sender left out" in message.text


async def test_a_picture_is_shown_below_the_text_for_as_long_as_the_message_lives(
    telegram: TelegramStandIn, channel: TelegramChannel
) -> None:
    ref = await channel.send(to(telegram), card(pictures=PICTURES))
    [message] = telegram.sent(CHAT)
    assert message.preview == PICTURES[0].url
    await channel.edit(to(telegram), ref, resolved(pictures=PICTURES))
    [message] = telegram.sent(CHAT)
    assert message.text.startswith("✅") and message.preview == PICTURES[0].url


@pytest.mark.parametrize(
    "changes", [{}, {"pictures": PICTURES[1:]}], ids=["none", "Telegram cannot reach it"]
)
async def test_without_a_picture_that_telegram_can_show_no_link_is_previewed(
    telegram: TelegramStandIn, channel: TelegramChannel, changes: dict[str, Any]
) -> None:
    await channel.send(to(telegram), card(**changes))
    assert telegram.sent(CHAT)[0].preview == ""


async def test_a_page_whose_picture_is_refused_goes_out_without_it(
    telegram: TelegramStandIn, channel: TelegramChannel
) -> None:
    telegram.fail(status=400, description="Bad Request: WEBPAGE_CURL_FAILED")
    await channel.send(to(telegram), card(pictures=PICTURES))
    [message] = telegram.sent(CHAT)
    assert "HighCPU on eu1" in message.text and message.preview == ""


async def test_the_buttons_begin_with_acknowledge_and_carry_their_values(
    telegram: TelegramStandIn, channel: TelegramChannel
) -> None:
    await channel.send(to(telegram), card())
    [message] = telegram.sent(CHAT)
    assert message.buttons == ["Acknowledge", "Resolve", "Snooze 1h", "Snooze 4h", "Open"]
    assert message.keyboard[0][0] == {"text": "Acknowledge", "callback_data": "acknowledge:INC:1"}


async def test_after_the_end_the_message_says_resolved_and_by_whom_and_has_no_buttons(
    telegram: TelegramStandIn, channel: TelegramChannel
) -> None:
    ref = await channel.send(to(telegram), card())
    assert await channel.edit(to(telegram), ref, resolved()) == ref
    [message] = telegram.sent(CHAT)
    assert message.text.startswith("✅ #42 HighCPU on eu1\nResolved by Bob Birch at 14:20 UTC")
    assert message.keyboard == []
    assert message.history[0][0].startswith("🔴")


async def test_the_same_change_twice_is_a_success(
    telegram: TelegramStandIn, channel: TelegramChannel
) -> None:
    ref = await channel.send(to(telegram), card())
    assert await channel.edit(to(telegram), ref, card()) == ref


async def test_a_message_that_is_gone_is_sent_anew(
    telegram: TelegramStandIn, channel: TelegramChannel
) -> None:
    ref = await channel.send(to(telegram), card())
    telegram.delete(CHAT, int(ref["message_id"]))
    telegram.allow("message to edit not found")
    new = await channel.edit(to(telegram), ref, resolved())
    assert new != ref
    assert telegram.messages[CHAT, int(new["message_id"])].text.startswith("✅")


async def test_a_message_that_cannot_be_edited_is_sent_anew(
    telegram: TelegramStandIn, channel: TelegramChannel
) -> None:
    ref = await channel.send(to(telegram), card())
    telegram.fail(status=400, description="Bad Request: message can't be edited")
    assert await channel.edit(to(telegram), ref, resolved()) != ref


async def test_a_group_that_moved_gets_the_message_where_it_is_now_and_the_ref_remembers(
    telegram: TelegramStandIn, channel: TelegramChannel
) -> None:
    telegram.migrate(CHAT, -100999)
    ref = await channel.send(to(telegram), card())
    assert ref["chat_id"] == "-100999"
    assert await channel.edit(to(telegram), ref, resolved()) == ref
    assert [message.text[0] for message in telegram.sent(-100999)] == ["✅"]


async def test_a_thread_that_is_gone_does_not_stop_the_page(
    telegram: TelegramStandIn, channel: TelegramChannel
) -> None:
    telegram.allow("message thread not found")
    await channel.send(to(telegram, message_thread_id=7), card())
    assert [message.thread for message in telegram.sent(CHAT)] == [0]


async def test_a_thread_and_silence_are_kept(
    telegram: TelegramStandIn, channel: TelegramChannel
) -> None:
    telegram.add_chat(-5, "supergroup", threads={7})
    await channel.send(
        to(telegram, chat_id=-5, message_thread_id=7, disable_notifications=True), card()
    )
    [message] = telegram.sent(-5)
    assert (message.thread, message.silent) == (7, True)


async def test_refused_markup_goes_out_as_plain_text(
    telegram: TelegramStandIn, channel: TelegramChannel
) -> None:
    telegram.allow("can't parse entities")
    await channel.send(to(telegram, message="load < 5 & rising"), card())
    assert [message.text for message in telegram.sent(CHAT)] == ["load < 5 & rising"]


async def test_an_overlong_message_of_the_file_is_cut_as_plain_text(
    telegram: TelegramStandIn, channel: TelegramChannel
) -> None:
    await channel.send(to(telegram, message="<b>" + "x" * 5000 + "</b>"), card())
    [message] = telegram.sent(CHAT)
    assert len(message.text) == 4096
    assert message.text.endswith("…")


async def test_html_of_a_group_that_is_too_long_is_a_notice(
    telegram: TelegramStandIn, channel: TelegramChannel
) -> None:
    lines = "\n".join(f"<b>{number}</b> {'x' * 60}" for number in range(200))
    await channel.send(to(telegram, message=lines, parse_mode="HTML"), group_card())
    [message] = telegram.sent(CHAT)
    assert message.text.startswith("Alertmanager notification could not be sent")


async def test_a_refused_button_address_costs_only_that_button(
    telegram: TelegramStandIn, channel: TelegramChannel
) -> None:
    telegram.fail(
        status=400,
        description="Bad Request: inline keyboard button URL 'https://x' is invalid: Wrong HTTP URL",
    )
    await channel.send(to(telegram), card())
    assert [message.buttons for message in telegram.sent(CHAT)] == [
        ["Acknowledge", "Resolve", "Snooze 1h", "Snooze 4h"]
    ]


async def test_an_address_without_a_dot_is_shown_as_text(
    telegram: TelegramStandIn, channel: TelegramChannel
) -> None:
    links = [Link(text="Graph", url="http://grafana:3000/d/1")]
    await channel.send(to(telegram), card(url="http://localhost:9095/i/1", links=links))
    [message] = telegram.sent(CHAT)
    assert (
        "Open in amproxy: http://localhost:9095/i/1\nGraph: http://grafana:3000/d/1" in message.text
    )
    assert "Open" not in message.buttons


async def test_a_value_over_64_bytes_is_a_programming_error(
    telegram: TelegramStandIn, channel: TelegramChannel
) -> None:
    button = Button(action="resolve", text="Resolve", value="x" * 65)
    with pytest.raises(ValueError, match="64 bytes"):
        await channel.send(to(telegram), card(buttons=[button]))
    assert telegram.calls == []


async def failing(channel: TelegramChannel, settings: TelegramSettings) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await channel.send(settings, card())
    return caught.value


async def test_a_rate_limit_is_temporary_and_says_how_long(
    telegram: TelegramStandIn, channel: TelegramChannel
) -> None:
    telegram.rate_limit(retry_after=17)
    error = await failing(channel, to(telegram))
    assert (error.permanent, error.reason, error.retry_after, error.ambiguous) == (
        False,
        "rate_limited",
        17.0,
        False,
    )


@pytest.mark.parametrize(
    ("status", "description", "reason"),
    [
        (401, "Unauthorized", "auth_error"),
        (403, "Forbidden: bot was blocked by the user", "auth_error"),
        (403, "Forbidden: user is deactivated", "auth_error"),
        (404, "Not Found", "client_error"),
        (400, "Bad Request: chat not found", "client_error"),
        (400, "Bad Request: not enough rights to send text messages to the chat", "client_error"),
    ],
)
async def test_refusals_for_good_are_permanent(
    telegram: TelegramStandIn, channel: TelegramChannel, status: int, description: str, reason: str
) -> None:
    telegram.fail(status=status, description=description)
    error = await failing(channel, to(telegram))
    assert (error.permanent, error.reason, error.ambiguous) == (True, reason, False)
    assert error.words.key == "failure.status_said", "the reader's language words it"
    assert error.words.values == {"service": "Telegram", "status": status, "said": description}
    assert len(telegram.calls) == 1


async def test_broken_answers_may_have_delivered_and_server_errors_have_not(
    telegram: TelegramStandIn, channel: TelegramChannel
) -> None:
    telegram.fail(status=500)
    telegram.html(status=502)
    telegram.html(status=200)
    telegram.truncate()
    telegram.drop(after=True)
    for expected, ambiguous in (
        ("server_error", False),
        ("server_error", False),
        ("server_error", True),
        ("network|server_error", True),
        ("network", True),
    ):
        error = await failing(channel, to(telegram))
        assert (error.permanent, error.ambiguous) == (False, ambiguous)
        assert error.reason in expected.split("|")


async def test_a_time_out_may_have_delivered(
    telegram: TelegramStandIn, channel: TelegramChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(call_telegram.__kwdefaults__ or {}, "within", 0.3)
    telegram.hang()
    error = await failing(channel, to(telegram))
    assert (error.permanent, error.ambiguous, error.reason) == (False, True, "timeout")


async def test_nobody_listening_is_temporary_and_not_ambiguous(channel: TelegramChannel) -> None:
    error = await failing(
        channel, TelegramSettings(api_url="http://127.0.0.1:9", bot_token=Secret("1:a"), chat_id=1)
    )
    assert (error.permanent, error.ambiguous, error.reason) == (False, False, "network")


async def test_without_chat_or_token_nothing_is_sent(
    telegram: TelegramStandIn, channel: TelegramChannel, tmp_path: Path
) -> None:
    assert (await failing(channel, to(telegram, chat_id=0))).permanent
    for wrong in ({"bot_token": Secret("")}, {"bot_token_file": str(tmp_path / "missing")}):
        error = await failing(channel, to(telegram, **wrong))
        assert (error.permanent, error.reason) == (True, "auth_error")
    assert telegram.calls == []


async def test_the_token_shows_neither_in_errors_nor_in_the_log(
    telegram: TelegramStandIn, channel: TelegramChannel, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await channel.send(to(telegram), card())
    telegram.drop(after=False)
    shown = (
        str(await failing(channel, to(telegram)))
        + str(await failing(channel, to(telegram, api_url="nonsense://x")))
        + caplog.text
    )
    assert telegram.token not in shown
    assert telegram.token.partition(":")[2] not in shown


async def test_a_redirect_is_a_failure_and_is_not_followed(
    telegram: TelegramStandIn, channel: TelegramChannel
) -> None:
    telegram.html(status=307)
    assert (await failing(channel, to(telegram))).permanent
    assert len(telegram.calls) == 1


def test_a_person_is_reached_by_the_global_bot(telegram: TelegramStandIn) -> None:
    given = Global(
        channels={"telegram": to(telegram, chat_id=0, message="<b>{{ for a group }}</b>")}
    )
    person = TelegramChannel().person(given, " 4242 ")
    assert (person.chat_id, person.message, person.bot_token.reveal()) == (4242, "", telegram.token)


@pytest.mark.parametrize("address", ["", "0", "bob", "@bob", "1.5", "٣", "9" * 30, "--5", "- 5"])
def test_an_address_that_is_no_id_is_refused(telegram: TelegramStandIn, address: str) -> None:
    found = fault({"telegram": to(telegram)}, "telegram", address)
    assert found.startswith("it is no Telegram id")


def test_a_person_cannot_be_reached_without_a_bot() -> None:
    assert fault({}, "telegram", "5") == "global has no telegram_bot_token"


def test_a_long_text_leaves_room_for_labels_alerts_and_links() -> None:
    text, _ = parse(
        render_card(card(text="x" * 100_000, alerts=[alert(str(number)) for number in range(10)]))[
            0
        ]
    )
    assert 4000 < len(text) <= 4096
    assert "severity: critical" in text
    assert "pod=9" in text
    assert text.endswith("Runbook")


def test_alerts_that_are_not_shown_are_counted() -> None:
    assert "… and 28 more" in render_card(card(firing=30, resolved=0))[0]


def test_text_from_outside_stays_text() -> None:
    text, entities = parse(render_card(card(title=HOSTILE, text=HOSTILE, labels={"a": HOSTILE}))[0])
    assert '<b>&lt;</b><a href="javascript:x">' in text
    assert all(entity.url.startswith("https://") for entity in entities if entity.kind == "a")
    assert not set(text) & set("\u202e\x00\ud800")


@pytest.fixture(scope="module")
def strict() -> Iterator[TelegramStandIn]:
    with TelegramStandIn() as standin:
        standin.add_chat(CHAT)
        yield standin


@settings(max_examples=60)
@given(hostile=hostile_cards)
async def test_whatever_alerts_say_telegram_takes_it(strict: TelegramStandIn, hostile: Any) -> None:
    channel = TelegramChannel()
    try:
        ref = await channel.send(to(strict), hostile)
        await channel.edit(to(strict), ref, msgspec.structs.replace(hostile, state="resolved"))
    finally:
        await channel.close()
    strict.assert_no_surprises()
    assert len(render_card(hostile)[1]) <= 4096
    assert "resolved" in strict.messages[CHAT, int(ref["message_id"])].text.lower()
