"""A team to look at: people in three zones, two schedules, two policies, and what fills the pages."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from tests.support.waiting import until

ROUTES = """
route:
  receiver: platform-oncall
  group_by: [alertname, cluster]
  group_wait: 0s
  group_interval: 5s
  routes:
    - receiver: database-oncall
      matchers: [team="database"]
receivers:
  - name: platform-oncall
    oncall_configs: [{escalation_policy: platform, title: '{{ group_labels.alertname }} on {{ group_labels.cluster }}'}]
  - name: database-oncall
    oncall_configs: [{escalation_policy: database}]
users:
  - {name: alice, full_name: Alice Ash, timezone: Europe/Berlin, role: admin, contacts: {console: Alice's phone}}
  - {name: bob, full_name: Bob Birch, timezone: Asia/Tbilisi, contacts: {console: Bob's phone}}
  - {name: carol, full_name: Carol Cedar, timezone: America/New_York, contacts: {console: Carol's phone}}
teams:
  - {name: platform, members: [alice, bob, carol]}
  - {name: database, members: [bob, carol]}
time_intervals:
  - name: office
    time_intervals:
      - weekdays: ['monday:friday']
        times: [{start_time: '09:00', end_time: '18:00'}]
        location: Europe/Berlin
schedules:
  - name: platform
    team: platform
    timezone: Europe/Berlin
    layers:
      - {name: weekly, users: [alice, bob, carol], rotation: {every: 1w, start: 2026-01-05T09:00}}
      - {name: office, users: [bob, carol], rotation: {every: 1d, start: 2026-01-05T09:00}, active_time_intervals: [office]}
  - name: database
    team: database
    timezone: UTC
    layers:
      - {name: weekdays, users: [carol, bob], rotation: {every: 1d, start: 2026-01-05T06:00}, active_time_intervals: [office]}
escalation_policies:
  - name: platform
    team: platform
    repeat: 1
    acknowledge_timeout: 4h
    steps:
      - notify: {schedule: platform}
      - wait: 5m
      - notify: {schedule: platform, position: next}
      - wait: 10m
      - notify: {team: platform, urgency: important}
        matchers: [severity="critical"]
  - name: database
    team: database
    if_nobody: {user: bob}
    steps:
      - notify: {schedule: database}
      - wait: 15m
      - forward: platform
heartbeats:
  - {name: backup, every: 1d}
"""


def alert(name: str, cluster: str, summary: str, **labels: str) -> dict[str, Any]:
    labels = {
        "alertname": name,
        "cluster": cluster,
        "team": "platform",
        "severity": "critical",
        **labels,
    }
    annotations = {
        "summary": summary,
        "runbook_url": f"https://runbooks.example.org/{name.lower()}",
    }
    return {
        "labels": labels,
        "annotations": annotations,
        "generatorURL": "https://vm.example.org/vmalert/alert?id=1",
    }


def ask(url: str, body: object = None, method: str | None = None) -> Any:
    """Call the API; returns its JSON, None where there is none."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        found = answer.read()
    return json.loads(found) if found else None


def push(url: str, *alerts: dict[str, Any]) -> None:
    ask(f"{url}/api/v2/alerts", list(alerts))


def opened(url: str, title: str) -> dict[str, Any]:
    """The incident with this in its title, once it is there."""
    every = (
        f"{url}/api/v1/incidents?state=triggered&state=acknowledged&state=snoozed&state=resolved"
    )

    def found() -> dict[str, Any]:
        return next((dict(one) for one in ask(every)["incidents"] if title in one["title"]), {})

    return until(found, why=f"no incident {title!r} was opened")


def fill(url: str) -> dict[str, Any]:
    """Three incidents: one that nobody has answered (returned), one acknowledged, one resolved."""
    push(url, alert("ReplicationLag", "eu2", "Replica db-4 is 94 s behind", instance="db-4"))
    lag = opened(url, "ReplicationLag")
    ask(
        f"{url}/api/v1/incidents/{lag['id']}/acknowledge",
        {"user": "bob", "text": "Backup runs on db-4; watching it."},
    )
    push(
        url,
        alert(
            "CertificateExpires", "eu1", "shop.example.org expires in 6 days", severity="warning"
        ),
    )
    ask(
        f"{url}/api/v1/incidents/{opened(url, 'CertificateExpires')['id']}/resolve",
        {"user": "carol"},
    )
    push(
        url,
        *[
            alert(
                "HighErrorRate",
                "eu1",
                "Checkout answers 12% with an error",
                instance=f"checkout-{n}",
            )
            for n in range(3)
        ],
    )
    return opened(url, "HighErrorRate")
