"""What `/api/v2/status` shows of the file: Alertmanager's part, for amtool's strict loader."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.cases import ALERTMANAGER
from tests.support.config.configs import ONCALL, ROUTE, config

CASES: list[dict[str, Any]] = json.loads((ALERTMANAGER / "config_good_bad.json").read_text())[
    "cases"
]
GOOD = [case for case in CASES if case["valid_0_25"] and case.get("valid_0_34", True)]
NEWER = """\
global: {telegram_bot_token: t, slack_app_token: t, smtp_smarthost: 'h:25', smtp_from: a@b, smtp_tls_config: {ca: x}, jira_api_url: 'http://h/'}
tracing: {endpoint: 'h:1'}
route: {receiver: d, labels: {a: b}}
inhibit_rules: [{name: n, source_matchers: [a=b], target_matchers: [c=d]}]
receivers:
- name: d
  labels: {team: x}
  webhook_configs: [{url_file: /nowhere, timeout: 10s}, {url: 'https://h/{{ .x }}'}, {url: 'https://{{ .x }}/'}]
  telegram_configs: [{chat_id: 1, message_thread_id: 7}]
  slack_configs: [{channel: c, timeout: 5s, message_text: x}]
  email_configs: [{to: a@b, force_implicit_tls: true}]
  discord_configs: [{webhook_url_file: /nowhere, username: u}]
  msteams_configs: [{webhook_url: 'http://h/'}]
  jira_configs: [{project: p, issue_type: Bug}]
  pushover_configs: [{user_key: u, token: t, retry: 2h, expire: 48h, ttl: 1h}]
  wechat_configs: [{api_secret_file: /nowhere, corp_id: c}]
"""


def _amtool(text: str, folder: Path) -> str:
    path = folder / "shown.yml"
    path.write_text(text)
    done = subprocess.run(
        ["amtool", "check-config", path], capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.skipif(not shutil.which("amtool"), reason="amtool is not installed")
@pytest.mark.parametrize("case", GOOD, ids=lambda case: case["name"])
def test_amtool_takes_every_good_file_written_back(case: dict[str, Any], tmp_path: Path) -> None:
    assert _amtool(config(case["yaml"]).original, tmp_path) == ""


@pytest.mark.skipif(not shutil.which("amtool"), reason="amtool is not installed")
def test_an_old_amtool_takes_a_file_with_newer_keys_and_is_told_what_is_missing(
    tmp_path: Path,
) -> None:
    shown = config(NEWER).original
    assert _amtool(shown, tmp_path) == ""
    assert (
        "# left out, because amtool 0.25 would refuse it: receivers[0].msteams_configs\n" in shown
    )


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case["name"])
def test_what_is_written_back_means_the_same(case: dict[str, Any]) -> None:
    once = config(case["yaml"])
    again = config(once.original)
    assert again.original == once.original
    assert again.route.key == once.route.key
    assert [route.key for route in again.route.routes] == [route.key for route in once.route.routes]
    assert again.time_intervals == once.time_intervals


def test_only_alertmanagers_part_is_shown_with_its_defaults() -> None:
    shown = config(ONCALL).original
    for foreign in ("oncall", "users", "schedules", "escalation", "slack_signing"):
        assert foreign not in shown
    assert "resolve_timeout: 5m" in shown
    assert "continue: false" in shown
    assert "templates: []" in shown


def test_a_webhook_shows_its_host_only() -> None:
    shown = config(
        ROUTE
        + "receivers: [{name: d, webhook_configs: [{url: 'https://user:pw@h.example:8443/path?token=x'}]}]\n"
    ).original
    assert "url: http://h.example:8443/<secret>" in shown
    assert "send_resolved: true" in shown
