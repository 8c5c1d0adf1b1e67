"""`amproxy template render`: what the real `amtool template render` says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from amproxy.cli import main
from tests.support.cases import ALERTMANAGER

DATA = json.loads((ALERTMANAGER / "templates.json").read_text("utf-8"))["data"]


DEFAULTS = json.loads((ALERTMANAGER / "default_templates.json").read_text("utf-8"))["outputs"]
LISTS = ("__text_alert_list", "__text_alert_list_markdown", "pagerduty.default.instances")


def rendered(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        main(["template", "render", *arguments])
    assert ended.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("data", sorted(DATA))
def test_default_templates_say_what_alertmanagers_say(
    data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "data.json"
    file.write_text(json.dumps(DATA[data]))
    for name, outputs in DEFAULTS.items():
        arguments = ["--template.data", str(file), "--template.glob", f"{tmp_path}/*.tmpl"]
        of = ".Alerts" if name in LISTS else "."
        arguments += ["--template.text", f'{{{{ template "{name}" {of} }}}}']
        assert rendered(arguments, capsys) == outputs[data] + "\n", name


def test_files_of_templates_are_used_and_an_error_is_said_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "a.tmpl").write_text('{{ define "a" }}<{{ .Status }}>{{ end }}')
    argv = [sys.executable, "-m", "amproxy", "template", "render"]
    argv += ["--template.glob", f"{tmp_path}/*.tmpl", "--template.text"]
    done = subprocess.run(
        [*argv, '{{ template "a" . }}'], check=False, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "<firing>\n")
    (tmp_path / "b.tmpl").write_text("one\n{{ if }}")
    done = subprocess.run([*argv, "x"], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and f"{tmp_path}/b.tmpl:2:" in done.stderr


def test_a_page_is_escaped_by_context(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--template.type", "html", "--template.glob", f"{tmp_path}/*.tmpl"]
    text = "<a href='?{{ `a b` }}' onclick='f({{ `a` }})'>{{ `<` }}{{ safeHtml `<b>` }}</a>"
    assert rendered([*arguments, "--template.text", text], capsys) == (
        "<a href='?a%20b' onclick='f(&#34;a&#34;)'>&lt;<b></a>\n"
    )
