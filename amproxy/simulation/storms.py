"""Storms under a virtual clock: which pages are held for a bundle, and when the bundle is sent.

The service decides it in one script of Redis (store/hold.lua), because processes compete; a test
holds this against the script.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from amproxy.config.structs import Config, Storm
from amproxy.model import Incident, Page
from amproxy.notify.storms import storm_settings
from amproxy.store.storms import LONGEST_WAIT

StormKey = tuple[str, str, str]  # policy, user, channel


class HoldingIncident(Protocol):
    """The incident of held pages, which are named by their ids. Times are Unix seconds."""

    incident: Incident

    def is_wanted(self, page_id: str, now: float) -> bool:
        """False for a page that is over; that somebody has answered it is recorded."""

    def send_held(self, page_id: str, others: int | None, now: float) -> None:
        """Send a page, with so many other incidents in its message; None = by itself."""


class HeldPage(NamedTuple):
    """A page that waits for others."""

    simulated: HoldingIncident
    page_id: str


class StormBook:
    """The latest pages of one storm by time, and those that are held.

    Times are whole milliseconds, as in the script.
    """

    def __init__(self) -> None:
        self.held: list[HeldPage] = []
        self.due: int | None = None  # when those that are held are sent
        self._latest: list[int] = []

    def holds(self, storm: Storm, now: int) -> bool:
        """Count a page, and decide whether it is held; then `due` is set."""
        within = int(storm.within * 1000)
        self._latest = [at for at in self._latest if at > now - within]
        before, oldest = len(self._latest), self._latest[0] if self._latest else now
        self._latest = [*self._latest, now][-storm.more_than :]
        if before < storm.more_than:
            return False
        if self.due is None:
            self.due = min(now + int(LONGEST_WAIT * 1000), oldest + within)
        return True

    def take(self) -> list[HeldPage]:
        held, self.held, self.due = self.held, [], None
        return held


class SimulatedStorms:
    """All storms of a simulation."""

    def __init__(self, config: Config, on_due: Callable[[], object] = lambda: None) -> None:
        """on_due: is called when `due` may have become earlier."""
        self._config, self._on_due = config, on_due
        self._books: dict[StormKey, StormBook] = {}

    @property
    def due(self) -> float | None:
        """The next time at which held pages are sent, Unix seconds; None = there are none."""
        due = [book.due for book in self._books.values() if book.due is not None]
        return min(due) / 1000 if due else None

    def hold(self, simulated: HoldingIncident, page: Page, now: float) -> bool:
        """Hold a page that is due (Unix seconds); False where it goes out by itself."""
        storm = storm_settings(self._config, simulated.incident, page)
        if storm is None:
            return False
        book = self._books.setdefault((page.policy, page.user, page.channel), StormBook())
        if not book.holds(storm, int(now * 1000)):
            return False
        book.held.append(HeldPage(simulated, page.id))
        self._on_due()
        return True

    def recall(self, simulated: HoldingIncident) -> None:
        """Count the pages that an incident has as it is stored; hold those that still are."""
        for page in sorted(simulated.incident.pages, key=lambda page: page.due):
            held = self.hold(simulated, page, page.due)
            if held and page.state != "due":
                self._books[page.policy, page.user, page.channel].take()

    def is_held(self, page: Page) -> bool:
        """Decide whether a page is among those that are held."""
        book = self._books.get((page.policy, page.user, page.channel))
        return book is not None and any(one.page_id == page.id for one in book.held)

    def release(self, now: float) -> None:
        """Send the held pages that are due by a time (Unix seconds)."""
        for book in list(self._books.values()):
            if book.due is None or book.due > int(now * 1000):
                continue
            wanted = [one for one in book.take() if one.simulated.is_wanted(one.page_id, now)]
            others = len({one.simulated.incident.id for one in wanted}) - 1
            for one in wanted:
                one.simulated.send_held(one.page_id, others if len(wanted) > 1 else None, now)
