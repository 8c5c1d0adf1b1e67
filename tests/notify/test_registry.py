"""One line of the registry makes a channel: the made-up one of docs/channels.md, as that page has it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.standins.serving import Request, Response, Server
from tests.support.waiting import until

PAGE = (Path(__file__).parent.parent.parent / "docs" / "channels.md").read_text("utf-8")
ROUTES = """
global: {{siren_token: hunter2}}
route: {{receiver: r, routes: [{{receiver: box, matchers: [to=box]}}]}}
receivers:
  - name: r
    oncall_configs: [{{escalation_policy: p}}]
  - name: box
    siren_configs: [{{url: '{url}/box', volume: 9, text: 'Look at {{{{ .Status }}}}'}}]
users: [{{name: alice, contacts: {{siren: '{url}/alice'}}}}]
schedules: [{{name: s, layers: [{{users: [alice]}}]}}]
escalation_policies: [{{name: p, steps: [{{notify: {{schedule: s}}}}]}}]
"""
RUN = """
import sys
import amproxy.notify.channels
from amproxy.config.channels import REGISTRY
amproxy.notify.channels.__path__.append({folder!r})
{line}
from amproxy.cli import main
sys.exit(main())
"""


class SirenBox:
    """A box on the wall; `spoken` is (path, text, volume)."""

    def __init__(self) -> None:
        self.spoken: list[tuple[str, str, int]] = []
        self.server = Server(self._handle)

    async def _handle(self, request: Request) -> Response:
        if request.headers.get("authorization") != "Bearer hunter2":
            return Response.json({"error": "who is there?"}, 401)
        body = json.loads(request.body)
        if not isinstance(body["say"], str) or not 0 < len(body["say"]) <= 300:
            return Response.json({"error": "say something short"}, 400)
        self.spoken.append((request.path, body["say"], body["volume"]))
        return Response.json({})


@pytest.fixture
def box() -> Iterator[SirenBox]:
    found = SirenBox()
    found.server.start()
    yield found
    found.server.stop()


@pytest.fixture
def command(tmp_path: Path, box: SirenBox) -> list[str]:
    """`amproxy` with the page's folder and the page's line, and a file that uses the channel."""
    folder = tmp_path / "channels"
    blocks = re.findall(
        r"^```python\n# amproxy/notify/channels/(\S+)\n(.*?)^```$", PAGE, re.M | re.S
    )
    assert [name for name, _ in blocks] == ["siren/settings.py", "siren/channel.py"]
    for name, text in blocks:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "siren" / "__init__.py").touch()
    [(name, place)] = re.findall(r'^    "(siren)": "(\S+)",$', PAGE, re.M)
    run = tmp_path / "run.py"
    run.write_text(RUN.format(folder=str(folder), line=f"REGISTRY[{name!r}] = {place!r}"))
    (tmp_path / "routes.yaml").write_text(ROUTES.format(url=box.server.address))
    return [sys.executable, str(run)]


def answer(command: list[str], tmp_path: Path, *words: str) -> dict[str, list[dict[str, str]]]:
    config = str(tmp_path / "routes.yaml")
    done = subprocess.run(
        [*command, *words, "--config", config, "--json"], check=False, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
    return dict(json.loads(done.stdout))


def test_check_knows_the_channel_and_simulate_pages_over_it(
    command: list[str], tmp_path: Path
) -> None:
    checked = answer(command, tmp_path, "check")
    assert not [w for w in checked["warnings"] if w["kind"] in ("undeliverable", "no_contact")]
    pages = answer(command, tmp_path, "simulate", "alertname=Down")["pages"]
    assert [(page["user"], page["channel"]) for page in pages] == [("alice", "siren")]


def test_the_service_pages_people_and_tells_receivers_over_it(
    command: list[str], tmp_path: Path, box: SirenBox
) -> None:
    log = tmp_path / "log"
    with log.open("wb") as output:
        config = ("--config", str(tmp_path / "routes.yaml"), "--data-dir", str(tmp_path / "data"))
        process = subprocess.Popen(
            [*command, "serve", *config, "--listen", "127.0.0.1:0"], stderr=output
        )
    try:
        address = until(lambda: re.search(r'Listening on" address=(\S+)', log.read_text()))
        for labels in ({"alertname": "Down"}, {"alertname": "Full", "to": "box"}):
            body = {"alerts": [{"status": "firing", "labels": labels}]}
            url = f"http://{address[1]}/webhook/any"
            headers = {"Content-Type": "application/json"}
            push = urllib.request.Request(url, json.dumps(body).encode(), headers)
            until(lambda push=push: urllib.request.urlopen(push, timeout=30).status == 200)
        until(lambda: len(box.spoken) >= 2)
    finally:
        process.terminate()
        process.wait(60)
    assert ("/alice", "triggered: Down", 5) in box.spoken
    assert [(path, volume) for path, text, volume in box.spoken if text.startswith("Look at")] == [
        ("/box", 9)
    ]
    assert "hunter2" not in log.read_text()
