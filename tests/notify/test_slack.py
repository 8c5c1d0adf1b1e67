"""What people see in Slack, and what becomes of Slack's refusals."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.config.structs import Global
from amproxy.errors import DeliveryError
from amproxy.notify.channels.slack.channel import SlackChannel
from amproxy.notify.channels.slack.settings import SlackSettings
from amproxy.secret import Secret
from tests.support.config.configs import fault
from tests.support.notify.cards import HOSTILE, PICTURES, card, hostile_cards, resolved
from tests.support.standins.slack import SlackStandIn

CHANNEL = "C111"


@pytest.fixture
def slack() -> Iterator[SlackStandIn]:
    with SlackStandIn() as standin:
        standin.add_channel("#alerts", CHANNEL)
        yield standin
        standin.assert_no_surprises()


@pytest.fixture
async def channel() -> AsyncIterator[SlackChannel]:
    made = SlackChannel()
    yield made
    await made.close()


def to(slack: SlackStandIn, **changes: Any) -> SlackSettings:
    return SlackSettings(
        **{"app_url": slack.app_url, "app_token": Secret(slack.token), "channel": "#alerts"}
        | changes
    )


def hook(slack: SlackStandIn) -> SlackSettings:
    return SlackSettings(api_url=Secret(slack.webhook_url))


async def test_a_page_has_header_state_text_labels_alerts_links_and_buttons(
    slack: SlackStandIn, channel: SlackChannel
) -> None:
    ref = await channel.send(to(slack), card())
    [message] = slack.sent(CHANNEL)
    assert ref == {"channel": CHANNEL, "ts": message.ts}
    assert [block["type"] for block in message.blocks] == [
        "header",
        "section",
        "section",
        "section",
        "section",
        "context",
        "actions",
    ]
    header, state, text, labels, alerts, links, _ = message.blocks
    assert header["text"]["text"] == "🔴 #42 HighCPU on eu1"
    assert (
        state["text"]["text"]
        == "Triggered at 14:03 UTC · 1 firing, 1 resolved\nYou are on call for platform (layer weekly)"
    )
    assert text["text"]["text"].startswith("CPU is above 90 %")
    assert labels["fields"][0]["text"] == "*severity*\ncritical"
    assert "🔥 pod=web-1\nweb-1 is hot" in alerts["text"]["text"]
    assert (
        links["elements"][0]["text"] == "<https://oncall.example.org/incidents/INC|Open in amproxy>"
    )
    assert "#42 HighCPU on eu1" in message.text


def kinds(blocks: list[dict[str, Any]]) -> list[str]:
    return [block["type"] for block in blocks]


async def test_a_picture_is_shown_above_the_links(
    slack: SlackStandIn, channel: SlackChannel
) -> None:
    await channel.send(to(slack), card(pictures=PICTURES[:1]))
    [message] = slack.sent(CHANNEL)
    assert kinds(message.blocks)[-3:] == ["image", "context", "actions"]
    assert message.blocks[-3] == {
        "type": "image",
        "image_url": PICTURES[0].url,
        "alt_text": PICTURES[0].text,
    }


async def test_a_page_whose_picture_slack_cannot_fetch_goes_out_without_it(
    slack: SlackStandIn, channel: SlackChannel
) -> None:
    slack.fail("invalid_blocks")
    ref = await channel.send(to(slack), card(pictures=PICTURES))
    [message] = slack.sent(CHANNEL)
    assert "image" not in kinds(message.blocks) and "actions" in kinds(message.blocks)
    slack.fail("invalid_blocks", 2)
    await channel.edit(to(slack), ref, resolved(pictures=PICTURES))
    [message] = slack.sent(CHANNEL)
    assert message.blocks == [] and "Resolved by Bob Birch" in message.text


async def test_a_webhooks_page_whose_picture_is_refused_goes_out_without_it(
    slack: SlackStandIn, channel: SlackChannel
) -> None:
    slack.answer(400, b"invalid_blocks")
    await channel.send(hook(slack), card(pictures=PICTURES))
    assert "image" not in kinds(slack.hooked[0]["blocks"])


async def test_each_button_has_an_action_of_its_own_and_carries_its_value(
    slack: SlackStandIn, channel: SlackChannel
) -> None:
    await channel.send(to(slack), card())
    buttons = slack.sent(CHANNEL)[0].buttons
    assert [button["text"]["text"] for button in buttons] == [
        "Acknowledge",
        "Resolve",
        "Snooze 1h",
        "Snooze 4h",
    ]
    assert [button["action_id"] for button in buttons] == [
        "acknowledge",
        "resolve",
        "snooze",
        "snooze_3",
    ]
    assert buttons[2]["value"] == "snooze:INC:1:3600"


async def test_after_the_end_the_message_says_resolved_and_by_whom_and_has_no_buttons(
    slack: SlackStandIn, channel: SlackChannel
) -> None:
    ref = await channel.send(to(slack), card())
    assert await channel.edit(to(slack), ref, resolved()) == ref
    [message] = slack.sent(CHANNEL)
    assert "Resolved by Bob Birch" in message.blocks[1]["text"]["text"]
    assert "Resolved by Bob Birch" in message.text
    assert message.buttons == []
    assert len(message.history) == 1


async def test_news_are_told_in_the_thread_once_the_message_has_changed(
    slack: SlackStandIn, channel: SlackChannel
) -> None:
    ref = await channel.send(to(slack), card())
    await channel.edit(to(slack), ref, card(news="<!here> Bob acknowledged"))
    first, news = slack.sent(CHANNEL)
    assert (news.thread_ts, news.text) == (first.ts, "&lt;!here&gt; Bob acknowledged")
    assert [call.method for call in slack.calls] == [
        "chat.postMessage",
        "chat.update",
        "chat.postMessage",
    ]


async def test_a_message_that_is_gone_is_posted_anew(
    slack: SlackStandIn, channel: SlackChannel
) -> None:
    ref = await channel.send(to(slack), card())
    slack.delete(CHANNEL, ref["ts"])
    slack.allow("message_not_found")
    new = await channel.edit(to(slack), ref, resolved(news="over"))
    assert new["ts"] != ref["ts"]
    assert [message.ts for message in slack.sent(CHANNEL)] == [new["ts"]]


async def test_a_person_is_written_to_directly_and_changed_there(
    slack: SlackStandIn, channel: SlackChannel
) -> None:
    direct = slack.add_person("U012AB3CD")
    person = channel.person(Global(channels={"slack": to(slack)}), "U012AB3CD")
    ref = await channel.send(person, card())
    assert ref["channel"] == direct
    assert await channel.edit(person, ref, resolved()) == ref


async def test_without_the_scope_direct_messages_are_opened_first(
    slack: SlackStandIn, channel: SlackChannel
) -> None:
    direct = slack.add_person("U012AB3CD", open_first=True)
    slack.allow("missing_scope")
    ref = await channel.send(to(slack, channel="U012AB3CD"), card())
    assert ref["channel"] == direct
    assert [call.method for call in slack.calls] == [
        "chat.postMessage",
        "conversations.open",
        "chat.postMessage",
    ]


async def test_refused_blocks_go_out_as_text(slack: SlackStandIn, channel: SlackChannel) -> None:
    slack.fail("invalid_blocks")
    await channel.send(to(slack), card())
    [message] = slack.sent(CHANNEL)
    assert message.blocks == []
    assert "CPU is above 90 %" in message.text


async def test_an_incoming_webhook_gets_the_message_without_buttons_and_gives_no_ref(
    slack: SlackStandIn, channel: SlackChannel
) -> None:
    assert await channel.send(hook(slack), card()) == {}
    [payload] = slack.hooked
    assert "actions" not in [block["type"] for block in payload["blocks"]]
    assert "channel" not in payload


async def test_the_name_and_icon_of_the_file_are_used(
    slack: SlackStandIn, channel: SlackChannel
) -> None:
    await channel.send(to(slack, username="pager", icon_emoji=":fire:"), card())
    assert (slack.calls[0].payload["username"], slack.calls[0].payload["icon_emoji"]) == (
        "pager",
        ":fire:",
    )


async def test_title_and_text_of_the_file_take_the_place_of_the_cards(
    slack: SlackStandIn, channel: SlackChannel
) -> None:
    await channel.send(to(slack, title="Mine", text="My text"), card())
    [message] = slack.sent(CHANNEL)
    assert message.text.startswith("🔴 #42 Mine\n")
    assert message.blocks[2]["text"]["text"] == "My text"


async def failing(channel: SlackChannel, settings: SlackSettings) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await channel.send(settings, card())
    return caught.value


@pytest.mark.parametrize(
    ("word", "permanent", "reason", "ambiguous"),
    [
        ("invalid_auth", True, "auth_error", False),
        ("token_revoked", True, "auth_error", False),
        ("missing_scope", True, "auth_error", False),
        ("channel_not_found", True, "client_error", False),
        ("is_archived", True, "client_error", False),
        ("msg_too_long", True, "client_error", False),
        ("something_new", True, "client_error", False),
        ("ratelimited", False, "rate_limited", False),
        ("internal_error", False, "server_error", True),
        ("fatal_error", False, "server_error", True),
        ("request_timeout", False, "timeout", True),
    ],
)
async def test_each_refusal_has_its_meaning(
    slack: SlackStandIn,
    channel: SlackChannel,
    *,
    word: str,
    permanent: bool,
    reason: str,
    ambiguous: bool,
) -> None:
    slack.fail(word)
    error = await failing(channel, to(slack))
    assert (error.permanent, error.reason, error.ambiguous) == (permanent, reason, ambiguous)
    assert word in str(error)


@pytest.mark.parametrize(
    ("stated", "wait"), [("30", 30.0), ("soon", None), ("-1", None), ("99999999", 3600.0)]
)
async def test_a_rate_limit_says_how_long_where_it_makes_sense(
    slack: SlackStandIn, channel: SlackChannel, stated: str, wait: float | None
) -> None:
    slack.rate_limit(retry_after=stated)
    error = await failing(channel, to(slack))
    assert (error.permanent, error.reason, error.retry_after) == (False, "rate_limited", wait)


async def test_answers_that_are_not_slacks_may_have_delivered(
    slack: SlackStandIn, channel: SlackChannel
) -> None:
    for status, body in (
        (200, b"<html>"),
        (200, b'{"ok": tr'),
        (200, b"[]"),
        (200, b'{"ok": true}'),
        (504, b""),
    ):
        slack.answer(status, body)
        error = await failing(channel, to(slack))
        assert (error.permanent, error.ambiguous) == (False, True), (status, body)
    slack.answer(503, b"")
    assert not (await failing(channel, to(slack))).ambiguous
    slack.drop()
    assert (await failing(channel, to(slack))).ambiguous


async def test_a_time_out_may_have_delivered(slack: SlackStandIn, channel: SlackChannel) -> None:
    slack.hang()
    error = await failing(channel, to(slack, timeout=0.3))
    assert (error.permanent, error.ambiguous, error.reason) == (False, True, "timeout")


@pytest.mark.parametrize(
    ("status", "body", "permanent", "reason"),
    [
        (403, b"invalid_token", True, "auth_error"),
        (404, b"no_service", True, "client_error"),
        (410, b"channel_is_archived", True, "client_error"),
        (429, b"rate_limited", False, "rate_limited"),
        (500, b"rollup_error", False, "server_error"),
        (302, b"", True, "client_error"),
        (200, b"<html>", False, "server_error"),
    ],
)
async def test_an_incoming_webhook_is_judged_by_its_status(
    slack: SlackStandIn,
    channel: SlackChannel,
    *,
    status: int,
    body: bytes,
    permanent: bool,
    reason: str,
) -> None:
    slack.answer(status, body)
    error = await failing(channel, hook(slack))
    assert (error.permanent, error.reason) == (permanent, reason)


async def test_secrets_show_neither_in_errors_nor_in_the_log(
    slack: SlackStandIn, channel: SlackChannel, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await channel.send(hook(slack), card())
    await channel.send(to(slack), card())
    slack.drop(after=False)
    slack.answer(404, slack.webhook_url.encode())
    shown = (
        caplog.text
        + str(await failing(channel, hook(slack)))
        + str(await failing(channel, hook(slack)))
    )
    assert "/services/T1" not in shown
    assert slack.token not in shown


async def test_without_channel_or_credential_nothing_is_sent(
    slack: SlackStandIn, channel: SlackChannel
) -> None:
    for settings_ in (SlackSettings(), to(slack, channel="")):
        assert (await failing(channel, settings_)).permanent
    assert slack.calls == []


@pytest.mark.parametrize("address", ["", "U1 U2"])
def test_an_address_that_is_none_is_refused(slack: SlackStandIn, address: str) -> None:
    assert fault({"slack": to(slack)}, "slack", address) == "it is no Slack member id"


def test_a_person_cannot_be_reached_by_an_incoming_webhook(slack: SlackStandIn) -> None:
    found = fault({"slack": hook(slack)}, "slack", "U012AB3CD")
    assert found == "global has no slack_app_token"


async def test_no_text_from_outside_can_ping_anybody(
    slack: SlackStandIn, channel: SlackChannel
) -> None:
    await channel.send(
        to(slack),
        card(
            title=HOSTILE, text=HOSTILE, labels={HOSTILE: HOSTILE}, why=HOSTILE, state_text=HOSTILE
        ),
    )
    sent = json.dumps(slack.calls[0].payload)
    assert "<!channel>" not in sent
    assert "<@U1>" not in sent
    assert "&lt;!channel&gt;" in sent


@pytest.fixture(scope="module")
def strict() -> Iterator[SlackStandIn]:
    with SlackStandIn() as standin:
        standin.add_channel("#alerts", CHANNEL)
        yield standin


AMPERSANDS = card(
    title="&" * 250,
    number=10**9,
    state="notice",
    state_text="&" * 200,
    why="<" * 250,
    text="&" * 4000,
    url="https://e.org/" + "&" * 290,
)  # each a text that its escapes make five times as long


@settings(max_examples=40)
@example(hostile=AMPERSANDS)
@given(hostile=hostile_cards)
async def test_whatever_alerts_say_slack_takes_it(strict: SlackStandIn, hostile: Any) -> None:
    channel = SlackChannel()
    try:
        ref = await channel.send(to(strict), hostile)
        await channel.edit(to(strict), ref, msgspec.structs.replace(hostile, state="resolved"))
    finally:
        await channel.close()
    strict.assert_no_surprises()
    assert "resolved" in strict.messages[CHANNEL, ref["ts"]].text.lower()
