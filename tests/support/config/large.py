"""Files as large installations have them, generated."""

from __future__ import annotations


def many_receivers(number: int) -> str:
    """A file with so many receivers (webhook, Slack, on call), each with a route of its own."""
    integrations = (
        "    webhook_configs:\n      - url: http://127.0.0.1:9999/hook/{n}\n        send_resolved: true\n",
        "    slack_configs:\n      - channel: '#alerts-{n}'\n        send_resolved: true\n",
        "    oncall_configs:\n      - escalation_policy: p\n        title: '{{{{ group_labels.alertname }}}}'\n",
    )
    routes = (
        f'    - receiver: r{n}\n      matchers: [team="t{n}", severity=~"critical|page"]\n      continue: true\n'
        for n in range(number)
    )
    receivers = (
        f"  - name: r{n}\n" + integrations[n % len(integrations)].format(n=n) for n in range(number)
    )
    return (
        "global: {slack_app_token: x}\n"
        "route:\n  receiver: default\n  group_by: [alertname]\n  routes:\n"
        + "".join(routes)
        + "receivers:\n  - name: default\n    webhook_configs: [{url: 'http://127.0.0.1:9999/'}]\n"
        + "".join(receivers)
        + "users:\n  - {name: ann, contacts: {telegram: 1}}\n"
        "schedules:\n  - name: s\n    timezone: UTC\n    layers:\n      - users: [ann]\n"
        "        rotation: {every: 1w, start: 2026-01-05T09:00}\n"
        "escalation_policies:\n  - name: p\n    steps:\n      - notify: {schedule: s}\n"
    )


def many_schedules(number: int) -> str:
    """A file with so many people, schedules and policies."""
    people = (
        f"  - name: u{n}\n    timezone: Europe/Berlin\n    contacts: {{telegram: {n + 1}}}\n"
        for n in range(number)
    )
    schedules = (
        f"  - name: s{n}\n    timezone: Europe/Berlin\n    layers:\n      - name: weekly\n"
        f"        users: [u{n}, u{(n + 1) % number}, [u{(n + 2) % number}, u{(n + 3) % number}]]\n"
        "        rotation: {every: 1w, start: 2026-01-05T09:00}\n"
        for n in range(number)
    )
    policies = (
        f"  - name: p{n}\n    repeat: 2\n    steps:\n      - notify: {{schedule: s{n}}}\n      - wait: 5m\n"
        f"      - notify: {{schedule: s{n}, position: next}}\n      - wait: 10m\n"
        for n in range(number)
    )
    return (
        "route: {receiver: default}\n"
        "receivers: [{name: default, oncall_configs: [{escalation_policy: p0}]}]\n"
        "users:\n"
        + "".join(people)
        + "schedules:\n"
        + "".join(schedules)
        + "escalation_policies:\n"
        + "".join(policies)
    )
