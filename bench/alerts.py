"""Alerts as Prometheus sends them, about 600 bytes each, and requests that push them.

The load generator shares the machine with the service, so a request is encoded once and only the
bytes that change are replaced for each push.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

DISTINCT = 2000  # alerts that are repeated
# Alerts in a row of one alertname, as one rule of Prometheus sends them: 100 groups in all.
A_RULE = 20
_RULES = (
    *("HighRequestLatency", "PodCrashLooping", "DiskWillFillIn4Hours"),
    *("TargetDown", "HighErrorRate"),
)
_TEAMS = ("platform", "database", "payments", "search")
_TIME = "%Y-%m-%dT%H:%M:%S"
_END_MARK = "@END" + "-" * 20  # as long as one of `stamps`
_NUMBER_MARK = "@NUMBER" + "-" * 5  # as long as one of `numbers`
_STARTS = time.strftime(_TIME, time.gmtime()) + ".123Z"

Next = Callable[[], bytes]  # the next request of a load


def in_an_hour() -> str:
    """The time an hour from now: an `endsAt` later than the end of every benchmark."""
    return time.strftime(_TIME, time.gmtime(time.time() + 3600)) + ".000Z"


def alert(index: int, *, ends: str, instance: str = "0") -> dict[str, Any]:
    """One alert; the same index and the same `instance` give the same labels."""
    rule, service = index // A_RULE % 100, index % A_RULE
    name = f"{_RULES[rule % len(_RULES)]}{rule:02}"
    pod = f"checkout-{service:02}-7d9f8b6c5-{index:06}-{instance}"
    return {
        "annotations": {
            "description": f"{pod} in namespace production has been above its threshold "
            "for more than 10 minutes (current value 1.7321).",
            "summary": f"{name}: {pod} needs attention",
        },
        "endsAt": ends,
        "startsAt": _STARTS,
        "generatorURL": "http://prometheus.example.org:9090/graph"
        f"?g0.expr=rate%28http_requests_total%5B5m%5D%29+%3E+{rule}&g0.tab=1",
        "labels": {
            "alertname": name,
            "cluster": f"eu{rule % 4}",
            "container": "app",
            "instance": f"10.0.{rule}.{service}:8080",
            "namespace": "production",
            "pod": pod,
            "severity": "critical" if rule % 3 else "warning",
            "team": _TEAMS[rule % 4],
        },
    }


def request(path: str, document: object) -> bytes:
    """A whole HTTP request, the document as its JSON body."""
    body = msgspec.json.encode(document)
    head = (
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join((*head, "", "")).encode() + body


def identical(size: int) -> Next:
    """The same alerts in the same bytes, again and again."""
    batches = _batches(size, ends=in_an_hour())
    return itertools.cycle([request("/api/v2/alerts", batch) for batch in batches]).__next__


def moved(size: int, stamps: Iterator[bytes]) -> Next:
    """The same alerts, endsAt moved on at each push, as Prometheus does."""
    return _marked(size, _END_MARK, stamps, ends=_END_MARK)


def new(size: int, numbers: Iterator[bytes]) -> Next:
    """Alerts that were never pushed before."""
    return _marked(size, _NUMBER_MARK, numbers, ends=in_an_hour(), instance=_NUMBER_MARK)


def stamps() -> Iterator[bytes]:
    """Times a millisecond apart, from four minutes after now on.

    Each is used once, so that the end of an alert never moves back.
    """
    for second in itertools.count(int(time.time()) + 240):
        text = time.strftime(_TIME, time.gmtime(second)).encode()
        for milli in range(1000):
            yield b"%b.%03dZ" % (text, milli)


def numbers() -> Iterator[bytes]:
    """Numbers that are used once."""
    return (b"%012d" % number for number in itertools.count())


def _batches(size: int, *, ends: str, instance: str = "0") -> Iterator[list[dict[str, Any]]]:
    for first in range(0, DISTINCT, size):
        yield [
            alert(index % DISTINCT, ends=ends, instance=instance)
            for index in range(first, first + size)
        ]


def _marked(
    size: int, mark: str, texts: Iterator[bytes], *, ends: str, instance: str = "0"
) -> Next:
    """Requests cut at the marks once, so that each push costs one join."""
    # A mark is as long as the text that replaces it: Content-Length stays true.
    cut = itertools.cycle(
        [
            request("/api/v2/alerts", batch).split(mark.encode())
            for batch in _batches(size, ends=ends, instance=instance)
        ]
    )
    return lambda: next(texts).join(next(cut))
