"""Short files for the tests of the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from amproxy.check.lint import all_warnings
from amproxy.config.channels import why_undeliverable
from amproxy.config.loader import LoadedConfig, load_text
from amproxy.config.structs import Config, Global, Route
from amproxy.errors import ConfigError, ConfigProblem
from amproxy.notify.channels.email.settings import EmailSettings
from amproxy.notify.channels.slack.settings import SlackSettings
from amproxy.notify.channels.telegram.settings import TelegramSettings
from amproxy.secret import Secret
from amproxy.text.render import in_english

# What people's contacts need, as a file has it and as the structs have it.
GLOBAL = """\
global: {telegram_bot_token: '1:x', slack_app_token: x, smtp_smarthost: '127.0.0.1:25', smtp_from: a@example.org}
"""
REACHES = Global(
    channels={
        "telegram": TelegramSettings(bot_token=Secret("1:x")),
        "slack": SlackSettings(app_token=Secret("x")),
        "email": EmailSettings(smarthost="127.0.0.1:25", from_="a@example.org"),
    }
)
ROUTE = "route: {receiver: d}\n"
ONCALL = """\
users: [{name: alice, contacts: {console: here}}]
schedules: [{name: s, layers: [{users: [alice]}]}]
escalation_policies: [{name: p, steps: [{notify: {schedule: s}}]}]
receivers: [{name: d, oncall_configs: [{escalation_policy: p}]}]
route: {receiver: d}
"""


def loaded(text: str, env: Mapping[str, str] | None = None) -> LoadedConfig:
    """A file as `amproxy check` sees it: with all of its warnings."""
    found = load_text(text, env=env or {})
    return replace(found, warnings=all_warnings(found))


def config(text: str, env: Mapping[str, str] | None = None) -> Config:
    return loaded(text, env).config


def fault(channels: Mapping[str, Any], channel: str, address: str) -> str:
    """The reason why a contact cannot be delivered to, with these settings in `global`; "" = it can."""
    known = Config(route=Route(receiver="r", key="{}"), global_=Global(channels=dict(channels)))
    reason = why_undeliverable(known, channel, address)
    return in_english(reason) if reason else ""


def problems(text: str, env: Mapping[str, str] | None = None) -> list[ConfigProblem]:
    """Everything that is wrong with a file that must not load."""
    with pytest.raises(ConfigError) as caught:
        load_text(text, env=env or {})
    return caught.value.problems


def problem(text: str, env: Mapping[str, str] | None = None) -> ConfigProblem:
    """The one thing that is wrong."""
    found = problems(text, env)
    assert len(found) == 1, [str(each) for each in found]
    return found[0]


def kinds(text: str) -> list[str]:
    return [warning.kind for warning in loaded(text).warnings]
