"""A group of alerts in Slack: its first message, and what becomes of that when there is news."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from amproxy.errors import DeliveryError
from amproxy.notify.channels.slack.channel import SlackChannel
from amproxy.notify.channels.slack.settings import SlackSettings
from amproxy.secret import Secret
from tests.support.notify.groups import group_card
from tests.support.standins.slack import Message, SlackStandIn

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


def to(slack: SlackStandIn, title: str, **changes: Any) -> SlackSettings:
    values = {"app_url": slack.app_url, "app_token": Secret(slack.token), "channel": "#alerts"}
    return SlackSettings(**values | {"title": title, "fallback": title} | changes)


def title(message: Message) -> str:
    return str(message.attachments[0]["title"])


async def test_an_update_changes_the_first_message_and_posts_none(
    slack: SlackStandIn, channel: SlackChannel
) -> None:
    ref = await channel.send(to(slack, "one", update_message=True), group_card())
    assert ref == {"channel": CHANNEL, "ts": slack.sent(CHANNEL)[0].ts}
    again = await channel.edit(to(slack, "two", update_message=True), ref, group_card())
    assert again == ref
    assert [title(message) for message in slack.sent(CHANNEL)] == ["two"]


async def test_updates_to_the_thread_leave_the_first_message_and_reply_to_it(
    slack: SlackStandIn, channel: SlackChannel
) -> None:
    ref = await channel.send(to(slack, "one", post_updates_to_thread=True), group_card())
    for news in ("two", "three"):
        settings = to(slack, news, post_updates_to_thread=True)
        # the ref stays that of the first message, or replies would hang on replies
        assert await channel.edit(settings, ref, group_card(over=True)) == ref
    shown = [(title(message), message.thread_ts) for message in slack.sent(CHANNEL)]
    assert shown == [("one", ""), ("two", ref["ts"]), ("three", ref["ts"])]


async def test_both_change_the_first_message_and_reply_to_it(
    slack: SlackStandIn, channel: SlackChannel
) -> None:
    both = {"update_message": True, "post_updates_to_thread": True}
    ref = await channel.send(to(slack, "one", **both), group_card())
    await channel.edit(to(slack, "two", **both), ref, group_card())
    shown = [(title(message), message.thread_ts) for message in slack.sent(CHANNEL)]
    assert shown == [("two", ""), ("two", ref["ts"])]


@pytest.mark.parametrize(
    ("key", "error"),
    [("update_message", "message_not_found"), ("post_updates_to_thread", "thread_not_found")],
)
async def test_a_first_message_that_somebody_deleted_is_posted_anew(
    slack: SlackStandIn, channel: SlackChannel, key: str, error: str
) -> None:
    ref = await channel.send(to(slack, "one", **{key: True}), group_card())
    slack.delete(CHANNEL, ref["ts"])
    slack.allow(error)
    again = await channel.edit(to(slack, "two", **{key: True}), ref, group_card())
    [message] = slack.sent(CHANNEL)
    assert (title(message), message.thread_ts) == ("two", "")
    assert again == {"channel": CHANNEL, "ts": message.ts}


async def test_any_other_refusal_of_an_update_is_an_error(
    slack: SlackStandIn, channel: SlackChannel
) -> None:
    ref = await channel.send(to(slack, "one", update_message=True), group_card())
    slack.fail("is_archived")
    with pytest.raises(DeliveryError, match="is_archived") as caught:
        await channel.edit(to(slack, "two", update_message=True), ref, group_card())
    assert caught.value.permanent
