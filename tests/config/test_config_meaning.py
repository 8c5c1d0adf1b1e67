"""What the loaded values mean: inheritance, defaults, times."""

from __future__ import annotations

from pathlib import Path

import pytest

from amproxy.config.loader import load_text
from tests.support.config.configs import ONCALL, ROUTE, config, problem

RECEIVER = "receivers: [{name: d}, {name: e}]\n"


def test_a_child_inherits_timings_and_grouping_but_no_intervals() -> None:
    text = (
        "time_intervals: [{name: t, time_intervals: []}]\n"
        "route: {receiver: d, group_by: [a], group_wait: 1s, routes: [{matchers: [x=y], mute_time_intervals: [t], repeat_interval: 1m, "
        "labels: {l: one, m: two}, routes: [{matchers: [z=w], labels: {l: other}}]}]}\n" + RECEIVER
    )
    child = config(text).route.routes[0]
    grandchild = child.routes[0]
    assert (
        grandchild.receiver,
        grandchild.group_by,
        grandchild.group_wait,
        grandchild.repeat_interval,
    ) == ("d", ("a",), 1, 60)
    assert (child.mute_time_intervals, grandchild.mute_time_intervals) == (("t",), ())
    assert grandchild.labels == {"l": "other", "m": "two"}
    assert grandchild.key == '{}/{x="y"}/{z="w"}'


@pytest.mark.parametrize(
    ("root", "child", "expected"),
    [
        ("", "", ((), False, False)),
        ("group_by: [a],", "", (("a",), False, True)),
        ("group_by: [a],", "group_by: []", ((), False, True)),
        ("group_by: ['...'],", "", ((), True, True)),
        ("group_by: ['...'],", "group_by: [b]", (("b",), False, True)),
        ("", "group_by: null", ((), False, False)),
    ],
)
def test_grouping_is_inherited_replaced_or_emptied(
    root: str, child: str, expected: tuple[object, ...]
) -> None:
    route = config(
        f"route: {{receiver: d, {root} routes: [{{{child}}}]}}\n" + RECEIVER
    ).route.routes[0]
    assert (route.group_by, route.group_by_all, route.group_by_given) == expected


def test_old_and_new_conditions_are_joined_and_sorted() -> None:
    text = (
        "route: {receiver: d, routes: [{matchers: ['z!=1'], match: {b: two}, match_re: {a: x|y}}]}\n"
        + RECEIVER
    )
    route = config(text).route.routes[0]
    assert route.key == '{}/{a=~"^(?:x|y)$",b="two",z!="1"}'


def test_integrations_stand_in_alertmanagers_order_of_kinds() -> None:
    text = ROUTE + (
        "receivers: [{name: d, telegram_configs: [{bot_token: t, chat_id: 1}], slack_configs: [{api_url: 'http://h/'}], "
        "webhook_configs: [{url: 'http://h/'}, {url: 'http://i/'}]}]\n"
    )
    assert [(each.kind, each.index) for each in config(text).receivers["d"].integrations] == [
        ("webhook", 0),
        ("webhook", 1),
        ("slack", 0),
        ("telegram", 0),
    ]


def test_an_integrations_own_secret_stands_above_the_one_of_global() -> None:
    text = (
        "global: {smtp_smarthost: 'h:25', smtp_from: a@b, smtp_auth_password: outer, smtp_require_tls: false, telegram_bot_token: outer}\n"
        + ROUTE
        + "receivers: [{name: d, email_configs: [{to: x@y, auth_password_file: /dev/null}, {to: z@y, require_tls: true}], "
        "telegram_configs: [{bot_token: inner, chat_id: 1}]}]\n"
    )
    first, second, telegram = (each.settings for each in config(text).receivers["d"].integrations)
    assert (first.auth_password.reveal(), first.auth_password_file, first.require_tls) == (
        "",
        "/dev/null",
        False,
    )
    assert (second.auth_password.reveal(), second.smarthost, second.require_tls) == (
        "outer",
        "h:25",
        True,
    )
    assert telegram.bot_token.reveal() == "inner"


def test_http_settings_come_from_the_integration_or_from_global() -> None:
    text = (
        "global: {http_config: {bearer_token: outer, follow_redirects: false}}\n"
        + ROUTE
        + "receivers: [{name: d, webhook_configs: [{url: 'http://h/'}, {url: 'http://h/', timeout: 1.5s, "
        "http_config: {basic_auth: {username: u, password: p}, http_headers: {X-A: {values: [one, two]}}}}]}]\n"
    )
    outer, inner = (each.settings for each in config(text).receivers["d"].integrations)
    assert (outer.http.authorization_credentials.reveal(), outer.http.follow_redirects) == (
        "outer",
        False,
    )
    assert (
        inner.http.basic_auth_username,
        inner.http.basic_auth_password.reveal(),
        inner.http.follow_redirects,
    ) == ("u", "p", True)
    assert (inner.http.http_headers, inner.timeout) == ({"X-A": ("one", "two")}, 1.5)


