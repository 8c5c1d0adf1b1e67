"""The API v2 served for tests: a real Redis, a real HTTP server, a clock that the test sets."""

from __future__ import annotations

import asyncio
import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from amproxy.config.structs import Config, InhibitRule, Receiver, Route
from amproxy.context import Context
from amproxy.labels.matchers import parse_matchers
from tests.support.cases import ALERTMANAGER

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
    return json.loads((ALERTMANAGER / name).read_text("utf-8"))


def route(receiver: str, key: str, matchers: str = "", **more: Any) -> Route:
    """A route with no waiting, so that nothing but the request decides what is shown."""
    found = tuple(parse_matchers(matchers)) if matchers else ()
    return Route(
        **{
            "receiver": receiver,
            "key": key,
            "matchers": found,
            "group_by": ("alertname",),
            "group_wait": 0.0,
            **more,
        }
    )


def config(**more: Any) -> Config:
    root = route(
        "default",
        "{}",
        routes=(
            route("team-a", '{}/{team="a"}', 'team="a"', continue_=True),
            route("team-b", '{}/{team=~"a|b"}', 'team=~"a|b"'),
        ),
    )
    rule = InhibitRule(
        source_matchers=tuple(parse_matchers('severity="critical"')),
        target_matchers=tuple(parse_matchers('severity="warning"')),
        equal=("cluster",),
    )
    receivers = {name: Receiver(name=name) for name in ("default", "team-a", "team-b")}
    return Config(
        **{
            "route": root,
            "receivers": receivers,
            "inhibit_rules": (rule,),
            "original": ORIGINAL,
            **more,
        }
    )


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

    def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answered:
        """One request; a body that is no text or bytes is sent as JSON."""
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=60)
        sent = dict(headers if headers is not None else JSON if body is not None else {})
        if body is not None and not isinstance(body, str | bytes):
            body = json.dumps(body)
        try:
            connection.request(method, path, body.encode() if isinstance(body, str) else body, sent)
            answer = connection.getresponse()
            return Answered(
                answer.status,
                {name.lower(): value for name, value in answer.getheaders()},
                answer.read().decode(),
            )
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        answer = self.ask("GET", f"/api/v2{path}")
        assert answer.status == 200, answer
        return answer.json

    def push(self, *alerts: dict[str, Any]) -> None:
        """Post alerts; a plain label set will do."""
        answer = self.ask(
            "POST",
            "/api/v2/alerts",
            [alert if "labels" in alert else {"labels": alert} for alert in alerts],
        )
        assert answer.status == 200, answer

    def silence(self, *matchers: str, start: float = 0, end: float = 3600, **more: Any) -> Answered:
        """Post a silence; times are seconds from the clock's."""
        return self.ask(
            "POST", "/api/v2/silences", self.silence_body(*matchers, start=start, end=end, **more)
        )

    def silence_body(
        self, *matchers: str, start: float = 0, end: float = 3600, **more: Any
    ) -> dict[str, Any]:
        parsed = [parse_matchers(text)[0] for text in matchers]
        return {
            "matchers": [
                {
                    "name": m.name,
                    "value": m.value,
                    "isRegex": m.op in ("=~", "!~"),
                    "isEqual": m.op in ("=", "=~"),
                }
                for m in parsed
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
