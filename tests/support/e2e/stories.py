"""What the end-to-end stories share: a configuration, a client of amproxy's API, and patience."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections import Counter
from typing import Any

from tests.support.standins.telegram import TelegramStandIn
from tests.support.waiting import until

ALICE, BOB = 111, 222
LONGEST = 120.0  # seconds until a push is taken: two starts on a busy machine

ROUTES = """
global:
  telegram_bot_token: {token}
  telegram_api_url: {telegram}
  resolve_timeout: 5m
route:
  receiver: on-call
  group_by: [alertname]
  group_wait: 200ms
  group_interval: 1s
  repeat_interval: 1h
receivers:
  - name: on-call
    oncall_configs:
      - escalation_policy: ladder
users:
  - name: alice
    full_name: Alice Ash
    contacts: {{telegram: 111}}
  - name: bob
    full_name: Bob Birch
    contacts: {{telegram: 222}}
schedules:
  - name: primary
    timezone: UTC
    layers:
      - name: daily
        users: [alice, bob]
        rotation: {{every: 100w, start: 2026-01-05T09:00}}
escalation_policies:
  - name: ladder
    steps:
      - notify: {{schedule: primary}}
      - wait: {wait}
      - notify: {{schedule: primary, position: next}}
      - wait: 10m
"""


def get(url: str) -> Any:
    """A JSON answer."""
    with urllib.request.urlopen(url, timeout=60) as answer:
        return json.load(answer)


def text(url: str, *, seconds: float = 60.0) -> str:
    with urllib.request.urlopen(url, timeout=seconds) as answer:
        return str(answer.read().decode())


def ready(url: str) -> bool:
    """Whether the service says that it is, which it does not while its Redis is away."""
    try:
        text(f"{url}/-/ready")
    except urllib.error.HTTPError:
        return False
    return True


def post(url: str, body: Any = None, *, seconds: float = 60.0) -> int:
    """POST JSON; the status, 0 where nobody answers."""
    data = json.dumps(body).encode() if body is not None else b""
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=seconds) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except (OSError, http.client.HTTPException):  # nobody is there, or it ended half-way
        return 0


def metric(page: str, name: str, **labels: str) -> float:
    """The sum of a metric's samples that carry these labels."""
    total = 0.0
    for line in page.splitlines():
        head, _, value = line.rpartition(" ")
        if head.partition("{")[0] == name and all(
            f'{key}="{wanted}"' in head for key, wanted in labels.items()
        ):
            total += float(value)
    return total


def push(url: str, number: int) -> None:
    """Push an alert of a storm until it is taken, as every sender does."""
    alert = {"status": "firing", "labels": {"alertname": f"Storm{number}", "severity": "critical"}}
    body = {
        "version": "4",
        "groupKey": f"g{number}",
        "groupLabels": {"alertname": f"Storm{number}"},
        "alerts": [alert],
    }
    until(
        lambda: post(f"{url}/webhook/storm", body, seconds=10) == 200,
        seconds=LONGEST,
        why="a push was never taken",
    )


def storm_titles(telegram: TelegramStandIn, chat: int) -> Counter[str]:
    """The alerts of a storm that a chat was told of, and how often."""
    words = (word for message in telegram.sent(chat) for word in message.text.split())
    return Counter(word for word in words if word.startswith("Storm"))


def list_open(url: str) -> list[Any]:
    """All open incidents, page by page."""
    found, cursor = [], ""
    while True:
        page = get(f"{url}/api/v1/incidents?limit=500" + (f"&cursor={cursor}" if cursor else ""))
        found += page["incidents"]
        cursor = page["next"]
        if not cursor:
            return found
