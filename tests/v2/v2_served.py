"""The API v2 served for tests: a real Redis, a real HTTP server, a clock that the test sets."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import uvicorn
from starlette.responses import PlainTextResponse

from amproxy.accept.push import PushEndpoints
from amproxy.config.structs import Config, InhibitRule, Receiver, Route
from amproxy.context import Context
from amproxy.labels.matchers import parse_matchers
from amproxy.server.service import App
from amproxy.store.embedded import find_server
from amproxy.store.wire import Wire
from amproxy.web.alertmanager.api import AlertmanagerApi

CASES = Path(__file__).parent.parent / "cases" / "alertmanager"
JSON = {"Content-Type": "application/json"}

# the configuration that the recorded cases ran with
ORIGINAL = """\
route:
  receiver: default
  group_by: [alertname]
  routes:
    - matchers: [team="a"]
      receiver: team-a
      continue: true
    - matchers: [team=~"a|b"]
      receiver: team-b
receivers:
  - name: default
  - name: team-a
  - name: team-b
templates: []
"""


def cases(name: str) -> Any:
    """A file of recorded cases."""
    return json.loads((CASES / name).read_text("utf-8"))


def route(receiver: str, key: str, matchers: str = "", **more: Any) -> Route:
    """A route with no waiting, so that nothing but the request decides what is shown."""
    found = tuple(parse_matchers(matchers)) if matchers else ()
    return Route(**{"receiver": receiver, "key": key, "matchers": found, "group_by": ("alertname",), "group_wait": 0.0, **more})


def config(**more: Any) -> Config:
    root = route(
        "default",
        "{}",
        routes=(route("team-a", '{}/{team="a"}', 'team="a"', continue_=True), route("team-b", '{}/{team=~"a|b"}', 'team=~"a|b"')),
    )
    rule = InhibitRule(
        source_matchers=tuple(parse_matchers('severity="critical"')),
        target_matchers=tuple(parse_matchers('severity="warning"')),
        equal=("cluster",),
    )
    receivers = {name: Receiver(name=name) for name in ("default", "team-a", "team-b")}
    return Config(**{"route": root, "receivers": receivers, "inhibit_rules": (rule,), "original": ORIGINAL, **more})


class Answered(NamedTuple):
    status: int
    headers: Mapping[str, str]  # names in lower case
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass
class Api:
    """A served API. `clock` is what it takes for the time; its first element may be changed at any moment."""

    url: str = ""
    clock: list[float] = field(default_factory=list)
    context: Context | None = None
    loop: asyncio.AbstractEventLoop | None = None

    def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answered:
        """One request; a body that is no text or bytes is sent as JSON."""
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=10)
        sent = dict(headers if headers is not None else JSON if body is not None else {})
        if body is not None and not isinstance(body, str | bytes):
            body = json.dumps(body)
        try:
            connection.request(method, path, body.encode() if isinstance(body, str) else body, sent)
            answer = connection.getresponse()
            return Answered(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode())
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        answer = self.ask("GET", f"/api/v2{path}")
        assert answer.status == 200, answer
        return answer.json

    def push(self, *alerts: dict[str, Any]) -> None:
        """Post alerts; a plain label set will do."""
        answer = self.ask("POST", "/api/v2/alerts", [alert if "labels" in alert else {"labels": alert} for alert in alerts])
        assert answer.status == 200, answer

    def silence(self, *matchers: str, start: float = 0, end: float = 3600, **more: Any) -> Answered:
        """Post a silence; times are seconds from the clock's."""
        return self.ask("POST", "/api/v2/silences", self.silence_body(*matchers, start=start, end=end, **more))

    def silence_body(self, *matchers: str, start: float = 0, end: float = 3600, **more: Any) -> dict[str, Any]:
        parsed = [parse_matchers(text)[0] for text in matchers]
        return {
            "matchers": [
                {"name": m.name, "value": m.value, "isRegex": m.op in ("=~", "!~"), "isEqual": m.op in ("=", "=~")} for m in parsed
            ],
            "startsAt": rfc3339(self.clock[0] + start),
            "endsAt": rfc3339(self.clock[0] + end),
            "createdBy": "ann",
            "comment": "works",
            **more,
        }

    def run(self, coroutine: Any) -> Any:
        """Run a coroutine in the server's event loop."""
        assert self.loop is not None
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)


def rfc3339(seconds: float) -> str:
    whole, rest = divmod(int(seconds * 1000), 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{rest:03}Z"


@pytest.fixture
def redis() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A real server of this test's own, and its process."""
    with tempfile.TemporaryDirectory(prefix="amproxy-v2-") as folder:  # short: the path of a socket must be
        path = Path(folder) / "r.sock"
        command = [find_server(), "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", folder]
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while not path.exists():
            time.sleep(0.005)
        yield f"unix://{path}", child
        child.kill()
        child.wait()


@pytest.fixture
def serve(redis: tuple[str, subprocess.Popen[bytes]]) -> Iterator[Callable[..., Api]]:
    """Serve a configuration on a free port of loopback; the clock stands still at `now`, or is the real one."""
    ends: list[Callable[[], None]] = []

    def start(wanted: Config | None = None, now: float | None = None) -> Api:
        api, ready = Api(), threading.Event()
        api.clock = [time.time() if now is None else now]
        read = (lambda: api.clock[0]) if now is not None else time.time
        listener = socket.create_server(("127.0.0.1", 0))
        api.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        holder: list[uvicorn.Server] = []

        async def main() -> None:
            wire = Wire(redis[0])
            wire.open()
            await wire.connected()
            api.loop, api.context = asyncio.get_running_loop(), Context(wanted or config(), wire, read)
            api.context.external_url = api.url
            app = App(PushEndpoints(api.context), AlertmanagerApi(api.context, PlainTextResponse("elsewhere")))
            server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None, server_header=False, timeout_graceful_shutdown=1))
            holder.append(server)
            ready.set()
            await server.serve(sockets=[listener])
            await wire.close()

        thread = threading.Thread(target=asyncio.run, args=(main(),), daemon=True)
        thread.start()

        def end() -> None:
            holder[0].should_exit = True
            thread.join(10)
            listener.close()

        assert ready.wait(10), "the server did not start"
        ends.append(end)
        return api

    yield start
    for end in ends:
        end()


@pytest.fixture
def api(serve: Callable[..., Api]) -> Api:
    """Served with the recorded cases' configuration and a clock that stands still (at a time whose nanoseconds a float holds)."""
    return serve(now=1_790_000_000.0)
