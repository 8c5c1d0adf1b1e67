"""Environment variables, files with secrets, and that secrets stay hidden."""

from __future__ import annotations

from pathlib import Path

import pytest

from amproxy.config.loader import load, load_text
from tests.support.config.configs import ROUTE, config, loaded, problem

TELEGRAM = (
    ROUTE
    + "receivers: [{name: d, telegram_configs: [{bot_token: '${TOKEN}', chat_id: '${CHAT}'}]}]\n"
    + "environment: true\n"
)


def test_a_variable_stands_in_for_texts_and_numbers() -> None:
    settings = (
        config(TELEGRAM, {"TOKEN": "t0", "CHAT": "-5"}).receivers["d"].integrations[0].settings
    )
    assert (settings.bot_token.reveal(), settings.chat_id) == ("t0", -5)


def test_a_variable_that_is_not_set_is_an_error_at_its_place() -> None:
    found = problem(TELEGRAM, {"CHAT": "1"})
    assert (found.line, found.path) == (2, "receivers[0].telegram_configs[0].bot_token")
    assert found.message == "the environment variable TOKEN is not set"


@pytest.mark.parametrize("text", ["$TOKEN", "$$", "a$", "${1}", "${}", "${TO KEN}"])
def test_only_the_exact_form_is_a_variable(text: str) -> None:
    settings = (
        config(TELEGRAM.replace("${TOKEN}", text), {"CHAT": "1", "TOKEN": "t"})
        .receivers["d"]
        .integrations[0]
        .settings
    )
    assert settings.bot_token.reveal() == text


PASSWORD = (
    "global: {smtp_smarthost: 'localhost:25', smtp_from: a@example.org,\n"
    "  smtp_auth_password: 'a#b:{c}${d}&*!%@`'}\n" + ROUTE + "receivers: [{name: d}]\n"
)


@pytest.mark.parametrize("env", [{}, {"d": "x"}])
def test_in_a_file_of_alertmanagers_it_is_text(env: dict[str, str]) -> None:
    assert load_password(PASSWORD, env) == "a#b:{c}${d}&*!%@`"


@pytest.mark.parametrize(
    ("said", "password"),
    [
        ("users: []\n", "a#b:{c}x&*!%@`"),
        ("environment: true\n", "a#b:{c}x&*!%@`"),
        ("users: []\nenvironment: false\n", "a#b:{c}${d}&*!%@`"),
    ],
)
def test_the_file_says_whether_it_has_variables(said: str, password: str) -> None:
    assert load_password(PASSWORD + said, {"d": "x"}) == password


def load_password(text: str, env: dict[str, str]) -> str:
    found: str = config(text, env).global_.channels["email"].auth_password.reveal()
    return found


def test_matchers_and_message_texts_keep_their_dollars() -> None:
    text = (
        "route: {receiver: d, routes: [{matchers: ['a=~\"x${A}\"'], match: {b: '${A}'}, match_re: {c: '${A}'}}]}\n"
        "receivers: [{name: d, slack_configs: [{api_url: 'http://h/', text: 'costs ${A}'}]}]\n"
    )
    loaded_config = config(text)
    assert {matcher.name: matcher.value for matcher in loaded_config.route.routes[0].matchers} == {
        "a": "x${A}",
        "b": "${A}",
        "c": "^(?:${A})$",
    }
    assert loaded_config.receivers["d"].integrations[0].settings.text == "costs ${A}"


def test_a_secret_file_that_cannot_be_read_is_a_warning() -> None:
    found = loaded(
        ROUTE + "receivers: [{name: d, webhook_configs: [{url_file: /nowhere/at/all}]}]\n"
    ).warnings
    assert [(warning.kind, warning.path) for warning in found] == [
        ("unreadable_file", "receivers[0].webhook_configs[0].url_file")
    ]


def test_paths_start_at_the_folder_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    path = tmp_path / "routes.yaml"
    path.write_text(ROUTE + "receivers: [{name: d}]\nsources: [{name: s, token_file: token}]\n")
    result = load(path, {})
    assert result.warnings == []
    assert result.config.sources["s"].token_file == str(tmp_path / "token")


def test_a_chat_id_can_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "chat").write_text("-42\n")
    text = (
        ROUTE + "receivers: [{name: d, telegram_configs: [{bot_token: t, chat_id_file: chat}]}]\n"
    )
    integration = load_text(text, env={}, folder=tmp_path).config.receivers["d"].integrations[0]
    assert (integration.settings.chat_id, integration.undeliverable) == (-42, None)


def test_nothing_that_is_written_or_printed_shows_a_secret() -> None:
    text = (
        "global: {slack_api_url: 'https://h/hunter2', opsgenie_api_key: hunter2, smtp_auth_password: hunter2,\n"
        "  slack_signing_secret: hunter2,\n"
        "  telegram_api_url: 'http://u:hunter2@h/', http_config: {basic_auth: {username: u, password: hunter2}}}\n"
        "route: {receiver: d}\n"
        "receivers:\n"
        "- name: d\n"
        "  slack_configs: [{channel: c}]\n"
        "  webhook_configs: [{url: 'http://u:hunter2@h:80/hunter2', http_config: {proxy_url: 'http://u:hunter2@p', "
        "http_headers: {X-Key: {secrets: [hunter2]}}}}]\n"
        "  sns_configs: [{topic_arn: t, sigv4: {access_key: a, secret_key: hunter2}}]\n"
        "  pagerduty_configs: [{routing_key: hunter2}]\n"
        "  pushover_configs: [{user_key: hunter2, token: hunter2}]\n"
    )
    result = loaded(text)
    assert "hunter2" not in result.config.original
    assert "hunter2" not in "".join(map(str, result.warnings))
    assert (
        result.config.receivers["d"].integrations[0].settings.url.reveal()
        == "http://u:hunter2@h:80/hunter2"
    )
