"""A night in the log of a real service: each transition and delivery is found by its incident's number, in both formats."""

from __future__ import annotations

import json
import os
import re
import signal
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support.e2e.stories import get, post, ready
from tests.support.log_lines import log_lines
from tests.support.servers import Server, Servers
from tests.support.standins.webhook import Answer, Request, WebhookServer
from tests.support.waiting import until

TOKEN, BASIC = "tok-vmalert-4711", "basic-pass-0815"
HOSTILE = 'evil"\nlevel=info msg=resolved incident=1 \x1b[2J\u202e ' + "x" * 3000
ROUTES = """
route: {{receiver: on-call, group_by: [alertname], group_wait: 0s, group_interval: 1s}}
receivers: [{{name: on-call, oncall_configs: [{{escalation_policy: ladder}}]}}, {{name: other}}]
users:
  - {{name: alice, full_name: Alice Ash, contacts: {{webhook: '{hook}/alice-4f2a'}}}}
  - {{name: bob, contacts: {{webhook: '{hook}/bob-77ce'}}}}
schedules: [{{name: primary, layers: [{{name: weekly, users: [alice]}}]}}]
escalation_policies:
  - name: ladder
    steps: [{{notify: {{schedule: primary}}}}, {{wait: 1h}}, {{notify: {{users: [bob]}}}}]
sources: [{{name: vmalert, token: {token}}}]
"""


class Phones(WebhookServer):
    """Alice's refuses the first page, and takes the second at the third try; bob's takes all."""

    def __init__(self) -> None:
        super().__init__()
        self.of_alice = [Answer(400, body=b'{"token": "alice-4f2a"}'), Answer(503), Answer(503)]

    def answer(self, request: Request) -> Answer:
        alice = request.path.endswith("/alice-4f2a")
        return self.of_alice.pop(0) if alice and self.of_alice else Answer()


def push(amproxy: Server, name: str, token: str = TOKEN, **more: object) -> int:
    body = json.dumps([{"labels": {"alertname": name, "note": token}, **more}]).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{amproxy.url}/api/v2/alerts", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code


def incident(amproxy: Server, number: int) -> dict[str, Any]:
    for states in ("", "?state=resolved"):
        for one in get(f"{amproxy.url}/api/v1/incidents{states}")["incidents"]:
            if one["number"] == number:
                found: dict[str, Any] = get(f"{amproxy.url}/api/v1/incidents/{one['id']}")
                return found
    return {}


def kinds(amproxy: Server, number: int) -> list[str]:
    return [entry["kind"] for entry in incident(amproxy, number).get("timeline", [])]


def live_through(amproxy: Server) -> list[list[str]]:
    """The night; the kinds of the timelines of its incidents 1 and 2."""
    assert push(amproxy, "HighLatency") == 200
    until(lambda: "sent" in kinds(amproxy, 1))
    act = f"{amproxy.url}/api/v1/incidents/{incident(amproxy, 1)['id']}"
    post(f"{act}/acknowledge", {"user": "bob"})
    post(f"{act}/snooze", {"user": "bob", "for": "1h"})
    assert push(amproxy, HOSTILE) == 200
    until(lambda: "sent" in kinds(amproxy, 2))
    post(f"{act}/resolve", {"user": "bob"})
    assert [push(amproxy, "HighLatency", "wrong-token") for _ in range(30)] == [401] * 30
    assert amproxy.config
    good = amproxy.config.read_text()
    assert post(f"{amproxy.url}/-/reload") == 200
    amproxy.config.write_text(f"{good}nonsense: 1\n")
    assert post(f"{amproxy.url}/-/reload") == 500
    amproxy.config.write_text(good)
    [redis] = Path(f"/proc/{amproxy.pid}/task/{amproxy.pid}/children").read_text().split()
    os.kill(int(redis), signal.SIGKILL)
    until(lambda: "Redis is back" in amproxy.stderr and ready(amproxy.url))
    told = [kinds(amproxy, number) for number in (1, 2)]
    assert amproxy.terminate() == 0
    return told


@pytest.mark.parametrize("style", ["logfmt", "json"])
def test_the_night_is_in_the_log_by_the_numbers_of_its_incidents(
    servers: Servers, style: str
) -> None:
    with Phones() as hook:
        routes = ROUTES.format(hook=hook.url, token=TOKEN)
        amproxy = servers.amproxy(routes, args=["--log.format", style, "--log.level", "debug"])
        timelines = live_through(amproxy)
    text = amproxy.stderr
    assert text.count("\n") == len(log_lines(text)), "each line is an event, and none is broken"
    lines = log_lines(text)

    for number, timeline in enumerate(timelines, 1):
        own = [line for line in lines if str(line.get("incident")) == str(number)]
        assert {(line["source"], line["policy"]) for line in own} == {("vmalert", "ladder")}
        told = Counter(line["msg"] for line in own)
        for kind, count in Counter(timeline).items():
            names = {"sent": ["delivered"], "step": ["step", "escalated"]}.get(kind, [kind])
            assert sum(told[name] for name in names) >= count, (kind, told)
    first = [line for line in lines if str(line.get("incident")) == "1"]
    happened = dict.fromkeys((line["msg"], line.get("user"), line.get("via")) for line in first)
    wanted = [
        ("opened", None, None),
        ("paged", "alice", None),
        ("failed", "alice", None),
        ("paged", "bob", None),
        ("delivered", "bob", None),
        ("acknowledged", "bob", "api"),
        ("snoozed", "bob", "api"),
        ("resolved", "bob", "api"),
    ]
    assert [one for one in happened if one in wanted] == wanted, happened
    failed = next(line for line in first if line["msg"] == "failed")
    assert (
        failed["level"] == "error" and failed["channel"] == "webhook" and "400" in failed["error"]
    )
    step = next(line for line in first if line["msg"] == "step")
    assert "Alice Ash" in step["detail"] and "on call for primary" in step["detail"]
    second = [line for line in lines if str(line.get("incident")) == "2"]
    assert [line["level"] for line in second if line["msg"] == "try failed"] == ["info", "debug"]
    assert second[0]["title"].startswith("evil")

    by_name = {line["msg"]: line for line in lines}
    assert {"pushed", "refused", "reloaded", "not loaded", "Redis is away"} <= set(by_name)
    refused = [line for line in lines if line["msg"] == "refused"]
    assert len(refused) <= 4 and sum(int(line["pushes"]) for line in refused) == 30
    assert "unknown key 'nonsense'" in by_name["not loaded"]["error"]
    assert by_name["amproxy ended"] and "uvicorn.error" in {line.get("logger") for line in lines}
    for secret in (TOKEN, "4f2a", "77ce", hook.url.rpartition(":")[2], "wrong-token"):
        assert secret not in text
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]{12}Z", line["time"]) for line in lines)
