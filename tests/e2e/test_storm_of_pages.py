"""200 incidents at once, and kill -9 in between: a handful of messages, every incident named, one press answers for them."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.support.e2e.stories import ALICE, ROUTES, get, metric, text
from tests.support.servers import Server, Servers
from tests.support.standins.telegram import Message, TelegramStandIn
from tests.support.waiting import until

pytestmark = pytest.mark.clock

INCIDENTS = 200
MORE_THAN = 5
KILLS = 2


def routes(telegram: TelegramStandIn, within: str) -> str:
    storm = f"  - name: ladder\n    storm: {{more_than: {MORE_THAN}, within: {within}}}\n"
    return ROUTES.format(token=telegram.token, telegram=telegram.url, wait="10m").replace(
        "  - name: ladder\n", storm
    )


def push(amproxy: Server) -> None:
    alerts = [{"labels": {"alertname": f"Storm{number}"}} for number in range(INCIDENTS)]
    request = urllib.request.Request(
        f"{amproxy.url}/api/v2/alerts",
        json.dumps(alerts).encode(),
        {"Content-Type": "application/json"},
    )
    urllib.request.urlopen(request, timeout=60).close()


def named(messages: list[Message]) -> list[str]:
    return [title for message in messages for title in re.findall(r"Storm\d+", message.text)]


def bundles(messages: list[Message]) -> list[Message]:
    return [message for message in messages if "incidents of policy ladder" in message.text]


def incidents(amproxy: Server, state: str) -> list[dict[str, Any]]:
    return list(get(f"{amproxy.url}/api/v1/incidents?limit=500&state={state}")["incidents"])


def test_a_storm_is_a_handful_of_messages_and_one_press_answers_for_them(servers: Servers) -> None:
    with TelegramStandIn() as telegram:
        telegram.add_chat(ALICE)
        # Long enough for a busy machine to take in all of them, so that they are bundled once.
        amproxy = servers.amproxy(routes(telegram, within="8s"))
        push(amproxy)
        until(lambda: len(named(telegram.sent(ALICE))) == INCIDENTS, why="an incident was not told")
        messages = telegram.sent(ALICE)
        assert sorted(named(messages)) == sorted(f"Storm{number}" for number in range(INCIDENTS))
        assert len(messages) <= MORE_THAN + 8
        many = bundles(messages)
        telegram.press(ALICE, many[-1].message_id, "Acknowledge all", ALICE)
        until(lambda: telegram.answers, why="the press was not answered")
        assert telegram.answers[0]["text"] == f"{INCIDENTS - MORE_THAN} acknowledged."
        assert len(incidents(amproxy, "acknowledged")) == INCIDENTS - MORE_THAN
        page = text(f"{amproxy.url}/metrics")
        assert metric(page, "amproxy_pages_total", channel="telegram", outcome="sent") == INCIDENTS
        assert (
            metric(page, "amproxy_pages_bundled_total", channel="telegram", policy="ladder")
            == INCIDENTS - MORE_THAN
        )
        telegram.assert_no_surprises()


def test_kill_9_while_pages_are_held_and_bundled_loses_none(
    servers: Servers, tmp_path: Path
) -> None:
    with TelegramStandIn() as telegram:
        telegram.add_chat(ALICE)
        amproxy = servers.amproxy(routes(telegram, within="4s"), data_dir=tmp_path / "data")
        push(amproxy)
        until(lambda: len(telegram.sent(ALICE)) >= MORE_THAN, why="nobody was paged")
        for _ in range(
            KILLS
        ):  # while pages are held, and about the moment at which they become bundles
            amproxy.kill()
            amproxy.start()
            time.sleep(0.7)
        until(
            lambda: (
                set(named(telegram.sent(ALICE)))
                == {f"Storm{number}" for number in range(INCIDENTS)}
            ),
            why="a page was lost",
        )
        told = named(telegram.sent(ALICE))
        assert len(told) - INCIDENTS <= KILLS * 60, (
            "more than what was under way at the kills came twice"
        )
        until(
            lambda: (
                metric(text(f"{amproxy.url}/metrics"), "amproxy_outbox_depth", channel="telegram")
                == 0
            ),
            why="a message is left",
        )
