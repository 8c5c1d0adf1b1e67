"""What loads and is doubtful all the same."""

from __future__ import annotations

import pytest

from tests.support.config.configs import ONCALL, ROUTE, config, kinds, loaded


def _slack(key: str, text: str) -> str:
    return f"{ROUTE}receivers: [{{name: d, slack_configs: [{{api_url: 'http://h/', {key}: '{text}'}}]}}]\n"


def test_a_sound_file_has_no_warnings() -> None:
    assert kinds(ONCALL) == []


@pytest.mark.parametrize(
    "text",
    [
        "{{ .CommonLabels.a }}",
        "{{- x }}",
        '{{ template "x" . }}',
        "{{ range .Alerts }}x{{ end }}",
        "{{ if x }}a{{ end }}",
        "{{ $x }}",
        "{{ len .Alerts }}",
        "{{ . }}",
        '{{ toUpper "a" }}',
    ],
)
def test_a_go_template_is_undeliverable(text: str) -> None:
    found = loaded(_slack("text", text))
    assert [(warning.kind, warning.path) for warning in found.warnings] == [
        ("undeliverable", "receivers[0].slack_configs[0]")
    ]
    assert found.config.receivers["d"].integrations[0].undeliverable is not None
    assert "text is " in found.warnings[0].message


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        "{{ group_labels.alertname }}",
        "{{ alerts | length }}",
        '{{ "a" if firing else "b" }}',
        "{% if firing %}x{% endif %}",
    ],
)
def test_plain_text_and_jinja_are_delivered(text: str) -> None:
    found = loaded(_slack("text", text))
    assert found.warnings == []
    assert found.config.receivers["d"].integrations[0].undeliverable is None


@pytest.mark.parametrize(
    "integration",
    [
        "pagerduty_configs: [{routing_key: k}]",
        "webhook_configs: [{url: 'http://h/', payload: {a: b}}]",
        "msteams_configs: [{webhook_url: 'http://h/'}]",
    ],
)
def test_what_amproxy_cannot_send_is_undeliverable(integration: str) -> None:
    text = f"{ROUTE}receivers: [{{name: d, {integration}}}]\n"
    assert kinds(text) == ["undeliverable"]
    assert config(text).receivers["d"].integrations[0].undeliverable


def test_a_key_without_effect_is_named() -> None:
    (warning,) = loaded(_slack("color", "red")).warnings
    assert (warning.kind, warning.path) == ("unused", "receivers[0].slack_configs[0].color")


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
        + "receivers: [{name: d}]\ntemplates: ['*.tmpl']\ntracing: {endpoint: 'h:1'}\nevent_recorder: {file_outputs: [{path: x}]}\n"
    )
    assert kinds(text) == ["unused", "unused", "unused"]


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
