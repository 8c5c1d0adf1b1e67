"""Short files for the tests of the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from amproxy.check.lint import all_warnings
from amproxy.config.loader import LoadedConfig, load_text
from amproxy.config.structs import Config
from amproxy.errors import ConfigError, ConfigProblem

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
