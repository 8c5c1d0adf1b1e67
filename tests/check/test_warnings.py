"""What loads and is doubtful all the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from amproxy.check.lint import all_warnings
from amproxy.config.loader import load
from amproxy.errors import ConfigError
from tests.support.config.configs import ONCALL, ROUTE, config, kinds, loaded


def _slack(key: str, text: str) -> str:
    return f"{ROUTE}receivers: [{{name: d, slack_configs: [{{api_url: 'http://h/', {key}: '{text}'}}]}}]\n"


def test_a_sound_file_has_no_warnings() -> None:
    assert kinds(ONCALL) == []


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        "{{ .CommonLabels.nothing }}",
        '{{ template "slack.default.title" . }}',
        "{{ range .Alerts }}{{ .Labels.instance | toUpper }}{{ end }}",
        "{{ (index .Alerts 0).StartsAt.Format `15:04` }}",
    ],
)
def test_texts_of_alertmanager_are_taken(text: str) -> None:
    found = loaded(_slack("text", text))
    assert found.warnings == []
    assert found.config.receivers["d"].integrations[0].undeliverable is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{ .Status", "line 1, column 11: unclosed action"),
        ("{{ if .Status }}a", "unexpected EOF"),
        ("{{ alerts | length }}", 'function "alerts" not defined'),
    ],
)
def test_a_text_that_is_no_template_is_told_with_its_place(text: str, said: str) -> None:
    (warning,) = loaded(_slack("text", text)).warnings
    assert (warning.kind, warning.path) == ("template", "receivers[0].slack_configs[0].text")
    assert warning.message.startswith("text is no Go template, and the default text is sent")
    assert said in warning.message


def test_a_template_that_would_fail_at_the_first_alert_is_told() -> None:
    found = loaded(_slack("text", "{{ .Nothing }}"))
    (warning,) = found.warnings
    assert warning.line == 2
    assert "can't evaluate field Nothing" in warning.message


@pytest.mark.parametrize(
    ("text", "send_resolved", "said"),
    [
        ("{{ (index .Alerts.Firing 0).Labels.job }}", True, "all alerts of a message are over"),
        ("{{ (index .Alerts.Resolved 0).Labels.job }}", True, "all alerts of a message fire"),
        ("{{ (index .Alerts.Resolved 0).Labels.job }}", False, "all alerts of a message fire"),
        # Who is told of no end gets no message without an alert that fires.
        ("{{ (index .Alerts.Firing 0).Labels.job }}", False, ""),
        ("{{ if .Alerts.Firing }}{{ (index .Alerts.Firing 0).Labels.job }}{{ end }}", True, ""),
    ],
)
def test_a_template_that_needs_alerts_that_a_message_may_not_have_is_told(
    text: str, send_resolved: bool, said: str
) -> None:
    slack = f"{{api_url: 'http://h/', send_resolved: {str(send_resolved).lower()}, text: '{text}'}}"
    warnings = loaded(f"{ROUTE}receivers: [{{name: d, slack_configs: [{slack}]}}]\n").warnings
    assert [said in one.message and one.line == 2 for one in warnings] == [True] * bool(said)


def test_a_page_whose_markup_no_value_can_be_escaped_in_is_told() -> None:
    message = "'<a {{ if .Alerts }}href=\"{{ end }}'"
    telegram = f"telegram_configs: [{{bot_token: t, chat_id: 1, message: {message}}}]"
    (warning,) = loaded(f"{ROUTE}receivers: [{{name: d, {telegram}}}]\n").warnings
    assert (warning.kind, warning.line) == ("template", 2)
    assert "html/template::1:9: {{if}} branches end in different contexts" in warning.message


def test_the_files_of_templates_are_read_and_a_broken_one_does_not_load(tmp_path: Path) -> None:
    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / "a.tmpl").write_text('{{ define "our.title" }}ours{{ end }}')
    text = "templates: ['templates/*.tmpl']\n" + _slack("text", '{{ template "our.title" . }}')
    file = tmp_path / "routes.yaml"
    file.write_text(text)
    found = load(file)
    assert all_warnings(found) == []
    (folder / "a.tmpl").write_text('{{ define "our.title" }}theirs{{ end }}')
    assert load(file).config.digest != found.config.digest
    (folder / "b.tmpl").write_text("fine\n  {{ .Status")
    with pytest.raises(ConfigError) as raised:
        load(file)
    [problem] = raised.value.problems
    assert (problem.file, problem.line) == (str(folder / "b.tmpl"), 2)
    assert "unclosed action" in problem.message


@pytest.mark.parametrize(
    "integration",
    [
        "slack_configs: [{app_token: t}]",
    ],
)
def test_what_amproxy_cannot_send_is_undeliverable(integration: str) -> None:
    text = f"{ROUTE}receivers: [{{name: d, {integration}}}]\n"
    assert kinds(text) == ["undeliverable"]
    assert config(text).receivers["d"].integrations[0].undeliverable


def test_a_person_who_can_be_paged_needs_a_contact() -> None:
    text = ONCALL.replace(", contacts: {console: here}", "")
    warning, policy = loaded(text).warnings
    assert (warning.kind, warning.line, warning.path) == ("no_contact", 1, "users[0]")
    assert "alice" in warning.message
    assert policy.kind == "ends_with_nobody" and "without a contact" in policy.message


def test_a_person_who_is_never_paged_needs_none() -> None:
    assert kinds(ONCALL.replace("users: [{", "users: [{name: viewer, role: viewer}, {")) == []


def test_a_person_whom_only_foreign_channels_reach_has_no_contact() -> None:
    found = loaded(ONCALL.replace("{console: here}", "{phone: '+1'}")).warnings
    kinds = ["no_contact", "undeliverable", "ends_with_nobody"]
    assert [warning.kind for warning in found] == kinds
    assert "deliver" in found[0].message


def test_a_rule_needs_a_contact_for_its_channel() -> None:
    text = ONCALL.replace(
        "contacts:", "notification_rules: {default: [{notify: email}]}, contacts:"
    )
    warning, policy = loaded(text).warnings
    assert (warning.kind, policy.kind) == ("no_contact", "ends_with_nobody")
    assert "email" in warning.message


def test_a_phone_number_serves_calls_and_short_messages() -> None:
    text = ONCALL.replace(
        "contacts: {console: here}",
        "notification_rules: {default: [{notify: [phone_call, sms, console]}]}, contacts: {phone: '+1', console: here}",
    )
    assert "no_contact" not in kinds(text)


@pytest.mark.parametrize(
    ("routes", "paths"),
    [
        ("[{matchers: [a=b]}, {matchers: [a=b, c=d]}]", ["route.routes[1]"]),
        ("[{matchers: [a=b], continue: true}, {matchers: [a=b, c=d]}]", []),
        ("[{matchers: ['a=~\"b|c\"']}, {matchers: [a=b]}]", ["route.routes[1]"]),
        ("[{matchers: ['a=~\"b|c\"']}, {matchers: [a=d]}]", []),
        ("[{}, {matchers: [a=b]}]", ["route.routes[1]"]),
        ("[{matchers: [a=b, a=c]}]", ["route.routes[0]"]),
        (
            "[{matchers: [a=b], routes: [{matchers: [a!=b]}, {matchers: [c=d]}]}]",
            ["route.routes[0].routes[0]"],
        ),
        ("[{matchers: ['a=~\"b\"']}, {matchers: ['a=~\"b\"', c=d]}]", ["route.routes[1]"]),
        ("[{matchers: [a=b]}, {matchers: [c=d]}]", []),
    ],
)
def test_a_route_that_no_alert_reaches_is_named(routes: str, paths: list[str]) -> None:
    found = loaded(f"route: {{receiver: d, routes: {routes}}}\nreceivers: [{{name: d}}]\n").warnings
    assert [(warning.kind, warning.path) for warning in found] == [
        ("never_matches", path) for path in paths
    ]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("steps: [{wait: 1m}]", ["ends_with_nobody"]),
        ("steps: []", ["ends_with_nobody"]),
        ("steps: [{notify: {users: [alice]}, matchers: [a=b]}]", ["ends_with_nobody"]),
        ("steps: [{notify: {schedule: part}}]", ["ends_with_nobody"]),
        ("steps: [{notify: {schedule: part}}, {notify: {users: [alice]}}]", []),
        ("if_nobody: {user: alice}, steps: [{notify: {schedule: part}}]", []),
        ("if_nobody: wait_for_shift, steps: [{notify: {schedule: part}}]", []),
        ("steps: [{notify: {schedule: part}, if_nobody: {user: alice}}]", []),
        ("repeat: 2, steps: [{notify: {schedule: s}}]", ["no_wait_in_repeat"]),
        ("repeat: 2, steps: [{notify: {schedule: s}}, {wait: 1m}]", []),
        (
            "steps: [{wait_for_alerts: {more_than: 3, within: 10m}}, {notify: {users: [alice]}}]",
            ["ends_with_nobody"],
        ),
        ("steps: [{notify: {users: [alice]}}, {wait_for_alerts: {more_than: 3, within: 10m}}]", []),
        ("steps: [{resolve: true}, {notify: {users: [alice]}}]", ["ends_with_nobody"]),
        ("steps: [{resolve: true, matchers: [a=b]}, {notify: {users: [alice]}}]", []),
        ("steps: [{webhook: d}, {notify: {users: [alice]}}]", ["undeliverable"]),
        (
            "steps: [{notify: {schedule: s}}, {notify: {schedule: s, position: next}}]",
            ["repeats_person"],
        ),
        (
            "steps: [{notify: {users: [alice]}}, {notify: {schedule: s, position: next}}]",
            [],
        ),
        (
            "steps: [{notify: {schedule: s}, matchers: [a=b]}, {notify: {schedule: s, position: next}}]",
            [],
        ),
    ],
)
def test_a_policy_that_can_end_with_nobody_or_repeats_at_once_is_named(
    policy: str, expected: list[str]
) -> None:
    part = "{name: part, layers: [{users: [alice], active_time_intervals: [t]}]}"
    text = "time_intervals: [{name: t, time_intervals: []}]\n" + ONCALL.replace(
        "schedules: [", f"schedules: [{part}, "
    )
    text = text.replace("steps: [{notify: {schedule: s}}]", policy)
    assert kinds(text) == expected


@pytest.mark.parametrize(
    ("quiet", "step", "warned"),
    [
        ("[night]", "", True),
        ("[noon]", "", False),
        ("[]", "", False),
        ("[night]", ", urgency: important", False),
    ],
)
def test_nights_in_which_quiet_hours_silence_a_whole_policy_are_named(
    quiet: str, step: str, warned: bool
) -> None:
    text = f"""
