"""An odd file that is edited, and what it says."""

from __future__ import annotations

from typing import Any

from amproxy.config.yaml import parse_layout
from amproxy.edit.sections import to_json

FILE = """\
# Team file; ask in #ops before you change it.\tTabs\tstay.
route: {receiver: r}      # everything

receivers:
- name: r
  oncall_configs:
  - {escalation_policy: main}   # the only one

users:
    -   name: "alice"     # odd, but hers
        contacts: { telegram: 111,   email: 'a@example.org' }
    -   {name: боб, contacts: {telegram: 222}}

teams: [{name: ops, members: [alice, боб]}]

schedules:
- name: primary
  # Agreed in spring.
  layers:
  # the week
  - name: weekly          # Mondays
    users:
    - alice               # begins
    - боб
    rotation: {every: 1w,
               start: 2026-01-05T09:00}   # wall clock

  # the nights
  - name: nights
    users: [боб]
    #rotation: {every: 1d}

escalation_policies:
- name: main
  steps:                  # keep it short
  # whoever is on call
  - notify: {schedule: primary}
  - wait: 5m              # long enough to find a laptop
      # and a chair
  - notify:
      users: [alice]      # the lead
    matchers: ['severity="critical"']

- name: other
  steps: [{notify: {users: [alice]}}, {wait: 1m}]
# The end.
"""


def said(text: str, section: str, name: str) -> dict[str, Any]:
    root = parse_layout(text.removeprefix("\ufeff"), "routes.yaml")
    assert root is not None
    return next(dict(to_json(entry)) for entry in root.data[section] if entry["name"] == name)
