"""Pictures of metrics with real servers, and beside pages that wait for none of them."""

from __future__ import annotations

import itertools
import json
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.acceptance.moments import rfc3339
from tests.support.server.reached import Client
from tests.support.servers import Server, Servers, needs
from tests.support.standins.metrics import MetricsStandIn
from tests.support.standins.slack import SlackStandIn
from tests.support.standins.smtp import Mail, SmtpServer
from tests.support.standins.telegram import Message, TelegramStandIn
from tests.support.waiting import until

PNG = b"\x89PNG"
RULES = """
groups:
  - name: test
    rules: [{alert: Load, expr: 'max by (instance) (load) > 5'}]
"""
FILE = """
global: {{resolve_timeout: 1h, {global_}}}
route: {{receiver: r, group_by: [alertname], group_wait: 0s}}
receivers: [{{name: r, oncall_configs: [{{escalation_policy: p}}]}}]
escalation_policies: [{{name: p, steps: [{{notify: {{users: [alice]}}}}]}}]
users: [{{name: alice, contacts: {{{contacts}}}, notification_rules: {{default: [{{notify: [{rules}]}}]}}}}]
metrics: {{url: "{metrics}", {more}}}
"""


def file(
    metrics: str, *, contacts: str = "console: here", global_: str = "", more: str = ""
) -> str:
    rules = ", ".join(f"{one.partition(':')[0].strip()}" for one in contacts.split(","))
    return FILE.format(metrics=metrics, contacts=contacts, rules=rules, global_=global_, more=more)


class Chats:
    """Telegram, Slack and a mail server, and one person with a contact on each."""

    def __init__(self) -> None:
        self.telegram, self.slack, self.mail = TelegramStandIn(), SlackStandIn(), SmtpServer()

    def __enter__(self) -> Chats:
        for one in (self.telegram, self.slack, self.mail):
            one.__enter__()
        self.telegram.add_chat(111)
        self.direct = self.slack.add_person("U222")
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self.telegram, self.slack, self.mail):
            one.__exit__(None, None, None)

    def file(self, metrics: str) -> str:
        global_ = (
            f"telegram_api_url: {self.telegram.url}, telegram_bot_token: '{self.telegram.token}', "
            f"slack_app_url: {self.slack.app_url}, slack_app_token: '{self.slack.token}', "
            f"smtp_smarthost: '{self.mail.smarthost}', smtp_from: a@example.org, "
            "smtp_require_tls: false"
        )
        contacts = "telegram: 111, slack: U222, email: alice@example.org"
        return file(metrics, contacts=contacts, global_=global_)


@pytest.fixture
def chats() -> Iterator[Chats]:
    with Chats() as made:
        yield made


def photos(chats: Chats) -> list[Message]:
    return [one for one in chats.telegram.sent(111) if one.photo]


def pictured(chats: Chats) -> list[Mail]:
    """The mails with a picture."""
    return [mail for mail in chats.mail.mails if "cid:" in mail.part("html")]


def push(amproxy: Server, name: str, **more: Any) -> None:
    alert = {
        "labels": {"alertname": name, "instance": "web-1"},
        "startsAt": rfc3339(time.time() - 600),
        "generatorURL": "http://prom.example.org/graph?g0.expr=load+%3E+0.5",
    }
    assert Client(amproxy.url).ask("/api/v2/alerts", [alert | more]).status == 200


