"""A proposal says what would become of the file; writing puts it there whole, or leaves everything as it was."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from amproxy.config.loader import load
from amproxy.edit.change import ConfigEntryChange, file_digest, propose_change, write_file
from amproxy.errors import ConfigError, Conflict

NOW = datetime(2026, 1, 6, 10, tzinfo=UTC)
FILE = """\
route: {receiver: r}
receivers: [{name: r, oncall_configs: [{escalation_policy: main}]}]
users:
  - name: alice
    contacts: {telegram: 111, webhook: https://hooks.example.org/very-secret}
  - {name: bob, contacts: {telegram: 222}}
schedules:
  - name: primary
    layers: [{users: [alice]}]
escalation_policies:
  - name: main
    steps:
      - notify: {schedule: primary}
sources:
  - {name: am, token: very-secret}
global: {telegram_bot_token: very-secret}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "routes.yaml").write_text(FILE, "utf-8")
    return tmp_path / "routes.yaml"


def steps(*found: object) -> ConfigEntryChange:
    return ConfigEntryChange(section="escalation_policies", name="main", set={"steps": list(found)})


def names(folder: Path) -> list[str]:
    return sorted(found.name for found in folder.iterdir())


def test_a_good_change_is_shown_as_a_diff_and_nothing_is_written(path: Path) -> None:
    found = propose_change(
        path,
        steps({"notify": {"schedule": "primary"}}, {"wait": "5m"}, {"notify": {"users": ["bob"]}}),
        NOW,
    )
    assert found.problems == [] and found.warnings == [] and found.writable and found.loaded
    assert found.diff.startswith("--- a/routes.yaml\n+++ b/routes.yaml\n@@ ")
    assert "\n+      - wait: 5m\n+      - notify: {users: [bob]}\n" in found.diff
    assert "very-secret" not in found.diff and "token: <secret>" in found.diff
    assert (
        path.read_text("utf-8") == FILE
        and found.digest == file_digest(path.read_bytes()) == load(path).config.digest
    )


def test_what_would_not_load_is_said_with_its_place_and_what_becomes_doubtful_is_warned_of(
    path: Path,
) -> None:
    [problem] = propose_change(path, steps({"notify": {"schedule": "nowhere"}}), NOW).problems
    assert str(problem).startswith(f"{path}:13:") and "there is no schedule 'nowhere'" in str(
        problem
    )
    [problem] = propose_change(
        path, ConfigEntryChange(section="escalation_policies", name="main", delete=True), NOW
    ).problems
    assert "there is no escalation policy 'main'" in problem.message
    [warning] = propose_change(path, steps({"wait": "5m"}), NOW).warnings
    assert warning.kind == "ends_with_nobody"
    gone = ConfigEntryChange(
        section="schedules",
        name="primary",
        set={"layers": [{"users": ["bob"], "rotation": {"every": "1w", "start": "2026-02-01"}}]},
    )
    assert "gap" in {warning.kind for warning in propose_change(path, gone, NOW).warnings}


def test_the_diff_of_a_person_does_not_show_the_people_beside_them(path: Path) -> None:
    found = propose_change(
        path, ConfigEntryChange(section="users", name="bob", set={"timezone": "Asia/Tbilisi"}), NOW
    )
    assert "Tbilisi" in found.diff and "alice" not in found.diff and "hooks" not in found.diff


def test_a_file_that_cannot_be_read_is_no_proposal(path: Path) -> None:
    for broken in (b"route: [", b"\xff\xfe"):
        path.write_bytes(broken)
        with pytest.raises(ConfigError):
            propose_change(path, steps(), NOW)
    path.unlink()
    with pytest.raises(ConfigError):
        propose_change(path, steps(), NOW)


def test_writing_keeps_the_mode_follows_a_link_and_leaves_nothing_behind(
    path: Path, tmp_path: Path
) -> None:
    path.chmod(0o640)
    link = tmp_path / "folder" / "link.yaml"
    link.parent.mkdir()
    link.symlink_to(path)
    found = propose_change(link, steps({"notify": {"users": ["bob"]}}), NOW)
    assert write_file(link, found.text.encode(), found.digest) == FILE.encode()
    assert link.is_symlink() and path.read_text("utf-8") == found.text
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert names(tmp_path) == ["folder", "routes.yaml"] and names(link.parent) == ["link.yaml"]


def test_a_file_that_has_changed_since_is_not_written(path: Path) -> None:
    found = propose_change(path, steps({"notify": {"users": ["bob"]}}), NOW)
    path.write_text(FILE + "# mine\n", "utf-8")
    with pytest.raises(Conflict, match="has changed since"):
        write_file(path, found.text.encode(), found.digest)
    assert path.read_text("utf-8") == FILE + "# mine\n"


def test_a_folder_that_cannot_be_written_leaves_the_file_whole(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = propose_change(path, steps({"notify": {"users": ["bob"]}}), NOW)

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Conflict, match="No space left"):
        write_file(path, found.text.encode(), found.digest)
    assert path.read_text("utf-8") == FILE and names(path.parent) == ["routes.yaml"]
