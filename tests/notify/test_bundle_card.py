"""One message about many incidents, in each channel."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.config.structs import Config, Policy, Route
from amproxy.model import Alert, Incident, OutgoingMessage, Page
from amproxy.notify.alertmanager_payload import build_payload
from amproxy.notify.channels.console import ConsoleChannel
from amproxy.notify.channels.email.message import mail_subject, render_html, render_plain_text
from amproxy.notify.channels.slack.channel import SlackChannel
from amproxy.notify.channels.slack.settings import SlackSettings
from amproxy.notify.channels.telegram.channel import TelegramChannel
from amproxy.notify.channels.telegram.settings import TelegramSettings
from amproxy.notify.channels.text import entry_lines
from amproxy.notify.compose import MAX_BUNDLE_ALERTS, bundle_card
from amproxy.notify.message import Card
from amproxy.secret import Secret
from tests.support.notify.cards import HOSTILE, NOW, alert
from tests.support.standins.slack import SlackStandIn
from tests.support.standins.telegram import TelegramStandIn

BUNDLE = "abcdefghijkm"


def incident(number: int, title: str) -> Incident:
    return Incident(
        id=f"incident{number:04}",
        number=number,
        title=title,
        plan=Policy(name="platform"),
        started_at=NOW,
        firing=1,
    )


def bundle(
    titles: list[str],
    url: str = "https://oncall.example.org",
    alerts: list[list[Alert]] | None = None,
) -> Card:
    page = Page(
        id="p",
        user="ann",
        channel="telegram",
        policy="platform",
        reason="on call for platform",
        due=NOW,
    )
    paged = [(incident(number, title), page) for number, title in enumerate(titles, 1)]
    message = OutgoingMessage(id="m", kind="bundle", channel="telegram", due=NOW, bundle=BUNDLE)
    return bundle_card(
        Config(route=Route(receiver="default", key="{}")),
        message,
        list(reversed(paged)),
        alerts or [[] for _ in titles],
        now=NOW,
        external_url=url,
    )


@pytest.fixture
def telegram() -> Iterator[TelegramStandIn]:
    with TelegramStandIn() as standin:
        standin.add_chat(111)
        yield standin
        standin.assert_no_surprises()


@pytest.fixture
def slack() -> Iterator[SlackStandIn]:
    with SlackStandIn() as standin:
        standin.add_channel("C1")
        yield standin
        standin.assert_no_surprises()


async def told_telegram(telegram: TelegramStandIn, card: Card) -> Any:
    channel = TelegramChannel()
    wanted = TelegramSettings(api_url=telegram.url, bot_token=Secret(telegram.token), chat_id=111)
    ref = await channel.send(wanted, card)
    await channel.close()
    return telegram.messages[111, int(ref["message_id"])]


async def told_slack(slack: SlackStandIn, card: Card) -> Any:
    channel = SlackChannel()
    ref = await channel.send(
        SlackSettings(app_url=slack.app_url, app_token=Secret(slack.token), channel="C1"), card
    )
    await channel.close()
    return slack.messages[ref["channel"], ref["ts"]]


async def test_telegram_names_sixty_incidents_in_order_however_long_their_titles(
    telegram: TelegramStandIn,
) -> None:
    titles = [
        f"Disk{number} " + "is full " * 30 if number % 2 else f"Disk{number}"
        for number in range(1, 61)
    ]
    message = await told_telegram(telegram, bundle(titles))
    assert message.text.startswith("🔴 60 incidents of policy platform\n")
    lines = [line for line in message.text.splitlines() if line.startswith("#")]
    assert [line.split()[0] for line in lines] == [f"#{number}" for number in range(1, 61)]
    assert all(f"Disk{number}" in line.split() for number, line in enumerate(lines, 1))
    assert (
        next(entity.url for entity in message.entities if entity.kind == "a")
        == "https://oncall.example.org/incidents/incident0001"
    )
    assert message.buttons == ["Acknowledge all", "Open"]


async def test_slack_names_sixty_incidents_with_their_links(slack: SlackStandIn) -> None:
    message = await told_slack(
        slack, bundle([f"Disk{number} & " + "<full> " * 30 for number in range(1, 61)])
    )
    shown = "\n".join(
        block["text"]["text"]
        for block in message.blocks
        if block["type"] == "section" and "text" in block
    )
    assert all(
        f"/incidents/incident{number:04}|#{number}> Disk{number} " in shown
        for number in range(1, 61)
    )
    assert [button["text"]["text"] for button in message.buttons] == ["Acknowledge all"]
    assert message.buttons[0]["value"] == f"acknowledge-all:{BUNDLE}"


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    titles=st.lists(
        st.text(max_size=300) | st.sampled_from([HOSTILE, "&" * 300, "<" * 300, "x" * 5000, ""]),
        min_size=2,
        max_size=60,
    ),
    url=st.sampled_from(
        [
            "http://localhost:9095",
            "https://e.org",
            "https://e.org/" + "&" * 800,
            "https://e.org/" + "a" * 1900,
        ]
    ),
)
async def test_whatever_titles_say_both_chats_take_the_message(
    telegram: TelegramStandIn, slack: SlackStandIn, titles: list[str], url: str
) -> None:
    message = await told_telegram(telegram, bundle(titles, url))
    assert all(f"#{number} " in message.text for number in range(1, len(titles) + 1))
    await told_slack(slack, bundle(titles, url))


@given(st.lists(st.text(max_size=200), min_size=1, max_size=80), st.integers(60, 6000))
def test_names_keep_to_the_room_and_count_what_is_left_out(titles: list[str], room: int) -> None:
    named = entry_lines(bundle(titles), room)
    assert sum(len(one.text) + 1 for one in named) <= room
    left = int(named[-1].title.split()[2]) if not named[-1].number else 0
    assert [one.number for one in named if one.number] == [
        f"#{number}" for number in range(1, len(titles) - left + 1)
    ]


def test_a_mail_lists_all_with_links_and_leads_to_the_list() -> None:
    card = bundle([f"Disk{number} <full>" for number in range(1, 61)])
    assert mail_subject(card) == "[triggered] 60 incidents of policy platform"
    assert "#60 Disk60 <full>" in render_plain_text(
        card
    ) and "Open in amproxy: https://oncall.example.org/incidents\n" in render_plain_text(card)
    assert (
        '<a href="https://oncall.example.org/incidents/incident0060">#60 Disk60 &lt;full&gt;</a>'
        in render_html(card)
    )


async def test_the_console_lists_all() -> None:
    printed: list[str] = []
    await ConsoleChannel(printed.append, colours=False).send(
        "here", bundle([f"Disk{number}" for number in range(1, 61)])
    )
    assert all(f"│ #{number} Disk{number}\n" in printed[0] for number in range(1, 61))


def test_a_webhook_gets_the_alerts_of_all_and_says_how_many_are_left_out() -> None:
    alerts = [[alert(f"web-{number}-{one}") for one in range(30)] for number in range(60)]
    card = bundle([f"Disk{number}" for number in range(1, 61)], alerts=alerts)
    said = json.loads(build_payload(card))
    assert (
        said["version"] == "4"
        and said["status"] == "firing"
        and len(said["alerts"]) <= MAX_BUNDLE_ALERTS
    )
    assert {one["labels"]["pod"].split("-")[1] for one in said["alerts"]} == {
        str(number) for number in range(60)
    }
    assert [one["number"] for one in said["incidents"]] == list(range(1, 61))
    assert "incident" not in said
