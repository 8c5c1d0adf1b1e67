"""`amproxy check` for programs and for people."""

from __future__ import annotations

from pathlib import Path

from amproxy.check.report import check_config, render_check_report
from amproxy.config.loader import load, source_lines
from amproxy.errors import ConfigProblem
from amproxy.text import Phrase
from tests.support.config.configs import ONCALL


def _report(tmp_path: Path, text: str) -> tuple[dict[str, object], str, str]:
    path = tmp_path / "routes.yaml"
    path.write_text(text)
    found = check_config(lambda: load(path, {}))
    return found, render_check_report(found, source_lines), str(path)


def test_a_sound_file_is_fine(tmp_path: Path) -> None:
    found, text, _ = _report(tmp_path, ONCALL)
    assert found == {"ok": True, "errors": [], "warnings": []}
    assert text == "fine: no errors, no warnings"


def test_an_error_has_the_contracts_fields_and_shows_its_line_with_a_caret(tmp_path: Path) -> None:
    found, text, path = _report(tmp_path, "route:\n  receiver: dd\nreceivers:\n  - name: d\n")
    message = "there is no receiver 'dd': did you mean 'd'?"
    assert found == {
        "ok": False,
        "errors": [
            {
                "file": path,
                "line": 2,
                "column": 13,
                "path": "route.receiver",
                "message": message,
                "code": "no_receiver",
                "arguments": {
                    "name": "dd",
                    "hint": {"code": "problem.did_you_mean", "arguments": {"word": "d"}},
                },
            }
        ],
        "warnings": [],
    }
    assert text.splitlines() == [
        f"{path}:2:13: error: {message} [route.receiver]",
        "      receiver: dd",
        "                ^",
        "failed: 1 error",
    ]


def test_a_warning_has_its_kind_and_leaves_the_file_fine(tmp_path: Path) -> None:
    found, text, path = _report(tmp_path, ONCALL.replace(", contacts: {console: here}", ""))
    assert found["ok"] is True
    assert f"{path}:1:9: warning (no_contact): alice" in text
    assert text.endswith("fine: 2 warnings")


def test_warnings_from_elsewhere_take_their_place_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "routes.yaml"
    path.write_text(ONCALL.replace(", contacts: {console: here}", ""))
    found = check_config(
        lambda: load(path, {}),
        lambda config: [
            ConfigProblem(
                Phrase("problem.empty"), line=config.schedules["s"].place.line, kind="gap"
            )
        ],
    )
    assert [(warning["kind"], warning["line"]) for warning in found["warnings"]] == [
        ("no_contact", 1),
        ("gap", 2),
        ("ends_with_nobody", 3),
    ]


def test_the_shown_line_hides_what_may_be_secret_and_the_caret_follows(tmp_path: Path) -> None:
    line = 'global: {slack_api_url: "https://h/hunter2", telegram_bot_tokn: hunter2, x: 1, smtp_auth_password_file: f}'
    _, text, _ = _report(tmp_path, f"{line}\nroute: {{receiver: d}}\nreceivers: [{{name: d}}]\n")
    assert "hunter2" not in text
    shown = "    global: {slack_api_url: <secret>, telegram_bot_tokn: <secret>, x: 1, smtp_auth_password_file: f}"
    lines = text.splitlines()
    assert lines[1] == lines[4] == shown
    assert lines[2].index("^") == shown.index("telegram_bot_tokn")
    assert lines[5].index("^") == shown.index("x: 1")


def test_a_file_that_is_not_there_is_an_error_without_a_line(tmp_path: Path) -> None:
    found = check_config(lambda: load(tmp_path / "none.yaml", {}))
    assert found["ok"] is False
    assert render_check_report(found, source_lines).splitlines() == [
        f"{tmp_path / 'none.yaml'}:0:0: error: cannot read the file: No such file or directory",
        "failed: 1 error",
    ]


def test_a_hostile_line_cannot_steer_the_terminal(tmp_path: Path) -> None:
    _, text, _ = _report(tmp_path, 'route: {receiver: d, "\\e[31m": 1}\nreceivers: [{name: d}]\n')
    assert "\x1b" not in text


def test_receivers_that_deliver_nothing_are_counted_loudly(tmp_path: Path) -> None:
    # Nothing can be sent without a chat, whatever channels there are.
    nowhere = "telegram_configs: [{bot_token: t, chat_id_file: nowhere}]"
    text = f"""
route: {{receiver: a}}
receivers:
- {{name: a, {nowhere}}}
- {{name: b, {nowhere}, webhook_configs: [{{url: 'http://h/'}}]}}
- {{name: c, webhook_configs: [{{url: 'http://h/'}}]}}
- {{name: nobody}}
"""
    path = tmp_path / "alertmanager.yml"
    path.write_text(text)
    found = check_config(lambda: load(path))
    assert found["silent_receivers"] == {"names": ["a"], "of": 3}
    report = render_check_report(found, source_lines)
    assert "\n1 of 3 receivers deliver nothing: a\n" in report


def test_a_problem_of_a_template_file_shows_the_line_of_that_file(tmp_path: Path) -> None:
    (tmp_path / "words.tmpl").write_text('{{ define "x" }}\n  {{ nofunc . }}\n{{ end }}\n')
    found, text, _ = _report(
        tmp_path, "templates: ['*.tmpl']\nroute: {receiver: d}\nreceivers: [{name: d}]\n"
    )
    assert found["ok"] is False
    place, shown, caret, _ = text.splitlines()
    assert place.startswith(f"{tmp_path / 'words.tmpl'}:2:6: error: ")
    assert shown == "      {{ nofunc . }}"
    assert caret.index("^") == shown.index("nofunc")
