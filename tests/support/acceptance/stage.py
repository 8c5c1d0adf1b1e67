"""A stage for stories: one running amproxy, on which many stories play at once, each with a route and receiver of its own."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.acceptance import pushing
from tests.support.acceptance.catcher import Catcher, shown
from tests.support.acceptance.moments import check_moments, sleep_until
from tests.support.servers import Servers

WAIT, TICK = 0.5, 1.0  # seconds: group_wait and group_interval of every story
FIRST, NEW, SOME, ALL, REPEAT = (
    "first notification",
    "new alerts added",
    "some alerts resolved",
    "all alerts resolved",
    "repeat interval elapsed",
)


class Story(NamedTuple):
    """A story and the settings that it wants: of its route, and of each of its webhooks."""

    play: Callable[[Stage], None]
    route: Mapping[str, Any]
    webhooks: Sequence[Mapping[str, Any]]


class Stage:
    """What one story sees. Its time begins with its first call of `begin`."""

    def __init__(self, name: str, url: str, catcher: Catcher) -> None:
        self.name, self.url, self.catcher = name, url, catcher
        self.began = time.time()

    def begin(self) -> None:
        """Now is second 0 of the story."""
        self.began = time.time()

    def at(self, second: float) -> None:
        """Wait for a second of the story."""
        sleep_until(self.began + second)

    def labels(self, instance: str, **more: str) -> dict[str, str]:
        return {"alertname": self.name, "story": self.name, "instance": instance, **more}

    def fires(self, *instances: str, **annotations: str) -> None:
        now = time.time()
        pushing.push(
            self.url,
            *(
                pushing.alert(self.labels(one), starts=now, ends=now + 600, annotations=annotations)
                for one in instances
            ),
        )

    def resolves(self, *instances: str) -> None:
        pushing.push(
            self.url, *(pushing.alert(self.labels(one), ends=time.time()) for one in instances)
        )

    def path(self, webhook: int = 0) -> str:
        """The receiver's address in the catcher."""
        return f"{self.name}/{webhook}"

    def payloads(self, webhook: int = 0) -> list[dict[str, Any]]:
        return [request.payload for request in self.catcher.came(self.path(webhook))]

    def heard(self, webhook: int = 0) -> list[tuple[str, str]]:
        """Each message as ("a -b", reason): instances, a resolved one with a minus."""
        return [
            (brief(payload), payload["notification_reason"]) for payload in self.payloads(webhook)
        ]

    def expect(self, *wanted: tuple[float, str, str], until: float, webhook: int = 0) -> None:
        """By second `until` of the story exactly these messages have come: (second, alerts as in `heard`, reason)."""
        self.at(until)
        moments = [request.at - self.began for request in self.catcher.came(self.path(webhook))]
        assert self.heard(webhook) == [(alerts, reason) for _, alerts, reason in wanted], moments
        check_moments(moments, [second for second, _, _ in wanted], self.name)


def brief(payload: dict[str, Any]) -> str:
    return " ".join(
        instance if status == "firing" else f"-{instance}" for instance, status in shown(payload)
    )


def routes(stories: Mapping[str, Story], catcher: Catcher) -> str:
    """The file that all of them play under. JSON is YAML."""
    children: list[dict[str, Any]] = []
    receivers: list[dict[str, Any]] = [{"name": "nobody"}]
    for name, story in stories.items():
        children.append({"receiver": name, "matchers": [f'story="{name}"'], **story.route})
        webhooks = [
            {"url": catcher.address(f"{name}/{index}"), **more}
            for index, more in enumerate(story.webhooks)
        ]
        receivers.append({"name": name, "webhook_configs": webhooks})
    timings = {"group_wait": "500ms", "group_interval": "1s", "repeat_interval": "1h"}
    inhibit = {
        "source_matchers": ['role="source"'],
        "target_matchers": ['role="target"'],
        "equal": ["story"],
    }
    return json.dumps(
        {
            "route": {
                "receiver": "nobody",
                "group_by": ["alertname"],
                **timings,
                "routes": children,
            },
            "inhibit_rules": [inhibit],
            "receivers": receivers,
        }
    )


@contextmanager
def playing(stories: Mapping[str, Story], folder: Path) -> Iterator[dict[str, Future[None]]]:
    """All stories at once; what became of each is its future's result or exception."""
    with Catcher() as catcher, Servers(folder) as servers:
        amproxy = servers.amproxy(routes(stories, catcher))
        with ThreadPoolExecutor(len(stories)) as actors:
            yield {
                name: actors.submit(story.play, Stage(name, amproxy.url, catcher))
                for name, story in stories.items()
            }
        assert catcher.problems == []
