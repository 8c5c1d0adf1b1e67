"""The proxy: groups go on to a real Alertmanager, and what is silenced here does not."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import pytest

from tests.support.servers import Servers, needs
from tests.support.waiting import until

pytestmark = pytest.mark.clock

ROUTES = """
route: {{receiver: onward, group_by: [alertname], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}}
receivers:
  - name: onward
    alertmanager_configs: [{{url: '{url}'}}]
"""


def ask(url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(
        urllib.request.Request(url, data, {"Content-Type": "application/json"}), timeout=60
    ) as answer:
        text = answer.read()
    return json.loads(text) if text else None


@needs("alertmanager")
def test_groups_are_forwarded_to_another_alertmanager_until_they_end(servers: Servers) -> None:
    other = servers.alertmanager("route: {receiver: none}\nreceivers: [{name: none}]\n")
    amproxy = servers.amproxy(ROUTES.format(url=other.url))
    labels = {"alertname": "Disk", "host": "db1"}
    silence = {
        "matchers": [{"name": "alertname", "value": "Quiet", "isRegex": False, "isEqual": True}],
        "createdBy": "ann",
        "comment": "c",
        "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": "2099-01-01T00:00:00Z",
    }
    ask(f"{amproxy.url}/api/v2/silences", silence)
    ask(
        f"{amproxy.url}/api/v2/alerts",
        [
            {"labels": labels, "annotations": {"summary": "full"}},
            {"labels": {"alertname": "Quiet"}},
        ],
    )
    [there] = until(lambda: ask(f"{other.url}/api/v2/alerts"))
    assert (there["labels"], there["annotations"]) == (labels, {"summary": "full"})
    ask(
        f"{amproxy.url}/api/v2/alerts",
        [{"labels": labels, "endsAt": "2026-01-01T00:00:00Z", "startsAt": "2026-01-01T00:00:00Z"}],
    )
    until(lambda: not ask(f"{other.url}/api/v2/alerts"))
