"""What the console channel printed lately, for the web page: a newcomer sees there what a phone would show."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from amproxy import clock

KEPT = 12  # texts
_COLOUR = re.compile("\x1b\\[[0-9;]*m")


class Printed(NamedTuple):
    at: float  # Unix seconds
    text: str  # may have several lines; what came from alerts is still hostile


class Console:
    """Give `write` to ConsoleChannel: it hands texts on to the terminal and keeps the last few."""

    def __init__(self, terminal: Callable[[str], object], now: Callable[[], float] = clock.now) -> None:
        self._terminal, self._now = terminal, now
        self._kept: deque[Printed] = deque(maxlen=KEPT)

    def write(self, text: str) -> None:
        """Keep the text, then print it; what the terminal raises goes through."""
        self._kept.append(Printed(self._now(), _COLOUR.sub("", text).strip("\n\a")))
        self._terminal(text)

    def lately(self) -> list[Printed]:
        """Newest first."""
        return list(reversed(self._kept))
