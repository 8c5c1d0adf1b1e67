"""Web Push on the whole road: a phone subscribes, is paged, answers by its buttons, and goes away."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from tests.support.e2e.stories import get, post
from tests.support.servers import Server, Servers
from tests.support.standins.certificate import Certificate
from tests.support.standins.push import PushStandIn
from tests.support.standins.webhook import WebhookServer
from tests.support.waiting import until

ROUTES = """
global:
  http_config: {{tls_config: {{ca_file: '{ca}'}}}}
  contact_networks: [127.0.0.0/8, '::1/128']
route: {{receiver: on-call, group_by: [alertname], group_wait: 0s, group_interval: 1s}}
receivers:
  - name: on-call
    oncall_configs: [{{escalation_policy: ladder}}]
users:
  - name: alice
    contacts: {{webhook: '{hook}'}}
    notification_rules: {{default: [{{notify: push}}, {{wait: 1h}}, {{notify: webhook}}]}}
  - name: bob
    contacts: {{webhook: '{hook}'}}
escalation_policies:
  - name: ladder
    steps: [{{notify: {{users: [alice]}}}}]
"""


def submit(server: Server, path: str, **fields: str) -> str:
    """What a form of the page leads to, for alice, who is chosen by cookie."""
    data = urllib.parse.urlencode(fields).encode() if fields else None
    headers = {"Cookie": "amproxy_user=alice", "User-Agent": "Mozilla/5.0 (Android) Firefox/140.0"}
    request = urllib.request.Request(f"{server.url}{path}", data, headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return str(answer.read().decode())


def push_state(server: Server) -> dict[str, Any]:
    channels = get(f"{server.url}/api/v1/users/alice")["channels"]
    return next(dict(one) for one in channels if one["channel"] == "push")


def fire(server: Server, name: str) -> None:
    labels = {"alertname": name, "severity": "critical"}
    body = {"groupKey": name, "groupLabels": {"alertname": name}}
    body |= {"alerts": [{"status": "firing", "labels": labels}]}  # type: ignore[dict-item]
    assert post(f"{server.url}/webhook/am", body) == 200


def test_a_phone_is_paged_answers_and_goes_away(servers: Servers, tmp_path: Path) -> None:
    certificate = Certificate(tmp_path)
    with PushStandIn(certificate.context()) as service, WebhookServer() as hook:
        amproxy = servers.amproxy(
            ROUTES.format(ca=certificate.file, hook=hook.url), data_dir=tmp_path / "data"
        )
        assert push_state(amproxy)["state"] == "undeliverable"

        [key] = re.findall(r'data-key="([^"]+)"', submit(amproxy, "/me"))
        phone = service.phone(key)
        assert "Firefox on Android" in submit(amproxy, "/me/push", **phone.fields)
        assert push_state(amproxy)["state"] == "untried"
        assert phone.endpoint not in submit(amproxy, "/me")

        fire(amproxy, "Disk")
        [paged] = until(lambda: phone.pushed)
        actions = {one["action"]: one["url"] for one in paged.message["actions"]}
        assert set(actions) == {"acknowledge", "snooze"} and paged.message["tag"]
        # as the worker does it: no session, the signed link names the person
        assert post(actions["acknowledge"], None) in (200, 303)
        told = until(lambda: phone.pushed[1:])[0]
        assert told.message["quiet"] and told.message["tag"] == paged.message["tag"]
        incident = get(f"{amproxy.url}/api/v1/incidents")["incidents"][0]
        assert (incident["state"], incident["acknowledged_by"]) == ("acknowledged", "alice")
        assert push_state(amproxy)["state"] == "works"

        running = ("check", "--config", str(amproxy.config), "--json", "--running")
        done = subprocess.run([sys.executable, "-m", "amproxy", *running, str(tmp_path / "data")], check=True, capture_output=True)  # fmt: skip
        assert json.loads(done.stdout)["warnings"] == []

        # the browser gives the subscription up: the next contact gets the page and the news
        service.allow("Unregistered")
        phone.ended = True
        fire(amproxy, "Network")
        texts = until(lambda: found if len(found := [json.dumps(r.payload) for r in hook.requests]) > 1 else None)  # fmt: skip
        assert any("Network" in text for text in texts)
        assert any("Push is over on Firefox on Android" in text for text in texts)
        assert "Over since" in submit(amproxy, "/me")
        assert push_state(amproxy)["state"] == "undeliverable"
        service.assert_no_surprises()
