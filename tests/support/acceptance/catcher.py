"""Receivers of webhooks for the stories: one path a receiver, with the moment at which each message came."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.standins.webhook import Answer, Request, WebhookServer


@dataclass
class Late(Answer):
    """An answer whose first byte comes after so many seconds."""

    before: float = 0.0


class Catcher(WebhookServer):
    """Answers each path by its own script, and lets the real Alertmanager of Debian call too, whose payload is older."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts: dict[
            str, list[Answer]
        ] = {}  # path → answers used up one by one; the last one stays
        self.old_senders: set[str] = (
            set()
        )  # paths that an Alertmanager before 0.32 calls: its payload lacks two keys

    def address(self, path: str) -> str:
        """The URL of a receiver."""
        return f"http://127.0.0.1:{self.port}/{path}"

    def answers_at(self, path: str, answers: Sequence[Answer]) -> None:
        self.scripts[f"/{path}"] = list(answers)

    def answer(self, request: Request) -> Answer:
        script = self.scripts.get(request.path)
        if not script:
            return Answer()
        answer = script.pop(0) if len(script) > 1 else script[0]
        if isinstance(answer, Late):
            time.sleep(answer.before)
        return answer

    def problem(self, request: Request) -> str:
        return "" if request.path.lstrip("/") in self.old_senders else super().problem(request)

    def came(self, path: str) -> list[Request]:
        """What came to one receiver, in order."""
        return [request for request in list(self.requests) if request.path == f"/{path}"]

    def paths(self) -> list[str]:
        """The receivers that something came to."""
        return sorted({request.path.removeprefix("/") for request in list(self.requests)})

    def told(self, path: str) -> list[dict[str, Any]]:
        """The messages of one receiver, without those that say again what was not taken the first time."""
        return [
            payload
            for payload, _ in itertools.groupby(request.payload for request in self.came(path))
        ]


def shown(payload: dict[str, Any], label: str = "instance") -> list[tuple[str, str]]:
    """The alerts of a message as (instance, status)."""
    return [(alert["labels"].get(label, ""), alert["status"]) for alert in payload["alerts"]]
