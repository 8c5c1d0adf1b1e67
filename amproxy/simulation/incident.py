"""One incident under a virtual clock: the service's own reducer, with instant delivery.

`amproxy simulate`, `explain` and `replay` begin with an incident that opens; the forecast on a page
begins with one as it is stored.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from amproxy.config.channels import why_undeliverable
from amproxy.config.structs import Config
from amproxy.machine import transition
from amproxy.machine.deliveries import skip_reason
from amproxy.machine.events import Event, Failed, Opened, Sent, Skipped, TimerTick
from amproxy.machine.transition import next_due
from amproxy.model import Incident, Page, TimelineEntry
from amproxy.oncall.roster import Roster
from amproxy.text import in_english

RoundRobinTurns = dict[str, int]  # key of a round robin → index of the person whose turn it is


class SimulatedEntry(NamedTuple):
    """One entry of an incident's timeline, with the page that arrived where it reports one."""

    entry: TimelineEntry
    page: Page | None = None


class SimulationAssumptions:
    """Assumptions where the file decides nothing.

    With these every page arrives, and every round robin goes on where it is.
    """

    def refuse(self, page: Page) -> str:
        """Return the reason why a page that could be delivered does not arrive; "" = it does."""
        return ""

    def turns(self, incident: Incident, now: float) -> RoundRobinTurns:
        """Return turns that count instead of the shared ones, if one is taken now."""
        return {}

    def record_turns(self, keys: Iterable[str]) -> None:
        """Note that these round robins took a turn."""


class SimulatedIncident:
    """An incident as it is, and from then on under a virtual clock.

    A page arrives at once, or fails for good where amproxy has no way to deliver it.
    """

    def __init__(
        self,
        incident: Incident,
        roster: Roster,
        turns: RoundRobinTurns,
        assumptions: SimulationAssumptions | None = None,
    ) -> None:
        """turns: shared by incidents that run together, and changed."""
        self.incident = incident
        self.entries: list[SimulatedEntry] = []
        self.pages: list[Page] = []  # those that arrived, in order
        self._roster, self._turns = roster, turns
        self._assumptions = assumptions or SimulationAssumptions()

    def open(self, reason: str = "first notification") -> None:
        """Begin the policy of a new incident, when it starts. reason: of the opening."""
        self.apply(Opened(reason=reason), self.incident.started_at)

    @property
    def due(self) -> float | None:
        """Unix seconds at which time alone changes the incident next; None = never."""
        return next_due(self.incident)

    def apply(self, event: Event, now: float) -> None:
        """Apply an event, and deliver the pages that it causes.

        Raises Conflict where the state forbids the action of a person.
        """
        self._apply_all(deque([event]), now)

    def deliver(self, now: float) -> None:
        """Deliver the pages that are on their way."""
        due = [page for page in self.incident.pages if page.state == "due"]
        for page in due:
            self._apply_all(deque([self._delivery(self._page(page.id))]), now)

    def _apply_all(self, events: deque[Event], now: float) -> None:
        while events:
            event = events.popleft()
            turns = self._turns | self._assumptions.turns(self.incident, now)
            change = transition(self.incident, event, now, self._roster, turns)
            self.incident = change.incident
            if change.turns:
                self._turns.update((key, turn) for key, (_, turn) in change.turns.items())
                self._assumptions.record_turns(change.turns)
            arrived = self._page(event.page) if isinstance(event, Sent) else None
            for entry in change.timeline:
                page = arrived if entry.kind == "sent" else None
                self.entries.append(SimulatedEntry(entry, page))
            if arrived:
                self.pages.append(arrived)
            events.extend(
                self._delivery(self._page(message.page))
                for message in change.outbox
                if message.kind == "page"
            )

    def run(self, until: float) -> None:
        """Let time pass (Unix seconds), with nobody answering."""
        while (due := self.due) is not None and due <= until:
            self.apply(TimerTick(pushed_at=due), due)

    def _page(self, id: str) -> Page:
        return next(page for page in reversed(self.incident.pages) if page.id == id)

    def _delivery(self, page: Page) -> Event:
        # Steps of the same moment may have ended what an earlier page of it was for.
        if skip_reason(self.incident, page):
            return Skipped(page=page.id, reason=f"the incident is {self.incident.state} by now")
        error = _why_not_delivered(self._roster.config, page) or self._assumptions.refuse(page)
        if error:
            return Failed(page=page.id, error=error, attempt=1)
        return Sent(page=page.id, look=self.incident.look, attempt=1)


def _why_not_delivered(config: Config, page: Page) -> str:
    """Return the reason why a page cannot be delivered; "" = it can."""
    if page.user:
        reason = why_undeliverable(config, page.channel, page.address)
        return f"{page.channel}: {in_english(reason)}" if reason else ""
    receiver = config.receivers.get(page.receiver)
    for integration in receiver.integrations if receiver else ():
        if f"{integration.kind}/{integration.index}" == page.integration:
            return in_english(integration.undeliverable) if integration.undeliverable else ""
    return f"receiver {page.receiver} has no {page.integration} any more"
