"""The sender's side: pushes, silences and other calls of the API v2, on loopback."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from tests.support.acceptance.moments import rfc3339


class Reply(NamedTuple):
    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def call(method: str, url: str, body: Any = None) -> Reply:
    """One call; http.client, because it asks no proxy of the environment. Raises OSError where nobody answers."""
    host, _, path = url.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host, timeout=60)
    try:
        content = None if body is None else json.dumps(body).encode()
        connection.request(
            method, f"/{path}", content, {"Content-Type": "application/json"} if content else {}
        )
        answer = connection.getresponse()
        return Reply(answer.status, answer.read())
    finally:
        connection.close()


def alert(
    labels: Mapping[str, str],
    *,
    starts: float | None = None,
    ends: float | None = None,
    annotations: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """One alert of a push; times in Unix seconds, None = not sent."""
    result: dict[str, Any] = {
        "labels": dict(labels),
        "annotations": dict(annotations or {}),
        "generatorURL": "http://127.0.0.1/rule",
    }
    for name, moment in (("startsAt", starts), ("endsAt", ends)):
        if moment is not None:
            result[name] = rfc3339(moment)
    return result


def push(url: str, *alerts: dict[str, Any]) -> None:
    """POST /api/v2/alerts, and the answer must be 200."""
    reply = call("POST", f"{url}/api/v2/alerts", list(alerts))
    assert reply.status == 200, reply


def fires(url: str, labels: Mapping[str, str], **annotations: str) -> None:
    """An alert fires from now on."""
    now = time.time()
    push(url, alert(labels, starts=now, ends=now + 600, annotations=annotations))


def resolves(url: str, *over: Mapping[str, str]) -> None:
    """Alerts are over, said in one push."""
    push(url, *(alert(labels, ends=time.time()) for labels in over))


def silence(url: str, seconds: float, **labels: str) -> str:
    """Silence what has these labels from now on; the silence's id."""
    now = time.time()
    matchers = [
        {"name": name, "value": value, "isRegex": False, "isEqual": True}
        for name, value in labels.items()
    ]
    body = {
        "matchers": matchers,
        "startsAt": rfc3339(now),
        "endsAt": rfc3339(now + seconds),
        "createdBy": "story",
        "comment": "story",
    }
    reply = call("POST", f"{url}/api/v2/silences", body)
    assert reply.status == 200, reply
    return str(reply.json["silenceID"])


def metric(url: str, name: str, **labels: str) -> float:
    """The sum of a metric's samples that carry these labels."""
    page = call("GET", f"{url}/metrics").body.decode()
    total = 0.0
    for line in page.splitlines():
        head, _, value = line.rpartition(" ")
        if head.partition("{")[0] == name and all(
            f'{key}="{wanted}"' in head for key, wanted in labels.items()
        ):
            total += float(value)
    return total
