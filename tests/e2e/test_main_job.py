"""The main job on real input: metric → vmalert → (Alertmanager →) amproxy → Telegram, at both doors."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable

import pytest

from tests.support.e2e.stories import ALICE, BOB, ROUTES, get, metric, text
from tests.support.servers import Server, Servers, needs
from tests.support.standins.telegram import Message, TelegramStandIn
from tests.support.waiting import until

RULES = """
groups:
  - name: story
    interval: 1s
    rules:
      - alert: DiskFull
        expr: disk_used_percent > 90
        labels: {severity: critical}
        annotations: {summary: "Disk of {{ $labels.host }} is full"}
"""

ALERTMANAGER = """
route: {{receiver: amproxy, group_by: [alertname], group_wait: 100ms, group_interval: 1s, repeat_interval: 1h}}
receivers:
  - name: amproxy
    webhook_configs: [{{url: '{url}/webhook/alertmanager', send_resolved: true}}]
"""


def write(database: Server, value: float) -> None:
    body = f'disk_used_percent{{host="db1"}} {value}\n'.encode()
    urllib.request.urlopen(f"{database.url}/api/v1/import/prometheus", body, timeout=60).close()


def raw_door(servers: Servers, amproxy: Server) -> str:
    """vmalert pushes straight to POST /api/v2/alerts."""
    return amproxy.url


def webhook_door(servers: Servers, amproxy: Server) -> str:
    """vmalert pushes to Alertmanager, which calls amproxy's webhook."""
    return servers.alertmanager(ALERTMANAGER.format(url=amproxy.url)).url


@needs("victoria-metrics", "vmalert", "alertmanager")
@pytest.mark.parametrize("door", [raw_door, webhook_door])
def test_from_a_metric_to_two_phones_and_back(
    servers: Servers, door: Callable[[Servers, Server], str]
) -> None:
    with TelegramStandIn() as telegram:
        telegram.add_chat(ALICE)
        telegram.add_chat(BOB)
        amproxy = servers.amproxy(
            ROUTES.format(token=telegram.token, telegram=telegram.url, wait="8s")
        )
        database = servers.victoria_metrics(
            args=["-search.latencyOffset=0s", "-search.disableCache"]
        )
        write(database, 97)
        servers.vmalert(RULES, database.url, [door(servers, amproxy)], ["-rule.resendDelay=1s"])

        # the person on call is paged, does not answer, and the next one is
        alice = until(lambda: telegram.sent(ALICE), why="nobody was paged")[0]
        assert (
            "DiskFull" in alice.text and "Disk of db1 is full" in alice.text and "#1" in alice.text
        )
        assert [button.split()[0] for button in alice.buttons][:3] == [
            "Acknowledge",
            "Resolve",
            "Snooze",
        ]
        assert not telegram.sent(BOB)
        bob = until(lambda: telegram.sent(BOB), why="nobody else was paged")[0]

        # who presses Acknowledge; escalation stops and both messages change in place
        telegram.press(BOB, bob.message_id, "Acknowledge", BOB)
        both = (ALICE, alice.message_id), (BOB, bob.message_id)
        until(
            lambda: all("Acknowledged by Bob Birch" in telegram.messages[key].text for key in both)
        )
        until(lambda: telegram.answers)
        [incident] = get(f"{amproxy.url}/api/v1/incidents")["incidents"]
        assert (incident["state"], incident["acknowledged_by"]) == ("acknowledged", "bob")
        assert len(telegram.sent(ALICE)) == len(telegram.sent(BOB)) == 1

        # the metric recovers, the incident resolves and says so
        write(database, 12)
        until(lambda: all(_over(telegram.messages[key]) for key in both), seconds=90)
        assert not get(f"{amproxy.url}/api/v1/incidents")["incidents"]

        story = get(f"{amproxy.url}/api/v1/incidents/{incident['id']}")
        said = " ".join(entry["text"] for entry in story["timeline"])
        for part in (
            "first notification",
            "paging Alice Ash",
            "paging Bob Birch",
            "Acknowledged by Bob Birch",
            "Resolved",
        ):
            assert part in said
        assert [(page["user"], page["state"]) for page in story["pages"]] == [
            ("alice", "sent"),
            ("bob", "sent"),
        ]
        page = text(f"{amproxy.url}/metrics")
        assert (
            metric(page, "amproxy_pages_total", channel="telegram", outcome="sent", policy="ladder")
            == 2
        )
        assert metric(page, "amproxy_incidents", policy="ladder", state="resolved") == 1
        assert metric(page, "amproxy_first_page_delay_seconds_count", channel="telegram") == 1
        assert metric(page, "amproxy_on_call", schedule="primary", user="alice") == 1
        telegram.assert_no_surprises()


def _over(message: Message) -> bool:
    return "Resolved" in message.text and not [
        button for button in message.buttons if button != "Open"
    ]
