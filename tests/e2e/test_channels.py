"""Slack, email and webhook on the whole road: pages, answers and updates, over real HTTP and SMTP."""

from __future__ import annotations

import asyncio
import re
import time
import urllib.request

from tests.support.e2e.stories import get, post
from tests.support.servers import Servers
from tests.support.standins.slack import SlackStandIn
from tests.support.standins.smtp import SmtpServer
from tests.support.standins.webhook import Answer, Request, WebhookServer
from tests.support.waiting import until

ROUTES = """
global:
  slack_app_token: {token}
  slack_app_url: {slack}
  slack_signing_secret: {secret}
  smtp_smarthost: {smarthost}
  smtp_from: amproxy@example.org
  smtp_require_tls: false
route: {{receiver: on-call, group_by: [alertname], group_wait: 0s, group_interval: 1s}}
receivers:
  - name: on-call
    webhook_configs: [{{url: '{hook}'}}]
    oncall_configs: [{{escalation_policy: ladder, title: '{{{{ group_labels.alertname }}}} wants you'}}]
  - name: channel
    slack_configs: [{{channel: '#alerts'}}]
users:
  - name: alice
    full_name: Alice Ash
    contacts: {{slack: U1, email: alice@example.org}}
    notification_rules:
      default: [{{notify: [slack, email]}}]
escalation_policies:
  - name: ladder
    steps:
      - notify: {{receiver: channel}}
      - notify: {{users: [alice]}}
      - wait: 3s
      - notify: {{receiver: channel}}
      - wait: 5m
"""


def alert(name: str, status: str = "firing") -> dict[str, object]:
    labels = {"alertname": name, "severity": "critical", "note": "<!channel> & <b>"}
    return {
        "groupKey": name,
        "groupLabels": {"alertname": name},
        "alerts": [{"status": status, "labels": labels}],
    }


def test_slack_email_and_webhook_tell_the_same_story(servers: Servers) -> None:
    with SlackStandIn() as slack, SmtpServer() as smtp, WebhookServer() as hook:
        slack.add_channel("#alerts", "C1")
        direct = slack.add_person("U1")
        routes = ROUTES.format(
            token=slack.token,
            secret=slack.secret,
            slack=slack.app_url,
            smarthost=smtp.smarthost,
            hook=hook.url,
        )
        amproxy = servers.amproxy(routes)

        # one message in the channel, one to the person, one mail, and Alertmanager's own payload
        assert post(f"{amproxy.url}/webhook/am", alert("Disk")) == 200
        [shown] = until(lambda: slack.sent("C1"))
        [personal] = until(lambda: slack.sent(direct))
        # on a slow machine a repeat has come by then
        mail, told = until(lambda: smtp.mails)[0], until(lambda: hook.requests)[0]
        assert "Disk wants you" in shown.text and "<!channel>" not in str(shown.blocks)
        assert (told.payload["status"], told.payload["groupLabels"]) == (
            "firing",
            {"alertname": "Disk"},
        )
        assert "#1" in mail.header("Subject") and "Disk wants you" in mail.header("Subject")

        # the second time the channel hears of it in the message's thread
        until(lambda: [reply for reply in slack.sent("C1") if reply.thread_ts == shown.ts])
        assert [message.ts for message in slack.sent("C1") if not message.thread_ts] == [shown.ts]

        # a scanner follows the link in the mail: nothing happens; the button of the page acts
        link = re.search(r"http://[^\s]+/act/[^\s]+", mail.part("plain"))
        assert link is not None
        page = urllib.request.urlopen(link.group(), timeout=60).read().decode()
        assert "Acknowledge" in page
        assert get(f"{amproxy.url}/api/v1/incidents")["incidents"][0]["state"] == "triggered"
        urllib.request.urlopen(
            urllib.request.Request(link.group(), b"", method="POST"), timeout=60
        ).close()
        assert get(f"{amproxy.url}/api/v1/incidents")["incidents"][0]["acknowledged_by"] == "alice"
        until(lambda: "Acknowledged by Alice Ash" in str(slack.messages["C1", shown.ts].blocks))
        until(
            lambda: "Acknowledged by Alice Ash" in str(slack.messages[direct, personal.ts].blocks)
        )

        # a button in Slack, pressed by somebody the file knows
        answer = asyncio.run(
            slack.press(f"{amproxy.url}/slack/interactivity", "C1", shown.ts, "Resolve", "U1")
        )
        assert answer.status_code == 200
        until(lambda: not get(f"{amproxy.url}/api/v1/incidents")["incidents"])
        until(lambda: "Resolved by Alice Ash" in str(slack.messages["C1", shown.ts].blocks))

        # the source's own end reaches the webhook
        assert post(f"{amproxy.url}/webhook/am", alert("Disk", "resolved")) == 200
        until(
            lambda: [
                request for request in hook.requests if request.payload["status"] == "resolved"
            ]
        )
        slack.assert_no_surprises()
        smtp.assert_no_surprises()
        hook.assert_no_surprises()


def test_an_unsigned_press_is_refused(servers: Servers) -> None:
    with SlackStandIn() as slack, SmtpServer() as smtp, WebhookServer() as hook:
        routes = ROUTES.format(
            token=slack.token,
            secret="another",
            slack=slack.app_url,
            smarthost=smtp.smarthost,
            hook=hook.url,
        )
        slack.add_channel("#alerts", "C1")
        slack.add_person("U1")
        amproxy = servers.amproxy(routes)
        post(f"{amproxy.url}/webhook/am", alert("Disk"))
        [shown] = until(lambda: slack.sent("C1"))
        answer = asyncio.run(
            slack.press(f"{amproxy.url}/slack/interactivity", "C1", shown.ts, "Resolve", "U1")
        )
        assert answer.status_code == 401
        assert get(f"{amproxy.url}/api/v1/incidents")["incidents"][0]["state"] == "triggered"


class SlowWebhookServer(WebhookServer):
    """Takes four ticks of the group below for its first answer."""

    def answer(self, request: Request) -> Answer:
        if request is self.requests[0]:
            self._ended.wait(4)
        return super().answer(request)


def test_a_slow_webhook_gets_nothing_twice_and_keeps_nobody_from_hearing_the_news(
    servers: Servers,
) -> None:
    routes = """
route: {{receiver: on-call, group_by: [alertname], group_wait: 0s, group_interval: 1s}}
receivers:
  - name: on-call
    webhook_configs: [{{url: '{hook}'}}]
    oncall_configs: [{{escalation_policy: ladder}}]
users: [{{name: alice, contacts: {{console: alice}}}}]
escalation_policies: [{{name: ladder, steps: [{{notify: {{users: [alice]}}}}]}}]
"""
    with SlowWebhookServer() as hook:
        amproxy = servers.amproxy(routes.format(hook=hook.url))
        raw = f"{amproxy.url}/api/v2/alerts"
        post(raw, [{"labels": {"alertname": "Disk", "host": "a"}}])
        until(lambda: hook.requests)
        post(raw, [{"labels": {"alertname": "Disk", "host": "b"}}])
        until(
            lambda: get(f"{amproxy.url}/api/v1/incidents")["incidents"][0]["alerts"]["firing"] == 2
        )
        assert len(hook.requests) == 1, "the incident waits for no webhook"
        until(lambda: len(hook.requests) == 2)
        time.sleep(2.5)  # two ticks more
        named = [
            sorted(one["labels"]["host"] for one in request.payload["alerts"])
            for request in hook.requests
        ]
        assert named == [["a"], ["a", "b"]]
        hook.assert_no_surprises()
