"""The numbers and titles of the newest incidents, in memory: looked through at each key press.

Built at the first search and then followed: an incident keeps its number and its title. Its state
is read from Redis with the few that are shown.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from amproxy.model import Incident
from amproxy.store import incidents
from amproxy.store.wire import Wire

MAX_TITLES = 20_000  # the newest; of older ones the list of incidents knows
MAX_TITLE_LENGTH = 300  # characters that can be searched
MAX_CANDIDATES = 24  # incidents that are loaded for one search
LOOK_INTERVAL = 1.0  # seconds between two looks for new incidents
# Seconds before the newest that are read again: others may have stored one that began earlier.
OVERLAP = 60.0


class IncidentTitle(NamedTuple):
    started: float  # Unix seconds
    number: int
    id: str
    text: str  # casefolded


class IncidentTitles:
    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._known: dict[str, IncidentTitle] = {}
        self._newest_first: list[IncidentTitle] = []
        self._looked_at: float | None = None  # time.monotonic()
        self._lock = asyncio.Lock()

    async def find(self, words: Sequence[str], number: int | None) -> list[Incident]:
        """Those with this number, then open ones, then the rest, each newest first.

        words: casefolded; all stand in the title. Raises StoreUnavailable.
        """
        async with self._lock:
            await self._look()
        ids = list(dict.fromkeys(self._candidates(words, number)))
        found = await incidents.load_many(self._wire, ids)
        return sorted(
            found.values(),
            key=lambda one: (one.number != number, one.state not in incidents.OPEN_STATES),
        )

    def _candidates(self, words: Sequence[str], number: int | None) -> Iterator[str]:
        if number is not None:
            yield from (one.id for one in self._newest_first if one.number == number)
        left = MAX_CANDIDATES
        for one in self._newest_first if words else ():
            if all(word in one.text for word in words):
                yield one.id
                left -= 1
                if not left:
                    return

    async def _look(self) -> None:
        """Read the incidents that began since the last look; at the first one the newest of all."""
        now = time.monotonic()
        if self._looked_at is not None and now - self._looked_at < LOOK_INTERVAL:
            return
        since = self._newest_first[0].started - OVERLAP if self._newest_first else float("-inf")
        fresh: dict[str, IncidentTitle] = {}
        async for chunk in incidents.walk_summaries(self._wire, incidents.STATES, since=since):
            for position, summary in chunk:
                title = summary.text.partition("\n")[0][:MAX_TITLE_LENGTH]
                entry = IncidentTitle(position.started, summary.number, position.id, title)
                fresh[position.id] = entry
            if len(fresh) >= MAX_TITLES or all(at.id in self._known for at, _ in chunk):
                break
        self._looked_at = now
        if fresh.keys() <= self._known.keys():
            return
        merged = sorted((self._known | fresh).values(), reverse=True)
        self._newest_first = merged[:MAX_TITLES]
        self._known = {one.id: one for one in self._newest_first}
