"""The grammar by example: the file whose key names are binding."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from amproxy.check.lint import all_warnings
from amproxy.config.loader import load
from amproxy.config.structs import Config, Notify, NotifyStep, OncallSettings, Wait, WaitUntilStep
from amproxy.notify.channels.email.settings import EmailSettings
from amproxy.notify.channels.slack.settings import SlackSettings
from amproxy.notify.channels.telegram.settings import TelegramSettings
from tests.support.cases import EXAMPLE

SECRETS = (
    "telegram_bot_token",
    "slack_bot_token",
    "smtp_password",
    "alertmanager_token",
    "grafana_token",
)


@pytest.fixture
def example(tmp_path: Path) -> Config:
    for name in SECRETS:
        (tmp_path / name).write_text(f"hidden-{name}")
    loaded = load(EXAMPLE, {"SECRETS_DIR": str(tmp_path)})
    assert {warning.kind for warning in all_warnings(loaded)} == {
        "undeliverable"
    }  # phone_call and sms, which alice's rules name
    return loaded.config


def test_every_section_of_the_example_is_there(example: Config) -> None:
    assert list(example.receivers) == [
        "default",
        "platform-chat",
        "platform-oncall",
        "database-oncall",
    ]
    assert list(example.users) == ["alice", "bob", "carol"]
    assert example.teams["database"].members == ("bob", "carol")
    assert list(example.schedules) == list(example.policies) == ["platform", "database"]
    assert list(example.sources) == ["alertmanager", "grafana"]
    assert example.heartbeats["watchdog"].every == 120
    assert example.heartbeats["watchdog"].labels == {"severity": "critical", "team": "platform"}
    assert example.web.external_url == "https://oncall.example.org"
    assert example.store.retention == 90 * 86400


def test_routes_inherit_and_know_their_keys(example: Config) -> None:
    first, chat, database = example.route.routes
    assert first.continue_
    assert first.key == '{}/{severity=~"critical|page",team="platform"}'
    assert first.group_by == ("alertname", "cluster")
    assert first.group_by_given
    assert (first.group_wait, first.group_interval, first.repeat_interval) == (30, 300, 14400)
    assert chat.mute_time_intervals == ("nights",)
    assert database.active_time_intervals == ("business-hours",)


def test_receivers_inherit_from_global(example: Config, tmp_path: Path) -> None:
    (telegram,) = example.receivers["default"].integrations
    assert isinstance(telegram.settings, TelegramSettings)
    assert telegram.settings.chat_id == -1001234567890
    assert telegram.settings.bot_token_file == str(tmp_path / "telegram_bot_token")
    webhook, slack = example.receivers["platform-chat"].integrations
    assert (webhook.kind, webhook.send_resolved) == ("webhook", True)
    assert webhook.settings.url.reveal() == "http://127.0.0.1:9999/forward"
    assert isinstance(slack.settings, SlackSettings)
    assert (slack.settings.channel, slack.send_resolved) == ("#platform-alerts", False)
    assert slack.settings.app_token_file == str(tmp_path / "slack_bot_token")
    (oncall,) = example.receivers["platform-oncall"].integrations
    assert oncall.settings == OncallSettings(
        escalation_policy="platform",
        title="{{ group_labels.alertname }} on {{ group_labels.cluster }}",
    )
    assert isinstance(example.global_.channels["email"], EmailSettings)
    assert example.global_.channels["email"].smarthost == "smtp.example.org:587"


def test_people_have_their_contacts_rules_and_absences(example: Config) -> None:
    alice = example.users["alice"]
    assert alice.contacts == {
        "telegram": "111111111",
        "slack": "U012AB3CD",
        "email": "alice@example.org",
        "phone": "+491700000001",
    }
    telegram, pause, email = alice.notification_rules["default"]
    assert (telegram, email) == (Notify(channels=("telegram",)), Notify(channels=("email",)))
    assert isinstance(pause, Wait)
    assert pause.seconds == 300
    assert alice.notification_rules["important"][0] == Notify(channels=("telegram", "phone_call"))
    assert alice.absences[0].start.isoformat() == "2026-12-24T00:00:00"
    assert example.users["bob"].timezone == "Asia/Tbilisi"


def test_schedules_have_layers_turns_and_overrides(example: Config) -> None:
    weekly, office = example.schedules["platform"].layers
    assert weekly.users == (("alice",), ("bob",), ("carol",))
    assert weekly.rotation is not None
    assert (weekly.rotation.seconds, weekly.rotation.start.isoformat()) == (
        7 * 86400,
        "2026-01-05T09:00:00",
    )
    assert office.users == (("bob",), ("alice", "carol"))
    assert office.active_time_intervals == ("business-hours",)
    assert example.schedules["platform"].overrides[0].users == ("carol",)
    assert example.schedules["database"].ical is not None


def test_policies_have_every_form_of_step(example: Config) -> None:
    steps = example.policies["platform"].steps
    assert [type(step) for step in steps] == [
        NotifyStep,
        Wait,
        NotifyStep,
        Wait,
        NotifyStep,
        NotifyStep,
        NotifyStep,
    ]
    following, alice, team, chat = (step for step in steps[2:] if isinstance(step, NotifyStep))
    assert (following.schedule, following.position) == ("platform", "next")
    assert (alice.users, alice.urgency, alice.active_time_intervals) == (
        ("alice",),
        "important",
        ("business-hours",),
    )
    assert (team.team, team.pick, team.matchers) == (
        "platform",
        "round_robin",
        ('severity="critical"',),
    )
    assert chat.receiver == "platform-chat"
    assert example.policies["platform"].repeat == 2
    assert example.policies["platform"].acknowledge_timeout == 4 * 3600
    assert isinstance(example.policies["database"].steps[0], WaitUntilStep)
    assert (
        example.policies["database"].if_nobody.kind,
        example.policies["database"].if_nobody.user,
    ) == ("user", "bob")


@pytest.mark.skipif(not shutil.which("amtool"), reason="amtool is not installed")
def test_amtool_takes_what_the_status_page_shows_of_it(example: Config, tmp_path: Path) -> None:
    shown = tmp_path / "shown.yml"
    shown.write_text(example.original)
    done = subprocess.run(
        ["amtool", "check-config", shown], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    tree = subprocess.run(
        ["amtool", "config", "routes", "show", f"--config.file={shown}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert (
        '{severity=~"critical|page",team="platform"}  continue: true  receiver: platform-oncall'
        in tree.stdout
    )