def test_a_picture_follows_the_text_and_a_hanging_metrics_server_delays_none(
    servers: Servers, chats: Chats
) -> None:
    with MetricsStandIn() as metrics:
        amproxy = servers.amproxy(chats.file(metrics.url))
        numbers = itertools.count()

        def all_have_one() -> bool:
            """Tell of another incident; on a busy machine a picture may come too late for it."""
            name = f"Load{next(numbers)}"
            push(amproxy, name)
            until(lambda: any(name in mail.part("html") for mail in chats.mail.mails))
            return bool(photos(chats) and chats.slack.shared and pictured(chats))

        until(all_have_one)
        photo = photos(chats)[0]
        assert (photo.silent, photo.photo[:4]) == (True, PNG)
        assert "Load" in chats.telegram.messages[111, photo.reply_to].text
        shared = chats.slack.shared[0]
        assert "Load" in chats.slack.messages[chats.direct, shared["thread_ts"]].text
        assert chats.slack.files[shared["files"][0]["id"]].startswith(PNG)
        mail = pictured(chats)[0]
        [picture] = [part for part in mail.message.walk() if part.get_content_type() == "image/png"]
        content = picture.get_payload(decode=True)
        assert isinstance(content, bytes) and content.startswith(PNG)
        assert f"cid:{picture['Content-ID'][1:-1]}" in mail.part("html")

        metrics.hangs = True
        push(amproxy, "Other")
        until(lambda: any("Other" in one.text for one in chats.telegram.sent(111)))
        until(lambda: any("Other" in one.text for one in chats.slack.sent(chats.direct)))
        [mail] = until(lambda: [one for one in chats.mail.mails if "Other" in one.part("html")])
        assert "cid:" not in mail.part("html")
        until(lambda: "no picture of the metric" in amproxy.stderr)
        figures = Client(amproxy.url).ask("/metrics").text
        for outcome in ("late", "drawn"):
            assert f'amproxy_plots_total{{outcome="{outcome}"}}' in figures
    chats.telegram.assert_no_surprises()
    chats.slack.assert_no_surprises()


def svg_of(amproxy: Server) -> str:
    """The picture of the only incident, once it has a line."""
    client = Client(amproxy.url)
    found = until(lambda: json.loads(client.ask("/api/v1/incidents").text)["incidents"])
    path = f"/incidents/{found[0]['id']}/plot.svg"
    page = client.ask(f"/incidents/{found[0]['id']}").text
    assert path in page

    def drawn() -> str:
        # a server of a busy machine may take longer than a picture may
        svg = client.ask(path).text
        return svg if 'class="series0"' in svg else ""

    return until(drawn)


def write(metrics: Server) -> None:
    """Ten minutes of a load that rises above its limit."""
    now = int(time.time())
    lines = [
        f'load{{instance="web-1",core="{core}"}} {3 + 6 * n / 60} {(now - 600 + n * 10) * 1000}'
        for n in range(61)
        for core in "ab"
    ]
    body = "\n".join(lines).encode()
    address = f"{metrics.url}/api/v1/import/prometheus"
    urllib.request.urlopen(urllib.request.Request(address, data=body), timeout=60).close()
    urllib.request.urlopen(f"{metrics.url}/internal/force_flush", timeout=60).close()


@needs("vmalert", "victoria-metrics")
def test_what_vmalert_measures_is_drawn_from_victoria_metrics(servers: Servers) -> None:
    metrics = servers.victoria_metrics()
    write(metrics)
    amproxy = servers.amproxy(file(metrics.url))
    vmalert = servers.vmalert(RULES, metrics.url, [f"{amproxy.url}"], ["-rule.resendDelay=1s"])
    assert amproxy.config
    more = f'vmalert_url: "{vmalert.url}"'
    amproxy.config.write_text(file(metrics.url, more=more))
    assert Client(amproxy.url).ask("/-/reload", {}).status == 200
    svg = svg_of(amproxy)
    assert "max by (instance) (load)" in svg
    assert "&gt; 5" in svg


@needs("prometheus")
def test_what_prometheus_measures_is_drawn_from_prometheus(servers: Servers, tmp_path: Any) -> None:
    amproxy = servers.amproxy(file("http://127.0.0.1:9"))
    rules = tmp_path / "rules.yml"
    rules.write_text(RULES.replace("max by (instance) (load) > 5", "vector(7) > 5"))
    target = urllib.parse.urlsplit(amproxy.url).netloc
    prometheus = servers.prometheus(
        f"global: {{evaluation_interval: 1s}}\nrule_files: ['{rules}']\n"
        f"alerting: {{alertmanagers: [{{static_configs: [{{targets: ['{target}']}}]}}]}}\n",
        args=["--rules.alert.resend-delay=1s"],
    )
    assert amproxy.config
    amproxy.config.write_text(file(prometheus.url))
    assert Client(amproxy.url).ask("/-/reload", {}).status == 200
    svg = svg_of(amproxy)
    assert "vector(7)" in svg
    assert "&gt; 5" in svg
