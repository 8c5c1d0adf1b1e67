"""amproxy in Alertmanager's place: its command line, classic mode, a delayed start."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from amproxy.server.alertmanager_options import go_seconds, listen_address, matcher_mode
from amproxy.server.serve import ServeOptions, dispatch_start
from tests.support.acceptance.catcher import Catcher
from tests.support.server.reached import Client
from tests.support.waiting import until

FILE = """
route: {{receiver: r, group_wait: 0s, group_interval: 1s}}
receivers: [{{name: r, webhook_configs: [{{url: '{url}'}}]}}]
"""
DELAY = 6.0


@pytest.fixture(scope="module")
def catcher() -> Iterator[Catcher]:
    with Catcher() as catcher:
        yield catcher


@pytest.fixture(scope="module")
def client(
    tmp_path_factory: pytest.TempPathFactory, catcher: Catcher
) -> Iterator[tuple[Client, float]]:
    """A service with the command line of a unit file of Alertmanager's, and its start."""
    folder = tmp_path_factory.mktemp("place")
    config, log = folder / "alertmanager.yml", folder / "log"
    config.write_text(FILE.format(url=catcher.address("hook")))
    options = [
        *(f"--config.file={config}", "--storage.path", str(folder / "data")),
        *("--web.listen-address", "127.0.0.1:0", "--cluster.listen-address="),
        *("--cluster.peer", "a:9094", "--cluster.peer=b:9094", "--no-log.silences"),
        *("--data.retention=120h", "--enable-feature=classic-mode"),
        f"--dispatch.start-delay={DELAY}s",
    ]
    began = time.monotonic()
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, "-m", "amproxy", *options], stderr=out)
    try:
        listening = until(lambda: re.search(r"Listening on\" address=(\S+)", log.read_text()))
        yield Client(f"http://{listening[1]}"), began
    finally:
        process.terminate()
        assert process.wait(60) == 0
    assert log.read_text().count("option without effect") == 4


def test_nothing_is_dispatched_before_the_delay_is_over(
    client: tuple[Client, float], catcher: Catcher
) -> None:
    web, began = client
    alerts = [{"labels": {"alertname": name}} for name in ("A", "B")]
    assert web.ask("/api/v2/alerts", alerts).status == 200
    until(lambda: catcher.came("hook"))
    assert time.monotonic() - began >= DELAY
    assert catcher.came("hook")[0].body.count(b'"fingerprint"') == 2


def test_the_delay_counts_from_the_start_of_the_process() -> None:
    options = ServeOptions(Path("a.yml"), Path("data"), start_delay=5.0, started=100.0)
    assert dispatch_start(options, now=1_000.0, monotonic=102.0) == 1_003.0


def test_in_classic_mode_names_are_ascii(client: tuple[Client, float]) -> None:
    web, _ = client
    refused = web.ask("/api/v2/alerts", [{"labels": {"alertname": "A", "Σ": "c"}}])
    assert refused.status == 400 and "invalid label set" in refused.text
    matcher = {"name": "fooΣ", "value": "x", "isRegex": False, "isEqual": True}
    times = {"startsAt": "2020-01-01T00:00:00Z", "endsAt": "2099-01-01T00:00:00Z"}
    silence = {"matchers": [matcher], **times, "createdBy": "a", "comment": "b"}
    refused = web.ask("/api/v2/silences", silence)
    assert refused.status == 400 and "invalid label matcher" in refused.text
    assert (
        web.ask("/api/v2/silences", silence | {"matchers": [matcher | {"name": "foo"}]}).status
        == 200
    )
    assert web.ask("/api/v2/alerts?filter=%CE%A3%3Dc").status == 400


@pytest.mark.parametrize(
    ("features", "mode"),
    [
        ("", "fallback"),
        ("classic-mode", "classic"),
        ("auto-gomemlimit,utf8-strict-mode", "utf8"),
        ("event-recorder", "fallback"),
    ],
)
def test_features_say_which_grammar_is_read(features: str, mode: str) -> None:
    assert matcher_mode(features) == mode


@pytest.mark.parametrize("features", ["classic", "classic-mode,utf8-strict-mode"])
def test_a_feature_that_alertmanager_does_not_have_is_refused(features: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        matcher_mode(features)


def test_durations_and_addresses_are_read_as_alertmanager_reads_them() -> None:
    assert [go_seconds(text) for text in ("0s", "1m30s", "0")] == [0.0, 90.0, 0.0]
    with pytest.raises(argparse.ArgumentTypeError):
        go_seconds("5")
    assert listen_address(":9093") == "0.0.0.0:9093"
    assert listen_address("[::1]:9093") == "[::1]:9093"


def test_two_addresses_are_refused(tmp_path: Path) -> None:
    twice = ["--web.listen-address=127.0.0.1:0"] * 2
    ended = subprocess.run(
        [sys.executable, "-m", "amproxy", *twice], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1 and "listens on one address" in ended.stderr
