"""Telegram's flood limits: tokens for each chat and for the bot, and a wait that must be kept. The clock is an argument."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

# Seconds within which a call may still come because it was under way when another one was refused.
UNDER_WAY = 0.25


class FloodAnswer(NamedTuple):
    """One answer of 429."""

    at: float
    chat: int
    retry_after: int  # seconds
    early: bool  # it came although an earlier answer had asked it to wait


@dataclass
class Bucket:
    """`burst` calls at once, then `rate` a second."""

    rate: float
    burst: float
    tokens: float = 0.0
    filled: float = -math.inf

    def take(self, now: float) -> bool:
        self.tokens = min(self.burst, self.tokens + (now - self.filled) * self.rate)
        self.filled = now
        if self.tokens < 1.0:
            return False
        self.tokens -= 1.0
        return True


class FloodLimits:
    """Refuses what exceeds a limit, and then all of that chat (or of the bot) until the wait is over."""

    def __init__(
        self,
        *,
        chat_rate: float = 1.0,
        chat_burst: int = 20,
        bot_rate: float = 30.0,
        bot_burst: int = 30,
        retry_after: int = 4,
    ) -> None:
        self.answers: list[FloodAnswer] = []
        self._chat = (chat_rate, float(chat_burst))
        self._retry_after = retry_after
        self._bot = Bucket(bot_rate, bot_burst)
        self._chats: dict[int, Bucket] = {}
        # chat, or 0 for the bot → when it was refused first, and until when it must wait
        self._waits: dict[int, tuple[float, float]] = {}

    @property
    def early(self) -> list[FloodAnswer]:
        return [answer for answer in self.answers if answer.early]

    def refuse(self, chat: int, now: float) -> int:
        """Seconds of Retry-After for a call to this chat; 0 = it is taken."""
        for key in (0, chat):
            since, until = self._waits.get(key, (0.0, 0.0))
            if now < until:
                left = math.ceil(until - now)
                self.answers.append(FloodAnswer(now, chat, left, now - since > UNDER_WAY))
                return left
        bucket = self._chats.setdefault(chat, Bucket(*self._chat))
        for key, one in ((chat, bucket), (0, self._bot)):
            if not one.take(now):
                self._waits[key] = (now, now + self._retry_after)
                self.answers.append(FloodAnswer(now, chat, self._retry_after, False))
                return self._retry_after
        return 0
