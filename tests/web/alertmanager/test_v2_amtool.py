"""The real amtool works against the API as it does against Alertmanager."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.alertmanager.served import Api, cases
from tests.support.servers import needs, program

pytestmark = needs("amtool")

CASES = cases("amtool_calls.json")["cases"]
# ids of the recording, and what needs a path prefix or a file of its own
NOT_HERE = ("2fdc8432", "check-config")


@pytest.fixture
def amtool(
    serve: Callable[..., Api], tmp_path: Path
) -> Callable[..., subprocess.CompletedProcess[str]]:
    api = serve()

    def run(*arguments: str, said: str | None = None) -> subprocess.CompletedProcess[str]:
        command = [program("amtool"), f"--alertmanager.url={api.url}", *arguments]
        environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
        return subprocess.run(
            command,
            input=said,
            capture_output=True,
            text=True,
            timeout=60,
            env=environment,
            check=False,
        )

    return run


def printed(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


def as_json(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return json.loads(printed(done))  # type: ignore[no-any-return]


Amtool = Callable[..., "subprocess.CompletedProcess[str]"]


def test_every_recorded_command_ends_as_it_did_against_alertmanager(amtool: Amtool) -> None:
    for case in CASES:
        arguments = case["args"]
        if case["url"] != "http://127.0.0.1:PORT" or any(
            word.startswith(NOT_HERE) for word in arguments
        ):
            continue
        done = amtool(*arguments)
        assert done.returncode == case["exit"], (arguments, done)
        assert bool(done.stdout) == bool(case["stdout"]) or "silence" in arguments, (
            arguments,
            done,
        )


def test_alerts_are_added_and_queried(amtool: Amtool) -> None:
    printed(amtool("alert", "add", "foo", "node=bar", "team=a", "--annotation=summary=hello world"))
    assert "hello world" in printed(amtool("alert", "query", "foo"))
    (alert,) = as_json(amtool("alert", "query", "-o", "json", "node=~b.*"))
    assert alert["receivers"] == [{"name": "team-a"}, {"name": "team-b"}]
    assert as_json(amtool("alert", "query", "-o", "json", "--receiver=team-[cd]")) == []


def test_a_silence_is_added_queried_changed_and_expired(amtool: Amtool) -> None:
    printed(amtool("alert", "add", "foo"))
    first = printed(
        amtool("silence", "add", "foo", "node=~b|", "-c", "works", "-a", "ann", "-d", "2h")
    ).strip()
    assert printed(amtool("silence", "query", "-q")).split() == [first]
    assert printed(amtool("silence", "query", "--within", "3h", "-q", "foo")).split() == [first]
    assert as_json(amtool("alert", "query", "-o", "json")) == []
    assert len(as_json(amtool("alert", "query", "-s", "-o", "json"))) == 1

    printed(amtool("silence", "update", "-d", "4h", "-c", "longer", first))
    (shown,) = as_json(amtool("silence", "query", "-o", "json"))
    assert (shown["id"], shown["comment"]) == (first, "longer")

    printed(amtool("silence", "expire", first))
    assert printed(amtool("silence", "query", "-q")) == ""
    assert printed(amtool("silence", "query", "--expired", "-q")).split() == [first]
    assert len(as_json(amtool("alert", "query", "-o", "json"))) == 1


def test_silences_are_exported_and_imported(amtool: Amtool) -> None:
    printed(amtool("silence", "add", "a=b", "-c", "one", "-d", "2h"))
    printed(amtool("silence", "add", "c=d", "-c", "two", "-d", "3h"))
    exported = printed(amtool("silence", "query", "-o", "json"))
    for silence in json.loads(exported):
        printed(amtool("silence", "expire", silence["id"]))
    printed(amtool("silence", "import", said=exported))
    printed(amtool("silence", "import", "--force", said=exported))
    assert sorted(
        silence["comment"] for silence in as_json(amtool("silence", "query", "-o", "json"))
    ) == ["one", "one", "two", "two"]


def test_an_unknown_silence_is_a_failure_and_not_a_crash(amtool: Amtool) -> None:
    done = amtool("silence", "expire", "00000000-0000-0000-0000-000000000001")
    assert done.returncode == 1
    assert "404" in done.stderr


def test_configuration_routes_and_cluster_are_shown(amtool: Amtool) -> None:
    assert "receiver: team-a" in printed(amtool("config", "show"))
    assert '{team="a"}' in printed(amtool("config", "routes", "show"))
    assert printed(amtool("config", "routes", "test", "team=a")).strip() == "team-a,team-b"
    assert "ready" in printed(amtool("cluster", "show"))
