"""The people who are paged while there is chaos, and stand-ins that count what they took."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Literal, Self

from tests.support.e2e.crowd import Crowd, titles
from tests.support.standins.telegram import TelegramStandIn
from tests.support.standins.webhook import Answer, Request, WebhookServer

Mood = Literal["well", "rate limited", "unavailable", "slow", "cut off"]
MOODS: tuple[Mood, ...] = ("rate limited", "unavailable", "slow", "cut off")
SLOW = 1.0  # seconds
A_CALL = 0.2  # seconds of the webhook's mood for each call of Telegram's


class CountingHook(WebhookServer):
    """Answers by its mood, and counts the incidents of what it took."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: Counter[str] = Counter()
        self.cut: Counter[str] = Counter()
        self._mood: Mood = "well"
        self._until = 0.0
        self._lock = threading.Lock()

    def be(self, mood: Mood, seconds: float) -> None:
        self._mood, self._until = mood, time.monotonic() + seconds

    def answer(self, request: Request) -> Answer:
        mood = self._mood if time.monotonic() < self._until else "well"
        if mood == "rate limited":
            return Answer(429, {"Retry-After": "1"})
        if mood == "unavailable":
            return Answer(503)
        named = titles(request.path.rpartition("/")[2], request.body.decode())
        with self._lock:
            self.taken.update(named)
            if mood == "cut off":
                self.cut.update(named)
        return Answer(drop=mood == "cut off", hang=SLOW if mood == "slow" else 0.0)

    def problem(self, request: Request) -> str:
        return ""  # tests look at the form


class People:
    """Half of them have a Telegram chat, the others a webhook; none has a second contact."""

    def __init__(self, count: int) -> None:
        self.names = [f"p{number}" for number in range(count)]
        self._telegram, self._hook = TelegramStandIn(), CountingHook()
        self._crowd: Crowd

    def __enter__(self) -> Self:
        self._telegram.__enter__()
        self._hook.__enter__()
        self._crowd = Crowd(self._telegram, self._hook)
        for number, name in enumerate(self.names):
            # Single pages, so that the counter of deliveries and the copies of a page compare.
            self._crowd.add(name, "webhook" if number % 2 else "telegram", storm="off")
        return self

    def __exit__(self, *error: object) -> None:
        self._hook.__exit__(None, None, None)
        self._telegram.__exit__()

    def routes(self) -> str:
        """The text of routes.yaml."""
        return self._crowd.routes()

    def be(self, mood: Mood, calls: int) -> None:
        """Give the stand-ins a mood: Telegram for so many calls, the webhook for a while."""
        self._hook.be(mood, calls * A_CALL)
        match mood:
            case "rate limited":
                self._telegram.rate_limit(calls)
            case "unavailable":
                self._telegram.fail(calls, 503, "Service Unavailable")
            case "cut off":
                self._telegram.drop(calls, "sendMessage")
            case "slow" | "well":
                pass

    def told(self) -> Counter[str]:
        """Incident → how often a stand-in took a message about it."""
        found = Counter(self._hook.taken)
        for name in self.names[::2]:
            found += self._crowd.by_telegram(name)
        return found

    def cut(self) -> Counter[str]:
        """Incident → messages about it that were taken, and whose answer was cut off."""
        found = Counter(self._hook.cut)
        for call in self._telegram.calls:
            if call.lost:
                for name in self.names[::2]:
                    found.update(titles(name, str(call.payload.get("text", ""))))
        return found
