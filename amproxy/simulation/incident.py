"""One incident under a virtual clock: the service's own reducer, with a delivery that takes no time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from amproxy.config.structs import Config
from amproxy.machine import transition
from amproxy.machine.events import Event, Failed, Opened, Sent, Skipped, TimerTick
from amproxy.machine.transition import next_due
from amproxy.model import Incident, Page, TimelineEntry
from amproxy.oncall.roster import Roster

DELIVERABLE_CHANNELS = frozenset({"telegram", "slack", "email", "webhook", "alertmanager", "console"})  # those of notify.channels

RoundRobinTurns = dict[str, int]  # pointers of round robin


class SimulatedEntry(NamedTuple):
    """One entry of the incident's timeline; `page` is the page that arrived, where that is what it tells."""

    entry: TimelineEntry
    page: Page | None = None


class SimulationAssumptions:
    """What the file does not decide. In this one every page arrives, and every round robin goes on where it is."""

    def refuse(self, page: Page) -> str:
        """Why a page that could be delivered does not arrive; "" = it does."""
        return ""

    def turns(self, incident: Incident, now: float) -> RoundRobinTurns:
        """Pointers of round robin that count instead of those that are shared, if a turn is taken now."""
        return {}

    def took(self, pointers: Iterable[str]) -> None:
        """A turn was taken of these."""


class SimulatedIncident:
    """An incident from its opening on. A page arrives at once, or fails for good where amproxy has no way to deliver it."""

    def __init__(
        self,
        incident: Incident,
        roster: Roster,
        turns: RoundRobinTurns,
        world: SimulationAssumptions | None = None,
        reason: str = "first notification",
    ) -> None:
        """turns: shared by the incidents that run together; they are moved on. reason: why people hear of it."""
        self.incident = incident
        self.facts: list[SimulatedEntry] = []
        self.pages: list[Page] = []  # those that arrived, in order
        self._roster, self._turns, self._world = roster, turns, world or SimulationAssumptions()
        self.apply(Opened(reason=reason), incident.started_at)

    @property
    def due(self) -> float | None:
        """When time alone changes the incident next; None = never."""
        return next_due(self.incident)

    def apply(self, event: Event, now: float) -> None:
        """Let something happen, and deliver the pages that it causes. Raises Conflict where the state forbids what a person does."""
        events: deque[Event] = deque([event])
        while events:
            event = events.popleft()
            change = transition(self.incident, event, now, self._roster, self._turns | self._world.turns(self.incident, now))
            self.incident = change.incident
            if change.turns:
                self._turns.update((key, turn) for key, (_, turn) in change.turns.items())
                self._world.took(change.turns)
            arrived = self._page(event.page) if isinstance(event, Sent) else None
            for entry in change.timeline:
                self.facts.append(SimulatedEntry(entry, arrived if entry.kind == "sent" else None))
            if arrived:
                self.pages.append(arrived)
            events.extend(self._delivery(self._page(message.page)) for message in change.outbox if message.kind == "page")

    def run(self, until: float) -> None:
        """Let time pass, with nobody answering."""
        while (due := self.due) is not None and due <= until:
            self.apply(TimerTick(heard=due), due)

    def _page(self, id: str) -> Page:
        return next(page for page in reversed(self.incident.pages) if page.id == id)

    def _delivery(self, page: Page) -> Event:
        if not _is_still_wanted(self.incident, page):
            return Skipped(page=page.id, reason=f"the incident is {self.incident.state} by now")
        error = why_undeliverable(self._roster.config, page) or self._world.refuse(page)
        if error:
            return Failed(page=page.id, error=error, attempt=1)
        return Sent(page=page.id, look=self.incident.look, attempt=1)


def _is_still_wanted(incident: Incident, page: Page) -> bool:
    """Whether a page is still wanted at the moment of its sending."""
    wanted = "acknowledged" if page.kind == "reminder" else "triggered"
    return incident.state == wanted or (page.insists and incident.state != "resolved")


def why_undeliverable(config: Config, page: Page) -> str:
    """Why amproxy cannot deliver a page; "" = it can."""
    receiver = config.receivers.get(page.receiver)
    for integration in receiver.integrations if receiver else ():
        if f"{integration.kind}/{integration.index}" == page.integration and integration.undeliverable:
            return integration.undeliverable
    if page.channel not in DELIVERABLE_CHANNELS or (page.user and page.channel == "alertmanager"):
        return f"amproxy has no channel {page.channel}"
    return ""