route: {{receiver: r}}
receivers: [{{name: r, oncall_configs: [{{escalation_policy: p}}]}}]
users:
  - {{name: ann, timezone: Europe/Berlin, contacts: {{console: x}}, quiet_hours: [night]}}
  - {{name: bob, timezone: Europe/Berlin, contacts: {{console: x}}, quiet_hours: {quiet}}}
time_intervals:
  - name: night
    time_intervals: [{{times: [{{start_time: '22:00', end_time: '24:00'}}, {{start_time: '00:00', end_time: '07:00'}}]}}]
  - {{name: noon, time_intervals: [{{times: [{{start_time: '12:00', end_time: '13:00'}}]}}]}}
schedules: [{{name: s, layers: [{{users: [ann, bob], rotation: {{every: 1w, start: 2026-01-05T09:00}}}}]}}]
escalation_policies:
  - name: p
    steps: [{{notify: {{schedule: s}}}}, {{wait: 5m}}, {{notify: {{schedule: s, position: next{step}}}}}]
"""
    assert kinds(text) == (["quiet_together"] if warned else [])


def forwarding(first: str, second: str) -> list[str]:
    """The kinds of warnings of two policies."""
    policies = f"[{{name: p, steps: {first}}}, {{name: q, steps: {second}}}]"
    return kinds(ONCALL.replace("[{name: p, steps: [{notify: {schedule: s}}]}]", policies))


def test_a_policy_that_only_hands_over_reaches_whom_the_other_reaches() -> None:
    assert forwarding("[{forward: q}]", "[{notify: {users: [alice]}}]") == []
    assert forwarding("[{forward: q}]", "[{wait: 1m}]") == ["ends_with_nobody"]
    assert forwarding(
        "[{forward: q, matchers: [a=b]}, {notify: {users: [alice]}}]", "[{wait: 1m}]"
    ) == ["ends_with_nobody"]
    assert forwarding("[{notify: {users: [alice]}}, {forward: q}]", "[{wait: 1m}]") == []
    assert forwarding("[{forward: q, matchers: [a=b]}]", "[{notify: {users: [alice]}}]") == [
        "ends_with_nobody"
    ]


def test_policies_that_hand_over_to_each_other_in_a_circle_are_named_once() -> None:
    steps = "[{notify: {users: [alice]}}, {wait: 5m}, {forward: %s}]"
    assert forwarding(steps % "q", steps % "p") == ["forwards_in_circle"]
    assert forwarding(steps % "p", steps % "p") == ["forwards_in_circle"]
    assert forwarding(steps % "q", "[{notify: {users: [alice]}}]") == []
    assert sorted(forwarding("[{forward: q}]", "[{forward: p}]")) == [
        "ends_with_nobody",
        "forwards_in_circle",
    ]


def test_sections_without_effect_are_named() -> None:
    text = (
        ROUTE
        + "receivers: [{name: d}]\ntracing: {endpoint: 'h:1'}\n"
        + "event_recorder: {kafka_outputs: [{name: k, brokers: ['h:1'], topic: t}]}\n"
    )
    assert kinds(text) == ["unused", "unused"]


def test_a_file_of_events_needs_its_folder() -> None:
    outputs = "[{name: f, path: x}, {name: g, path: not/there/x}]"
    text = ROUTE + f"receivers: [{{name: d}}]\nevent_recorder: {{file_outputs: {outputs}}}\n"
    [warning] = loaded(text).warnings
    assert warning.path == "event_recorder.file_outputs[1].path"
    assert warning.kind == "unreadable_file" and "not/there/x" in warning.message


def test_redirects_that_the_file_wants_followed_are_refused_with_the_reason() -> None:
    hooks = ", ".join(
        f"{{url: 'http://h/', http_config: {{follow_redirects: {said}}}}}"
        for said in ("true", "false")
    )
    [warning] = loaded(ROUTE + f"receivers: [{{name: d, webhook_configs: [{hooks}]}}]\n").warnings
    assert warning.path == "receivers[0].webhook_configs[0].http_config.follow_redirects"
    assert warning.kind == "unused" and "redirects are never followed" in warning.message


def test_a_notice_needs_a_contact_for_its_channel() -> None:
    text = ONCALL.replace(
        "contacts:", "notices: {going_on_call: console, gap_ahead: [email, console]}, contacts:"
    )
    (warning,) = loaded(text).warnings
    assert (warning.kind, warning.path) == ("no_contact", "users[0].notices.gap_ahead")
    assert "email" in warning.message


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        (
            "{name: q, time_intervals: [{times: [{start_time: '22:00', end_time: '24:00'}]}]}",
            ["quiet_together"],
        ),
        ("{name: q, time_intervals: [{}]}", ["endless_quiet_hours"]),
        ("{name: q, time_intervals: []}", []),
        (
            "{name: q, time_intervals: [{times: [{start_time: '00:00', end_time: '09:00'}, {start_time: '09:00', end_time: '24:00'}]}]}",
            ["endless_quiet_hours"],
        ),
    ],
)
def test_quiet_hours_that_never_end_are_named(hours: str, expected: list[str]) -> None:
    text = f"time_intervals: [{hours}]\n" + ONCALL.replace(
        "contacts:", "timezone: Asia/Tbilisi, quiet_hours: [q], contacts:"
    )
    assert kinds(text) == expected


@pytest.mark.parametrize(
    ("listen", "token", "warned"),
    [
        ("127.0.0.1:9095", "", False),
        ("'[::1]:9095'", "", False),
        ("localhost:9095", "", False),
        ("0.0.0.0:9095", "", True),
        ("0.0.0.0:9095", ", token: t", False),
    ],
)
def test_a_heartbeat_that_the_network_can_beat_is_warned_of(
    listen: str, token: str, warned: bool
) -> None:
    beats = f"heartbeats: [{{name: cron, every: 1h{token}}}]\nweb: {{listen: {listen}}}\n"
    found = [one for one in loaded(ONCALL + beats).warnings if one.kind == "no_token"]
    assert [one.path for one in found] == (["heartbeats[0]"] if warned else [])
