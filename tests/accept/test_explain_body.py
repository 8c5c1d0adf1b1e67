"""`amproxy explain --source NAME --body FILE`: how a body is understood, and where its alerts go."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from amproxy.cli import main
from tests.support.accept.senders import github_run, kuma

FILE = """
route: {receiver: on-call, group_by: [alertname]}
receivers: [{name: on-call, oncall_configs: [{escalation_policy: simple}]}]
users: [{name: alice, contacts: {console: alice}}]
escalation_policies: [{name: simple, steps: [{notify: {users: [alice]}}]}]
sources:
  - {name: kuma, token: t}
  - name: shop
    token: t
    mapping:
      title: what.name
      state: "{{ 'ok' if level < 2 else 'bad' }}"
"""


class Explained(SimpleNamespace):
    status: int
    out: str
    error: str


@pytest.fixture
def explain(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run the command with a body; status, output and error."""
    config, body_file = tmp_path / "routes.yaml", tmp_path / "body.json"
    config.write_text(FILE)

    def run(body: Any, *options: str, source: str = "kuma") -> Explained:
        body_file.write_bytes(body if isinstance(body, bytes) else json.dumps(body).encode())
        words = ["explain", "--config", str(config), "--source", source, "--body", str(body_file)]
        with pytest.raises(SystemExit) as ended:
            main([*words, *options])
        captured = capsys.readouterr()
        return Explained(status=ended.value.code, out=captured.out, error=captured.err)

    return run


def test_a_body_is_shown_as_understood_and_whom_it_pages(explain: Any) -> None:
    shown = explain(kuma(0, "timeout"))
    assert shown.status == 0
    for words in ("Uptime Kuma", "id:7", "[shop] timeout", "firing", '{alertname="shop"', "alice"):
        assert words in shown.out, words


def test_the_json_has_the_same(explain: Any) -> None:
    [alert] = json.loads(explain(kuma(0, "timeout"), "--json").out)
    assert (alert["form"], alert["identity"], alert["state"]) == ("Uptime Kuma", "id:7", "firing")
    assert alert["labels"]["alertname"] == "shop"
    assert [page["user"] for page in alert["explained"]["pages"]] == ["alice"]


def test_an_end_and_what_changes_nothing_page_nobody(explain: Any) -> None:
    for body, state in ((kuma(1, "200"), "resolved"), (github_run(2, None), "unchanged")):
        [alert] = json.loads(explain(body, "--json").out)
        assert alert["state"] == state and "explained" not in alert


def test_a_mapping_is_tried_and_its_faults_are_told(explain: Any) -> None:
    shown = explain({"what": {"name": "Till stuck"}, "level": "x"}, source="shop")
    assert "Till stuck" in shown.out and "state: '<' not supported" in " ".join(shown.out.split())
    [alert] = json.loads(explain({"what": {"name": "T"}, "level": 1}, "--json", source="shop").out)
    assert (alert["title"], alert["state"], alert["faults"]) == ("T", "resolved", [])


def test_a_webhook_of_alertmanager_is_explained_too(explain: Any) -> None:
    sent = [
        {"status": status, "labels": {"alertname": "Disk"}} for status in ("firing", "resolved")
    ]
    found = json.loads(explain({"alerts": sent, "groupKey": "k"}, "--json").out)
    assert [(one["form"], one["state"]) for one in found] == [
        ("webhook v4", "firing"),
        ("webhook v4", "resolved"),
    ]


@pytest.mark.parametrize(
    ("body", "says"), [(b"{", "refused with 400"), (b"[]", "422"), ({"groupKey": "k"}, "missing")]
)
def test_what_would_be_refused_is_refused_with_the_reason(
    explain: Any, body: Any, says: str
) -> None:
    shown = explain(body)
    assert (shown.status, says in shown.error, shown.out) == (1, True, "")


def test_options_that_do_not_fit_are_refused(explain: Any, monkeypatch: Any) -> None:
    assert "no source" in explain({"title": "x"}, source="nobody").error
    assert "either" in explain({"title": "x"}, "alertname=Disk").error
    stdin = SimpleNamespace(buffer=io.BytesIO(b'{"title": "from stdin"}'))
    monkeypatch.setattr("sys.stdin", stdin)
    assert "from stdin" in explain(b"", "--body", "-").out
