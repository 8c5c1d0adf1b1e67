"""What is wrong is named where it stands, all at once, with what was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from amproxy.config.loader import load
from amproxy.errors import ConfigError
from tests.support.config.configs import ONCALL, ROUTE, config, problem, problems

RECEIVER = "receivers: [{name: d}]\n"


def test_all_problems_come_at_once_in_the_order_of_the_file() -> None:
    found = problems(
        "route:\n  reciever: d\n  receiver: nobody\n  group_wait: 5min\nreceivers:\n  - name: d\n"
    )
    assert [(each.line, each.column, each.path) for each in found] == [
        (2, 3, "route.reciever"),
        (3, 13, "route.receiver"),
        (4, 15, "route.group_wait"),
    ]


def test_a_path_leads_to_the_entry_of_a_list() -> None:
    found = problem(
        "route:\n  receiver: d\n  routes:\n  - {}\n  - matchers: ['a=b', '=c']\n" + RECEIVER
    )
    assert (found.line, found.column, found.path) == (5, 23, "route.routes[1].matchers[1]")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("route: {reciever: d, receiver: d}\n" + RECEIVER, "did you mean 'receiver'?"),
        ("route: {receiver: dd}\nreceivers: [{name: d}]\n", "did you mean 'd'?"),
        (ONCALL.replace("escalation_policy: p", "escalation_policy: pp"), "did you mean 'p'?"),
        (
            ONCALL.replace("name: alice,", "name: alice, timezone: Europe/Belrin,"),
            "did you mean 'Europe/Berlin'?",
        ),
        (ROUTE + RECEIVER + "Users: []\n", "did you mean 'users'?"),
    ],
)
def test_a_misspelt_word_is_told_what_was_meant(text: str, meant: str) -> None:
    assert meant in problem(text).message


def test_a_key_given_twice_names_the_first() -> None:
    found = problem("route:\n  receiver: d\n  receiver: d\n" + RECEIVER)
    assert (found.line, found.message) == (3, "the key 'receiver' is given twice (first in line 2)")


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("route: [\n", 2, 1, "the end of the file"),
        ("a: 'open\n", 1, 4, "quoted scalar"),
        ("a:\n\t- b\n", 2, 1, "cannot start any token"),
        ("a: *nowhere\n", 1, 4, "no anchor &nowhere"),
        ("a: &me [*me]\n", 1, 9, "inside of its own anchor"),
        ("a: b\nc: \x07\n", 2, 4, "not allowed in YAML"),
        ("? [a]\n: b\n", 1, 3, "a key must be"),
        ("a: {b: ${NAME}}\n", 1, 9, "put ${NAME} in quotes"),
    ],
)
def test_what_is_no_yaml_is_a_problem_with_its_place(
    text: str, line: int, column: int, words: str
) -> None:
    found = problem(text)
    assert (found.line, found.column) == (line, column)
    assert words in found.message


def test_aliases_that_grow_without_end_are_refused() -> None:
    levels = "".join(
        f"b{level}: &a{level + 1} [{', '.join([f'*a{level}'] * 10)}]\n" for level in range(9)
    )
    assert "too large" in problem("a: &a0 [x, x, x, x]\n" + levels).message


def test_nesting_without_end_is_refused() -> None:
    assert "deeper" in problem("[" * 3000).message


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "cannot read the file"), (b"\xff\xfe", "not UTF-8"), (b"", "missing route")],
)
def test_a_file_that_cannot_be_read_is_a_problem_like_others(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    path = tmp_path / "routes.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert words in caught.value.problems[0].message
    assert caught.value.problems[0].file == str(path)


def test_a_byte_order_mark_and_merge_keys_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "routes.yaml"
    path.write_text(
        "route: {receiver: d, routes: [&base {group_wait: 1s, matchers: [a=b]}, {<<: *base, matchers: [c=d]}]}\n"
        + RECEIVER,
        "utf-8-sig",
    )
    merged = load(path).config.route.routes[1]
    assert (merged.group_wait, str(merged.matchers[0])) == (1, 'c="d"')


def test_no_error_shows_a_secret() -> None:
    text = (
        "global: {slack_api_url: 'ftp://hunter2', smtp_smarthost: '${PASSWORD}'}\n"
        + ROUTE
        + "receivers: [{name: d, webhook_configs: [{url: 'http://u:hunter2@h:port/'}], "
        + "telegram_configs: [{bot_token: hunter2, chat_id: x}]}]\n"
        + "store: {redis: 'http://:hunter2@h'}\n"
    )
    found = problems(text, {"PASSWORD": "hunter2"})
    assert len(found) == 5
    assert "hunter2" not in "\n".join(map(str, found))


@pytest.mark.parametrize(
    ("receiver", "words"),
    [
        ("email_configs: [{to: a@b, smarthost: 'h:1'}]", "smtp_from in global"),
        ("email_configs: [{from: a@b, smarthost: 'h:1'}]", "missing to"),
        ("slack_configs: [{channel: c}]", "missing api_url or"),
        ("slack_configs: [{api_url: 'http://h', app_token: t}]", "only one of"),
        (
            "slack_configs: [{api_url: 'http://h', actions: [{type: button, text: t}]}]",
            "missing name or url",
        ),
        ("slack_configs: [{api_url: 'http://h', fields: [{title: t}]}]", "missing value"),
        ("telegram_configs: [{chat_id: 1}]", "missing bot_token"),
        ("telegram_configs: [{bot_token: t}]", "missing chat_id"),
        ("telegram_configs: [{bot_token: t, chat_id: 1, parse_mode: html}]", "'HTML'"),
        ("telegram_configs: [{bot_token: t, chat_id: '1'}]", "quotes"),
        ("pagerduty_configs: [{}]", "missing service_key"),
        (
            "opsgenie_configs: [{api_key: k, responders: [{type: team}]}]",
            "missing id or name or username",
        ),
        ("opsgenie_configs: [{api_key: k, responders: [{id: i, type: cat}]}]", "one of team"),
        ("pushover_configs: [{user_key: u}]", "missing token"),
        (
            "pushover_configs: [{user_key: u, token: t, html: true, monospace: true}]",
            "only one of html",
        ),
        ("sns_configs: [{topic_arn: a, phone_number: b}]", "only one of"),
        ("victorops_configs: [{api_key: k}]", "missing routing_key"),
        (
            "victorops_configs: [{api_key: k, routing_key: r, custom_fields: {entity_id: x}}]",
            "entity_id",
        ),
        ("webex_configs: [{room_id: r, http_config: {}}]", "authorization"),
        ("wechat_configs: [{corp_id: c}]", "missing api_secret"),
        ("jira_configs: [{api_url: 'http://h', project: p}]", "missing issue_type"),
        ("discord_configs: [{}]", "missing webhook_url"),
        (
            "webhook_configs: [{url: 'http://h', http_config: {tls_config: {cert: c}}}]",
            "needs its key",
        ),
        ("webhook_configs: [{url: 'http://h', http_config: {no_proxy: h}}]", "needs a proxy_url"),
        (
            "webhook_configs: [{url: 'http://h', http_config: {oauth2: {client_id: c}}}]",
            "token_url",
        ),
        (
            "webhook_configs: [{url: 'http://h', http_config: {http_headers: {Host: {values: [h]}}}}]",
            "'Host'",
        ),
        ("webhook_configs: [{url: 'http://h', timeout: soon}]", "duration"),
        ("labels: {name: other}", "must be its name"),
    ],
)
def test_an_integration_that_cannot_work_is_refused(receiver: str, words: str) -> None:
    assert words in problem(f"{ROUTE}receivers: [{{name: d, {receiver}}}]\n").message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("users: [alice]", "users: [bob]"), "there is no user 'bob'"),
        (("users: [alice]", "users: []"), "a layer needs users"),
        (("users: [alice]", "users: [[]]"), "at least one person"),
        (("schedule: s}", "schedule: s, users: [alice]}"), "only one of schedule, users"),
        (("schedule: s}", "users: [alice], position: next}"), "position belongs to schedule"),
        (("{schedule: s}", "{}"), "whom does this step notify"),
        (("steps: [", "if_nobody: give_up, steps: ["), "'next_step' or 'wait_for_shift'"),
        (("steps: [", "repeat: -1, steps: ["), "too small"),
        (("steps: [", "steps: [{wait: 1m, matchers: [a=b]}, "), "belongs to"),
        (("steps: [", "steps: [{wait_until: never}, "), "there is no time interval"),
        (("steps: [", "steps: [{wait: 1m, wait_until: x}, "), "only one of"),
        (("layers:", "team: t, layers:"), "there is no team 't'"),
        (("{users: [alice]}", "{users: [alice], rotation: {every: 1d}}"), "missing start"),
        (
            ("{users: [alice]}", "{users: [alice], rotation: {every: 1mon, start: 2026-01-01}}"),
            "number of months",
        ),
        (
            ("{users: [alice]}", "{users: [alice], rotation: {every: 1d, start: 1.1.2026}}"),
            "expected a date and time",
        ),
        (("[{users: [alice]}]", "[{users: [alice]}], ical: {url: 'http://h/'}"), "not both"),
        (
            ("contacts:", "notification_rules: {default: [{notify: []}]}, contacts:"),
            "names no channel",
        ),
        (("contacts:", "notification_rules: {urgent: []}, contacts:"), "unknown key 'urgent'"),
        (
            ("contacts:", "absences: [{start: 2026-01-02, end: 2026-01-01}], contacts:"),
            "after the start",
        ),
        (("contacts:", "role: boss, contacts:"), "'admin' or"),
        (("name: p,", "name: ,"), "missing name"),
    ],
)
def test_an_on_call_part_that_cannot_work_is_refused(change: tuple[str, str], words: str) -> None:
    assert change[0] in ONCALL
    assert any(words in each.message for each in problems(ONCALL.replace(*change)))


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("sources: [{name: a/b, token: t}]", "cannot stand in a URL"),
        ("sources: [{name: a, token: t, token_file: f}]", "only one of"),
        ("sources: [{name: a, token: ''}]", "is empty"),
        ("sources: [{name: a, hmac_secret_file: ''}]", "is empty"),
        ("sources: [{name: a, token: t, mapping: {}}]", "is empty"),
        ("sources: [{name: a, token: t, mapping: {title: ' '}}]", "is empty"),
        ("sources: [{name: a, token: t, mapping: {titel: a.b}}]", "did you mean 'title'"),
        ("sources: [{name: a, token: t, mapping: {title: '{{ a.b'}}]", "not a Jinja2 template"),
        ("sources: [{name: a, token: t, mapping: {title: '{{ .Title }}'}}]", "not a Jinja2"),
        ("sources: [{name: a, token: t, mapping: {each: '{{ a }}'}}]", "expected one path"),
        ("sources: [{name: a, token: t, mapping: {each: a b}}]", "expected one path"),
        ("sources: [{name: a, token: t, mapping: {title: [a]}}]", "expected a text"),
        ("sources: [{name: a, token: t, mapping: {labels: {x: '{% if %}'}}}]", "Jinja2"),
        ("sources: [{name: a, token: t, mapping: [title]}]", "expected a map"),
        ("heartbeats: [{name: a, every: 1h, token: ''}]", "is empty"),
        ("heartbeats: [{name: a, every: 1h, token: t, token_file: f}]", "only one of"),
        ("web: {hosts: ['https://amproxy']}", "without scheme and port"),
        ("web: {hosts: ['amproxy:9095']}", "without scheme and port"),
        ("heartbeats: [{name: a}]", "missing every"),
        ("heartbeats: [{name: a, every: 0s}]", "longer than 0s"),
        ("web: {max_body: 16 Mb}", "16MiB"),
        ("web: {listen: 9095}", "host:port"),
        ("store: {redis: 'http://h'}", "redis+sentinel://"),
        ("store: {fsync: never}", "'everysec'"),
        ("tracing: {insecure: true}", "missing endpoint"),
    ],
)
def test_a_setting_of_the_service_that_cannot_work_is_refused(section: str, words: str) -> None:
    assert words in problem(f"{ROUTE}{RECEIVER}{section}\n").message


def test_the_shortest_useful_file_loads() -> None:
    loaded = config(ONCALL)
    assert loaded.policies["p"].steps
    assert loaded.web.listen == "127.0.0.1:9095"
    assert loaded.store.redis == "embedded"


def test_a_reminder_of_what_never_runs_out_is_an_error() -> None:
    found = problem(ONCALL.replace("{name: p, steps", "{name: p, acknowledge_reminder: 5m, steps"))
    assert found.path == "escalation_policies[0].acknowledge_reminder"
    assert "needs acknowledge_timeout" in found.message