@pytest.mark.parametrize(
    ("every", "seconds", "months"),
    [("12h", 43200, 0), ("1w", 604800, 0), ("1d12h", 129600, 0), ("1mo", 0, 1), ("12mo", 0, 12)],
)
def test_a_rotation_turns_every_duration_or_number_of_months(
    every: str, seconds: int, months: int
) -> None:
    text = ONCALL.replace(
        "{users: [alice]}",
        f"{{users: [alice], rotation: {{every: {every}, start: 2026-01-05T09:00}}}}",
    )
    rotation = config(text).schedules["s"].layers[0].rotation
    assert rotation is not None
    assert (rotation.every, rotation.seconds, rotation.months) == (every, seconds, months)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-07-01T09:00", "2026-07-01T09:00:00"),
        ("2026-07-01 09:00:30", "2026-07-01T09:00:30"),
        ("2026-07-01", "2026-07-01T00:00:00"),
        ("2026-07-01T09:00Z", "2026-07-01T11:00:00"),
        ("2026-07-01T09:00+02:00", "2026-07-01T09:00:00"),
    ],
)
def test_times_are_on_the_clock_of_the_schedule(written: str, meant: str) -> None:
    text = ONCALL.replace(
        "layers:",
        f"timezone: Europe/Berlin, overrides: [{{user: alice, start: '{written}', end: 2026-08-01}}], layers:",
    )
    assert config(text).schedules["s"].overrides[0].start.isoformat() == meant


@pytest.mark.parametrize("user", ["", "user: null, "])
def test_an_override_without_a_user_is_one_with_nobody(user: str) -> None:
    text = ONCALL.replace(
        "layers:", f"overrides: [{{{user}start: 2026-07-01, end: 2026-08-01}}], layers:"
    )
    assert config(text).schedules["s"].overrides[0].users == ()


def test_sizes_are_bytes() -> None:
    assert config(ROUTE + RECEIVER + "web: {max_body: 1048576}\n").web.max_body == 1048576
    assert config(ROUTE + RECEIVER + "web: {max_body: 2MiB}\n").web.max_body == 2 * 2**20


def test_the_digest_tells_files_apart() -> None:
    assert config(ONCALL).digest == config(ONCALL).digest
    assert config(ONCALL).digest != config(ONCALL + "# a comment\n").digest


def test_a_contact_is_a_text_whatever_it_looks_like() -> None:
    assert config(ONCALL.replace("{console: here}", "{telegram: 007, console: yes}")).users[
        "alice"
    ].contacts == {
        "telegram": "007",
        "console": "yes",
    }


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ("file_outputs: [{path: x}]", "missing name"),
        ("stdout_outputs: [{}]", "missing name"),
        ("file_outputs: [{name: a, path: x}, {name: a, path: y}]", "name"),
        ("webhook_outputs: [{name: a, url: 'http://h/', batch_max_events: 5}]", "batch: true"),
    ],
)
def test_each_output_of_the_event_recorder_has_a_name(outputs: str, message: str) -> None:
    text = f"route: {{receiver: d}}\nreceivers: [{{name: d}}]\nevent_recorder: {{{outputs}}}\n"
    assert message in problem(text).message


def test_keys_of_alertmanager_0_35_load() -> None:
    text = """
route: {receiver: d}
receivers:
- name: d
  telegram_configs: [{bot_token: t, chat_id: 1, timeout: 3s}]
  slack_configs: [{app_token: t, channel: c, post_updates_to_thread: true}]
event_recorder:
  file_outputs: [{name: a, path: x}]
  webhook_outputs: [{name: a, url: 'http://h/'}, {name: b, url: 'http://h/'}]
  stdout_outputs: [{name: a}]
"""
    telegram, slack = config(text).receivers["d"].integrations[::-1]
    assert (telegram.kind, telegram.settings.timeout, slack.kind) == ("telegram", 3.0, "slack")


def test_outputs_of_the_event_recorder_have_alertmanagers_defaults(tmp_path: Path) -> None:
    text = """
route: {receiver: d}
receivers: [{name: d}]
event_recorder:
  file_outputs: [{name: a, path: sub/x}]
  stdout_outputs: [{name: b}]
  webhook_outputs:
  - {name: c, url: 'http://h/', workers: 0, timeout: 0s}
  - {name: d, url: 'http://h/', batch: true, batch_max_events: 7, batch_flush_interval: 2s}
"""
    recorder = load_text(text, folder=tmp_path).config.event_recorder
    assert [(one.name, one.path) for one in recorder.files] == [
        ("a", str(tmp_path / "sub/x")),
        ("b", ""),
    ]
    plain, batched = recorder.webhooks
    assert (plain.workers, plain.timeout, plain.max_retries, plain.retry_backoff) == (4, 10, 3, 0.5)
    assert plain.batch is None and batched.batch is not None
    assert (batched.batch.max_events, batched.batch.max_bytes) == (7, 1 << 20)
    assert batched.batch.flush_interval == 2.0


@pytest.mark.parametrize("where", ["api_url: 'https://hooks/x'", "api_url_file: x"])
def test_a_webhook_of_slack_has_no_threads(where: str) -> None:
    text = f"route: {{receiver: d}}\nreceivers: [{{name: d, slack_configs: [{{{where}, post_updates_to_thread: true}}]}}]\n"
    assert "post_updates_to_thread needs an app_token" in problem(text).message


@pytest.mark.parametrize(
    ("given", "kind", "matchers"),
    [
        ("repeat: 0", "severity", ()),
        ("reopen_on: new_alerts", "new_alerts", ()),
        ("reopen_on: never", "never", ()),
        ("reopen_on: ['severity=~\"critical|page\"']", "matchers", ('severity=~"critical|page"',)),
    ],
)
def test_a_policy_says_which_new_alerts_page_anew(
    given: str, kind: str, matchers: tuple[str, ...]
) -> None:
    policy = config(ONCALL.replace("name: p,", f"name: p, {given},")).policies["p"]
    assert (policy.reopen_on, policy.reopen_matchers) == (kind, matchers)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [("[]", "names no matchers"), ("sevrity", "expected 'severity' or"), ("['=']", "=")],
)
def test_what_pages_anew_is_a_word_or_matchers(wrong: str, why: str) -> None:
    found = problem(ONCALL.replace("name: p,", f"name: p, reopen_on: {wrong},"))
    assert why in found.message
    assert "reopen_on" in found.path
