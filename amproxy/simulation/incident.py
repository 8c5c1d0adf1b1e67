"""One incident under a virtual clock: the service's own reducer, with instant delivery.

`amproxy simulate`, `explain` and `replay` begin with an incident that opens; the forecast on a page
begins with one as it is stored.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from msgspec.structs import replace

from amproxy.config.channels import why_undeliverable
from amproxy.config.structs import Config
from amproxy.machine import transition
from amproxy.machine.alerts import NEWS_PHRASES
from amproxy.machine.deliveries import skip_reason
from amproxy.machine.events import Event, Failed, Opened, Sent, Skipped, TimerTick
from amproxy.machine.transition import next_due
from amproxy.model import Incident, Page, TimelineEntry
from amproxy.oncall.roster import Roster
from amproxy.simulation.storms import SimulatedStorms
from amproxy.text import Phrase, Words, phrase

RoundRobinTurns = dict[str, int]  # key of a round robin → index of the person whose turn it is


class SimulatedEntry(NamedTuple):
    """One entry of an incident's timeline, with the page that arrived where it reports one."""

    entry: TimelineEntry
    page: Page | None = None


class SimulationAssumptions:
    """Assumptions where the file decides nothing.

    With these every page arrives, and every round robin goes on where it is.
    """

    def refuse(self, page: Page) -> Words:
        """Return the reason why a page that could be delivered does not arrive; "" = it does."""
        return ""

    def hold(self, now: float) -> tuple[Phrase, float] | None:
        """Return why an incident is held that nothing known holds, and until when (Unix seconds).

        None = it is not held.
        """
        return None

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
        storms: SimulatedStorms | None = None,
        on_change: Callable[[], object] = lambda: None,
    ) -> None:
        """turns: shared by incidents that run together, and changed. storms: shared likewise.

        storms: None = its own, which know the pages that are stored. on_change: is called when a
        storm has changed the incident.
        """
        self.incident = incident
        self.entries: list[SimulatedEntry] = []
        self.pages: list[Page] = []  # those that arrived, in order
        self._roster, self._turns = roster, turns
        self._assumptions = assumptions or SimulationAssumptions()
        self._is_alone, self._on_change = storms is None, on_change
        self._storms = storms or SimulatedStorms(roster.config)
        if self._is_alone:
            self._storms.recall(self)

    def open(self, reason: Phrase = NEWS_PHRASES["first notification"]) -> None:
        """Begin the policy of a new incident, when it starts. reason: of the opening."""
        self.apply(Opened(reason=reason), self.incident.started_at)

    @property
    def due(self) -> float | None:
        """Unix seconds at which time alone changes the incident next; None = never."""
        due, held = next_due(self.incident), self.held_due
        return due if held is None or (due is not None and due < held) else held

    @property
    def held_due(self) -> float | None:
        """The same for pages that a storm of this incident alone holds."""
        return self._storms.due if self._is_alone else None

    def apply(self, event: Event, now: float) -> None:
        """Apply an event, and deliver the pages that it causes.

        Raises Conflict where the state forbids the action of a person.
        """
        self._apply_all(deque([event]), now)

    def deliver(self, now: float) -> None:
        """Deliver the pages that are on their way."""
        due = [page.id for page in self.incident.pages if page.state == "due"]
        for page_id in due:
            if not self.is_held(self._page(page_id)):
                self._apply_all(deque([self._delivery(self._page(page_id))]), now)

    def is_held(self, page: Page) -> bool:
        """Decide whether a storm holds a page."""
        return self._storms.is_held(page)

    def release_held(self, now: float) -> None:
        """Send the pages that a storm of this incident alone holds, and that are due."""
        if self._is_alone:
            self._storms.release(now)

    def is_wanted(self, page_id: str, now: float) -> bool:
        """As HoldingIncident has it."""
        page = self._page(page_id)
        if page.state != "due":
            return False
        if reason := skip_reason(self.incident, page):
            self._record(Skipped(page=page_id, reason=reason), now)
        return not reason

    def send_held(self, page_id: str, others: int | None, now: float) -> None:
        """As HoldingIncident has it."""
        event = self._delivery(self._page(page_id))
        if isinstance(event, Sent) and others is not None:
            event = replace(event, bundle="simulated", others=others)
        self._record(event, now)

    def _record(self, event: Event, now: float) -> None:
        self._apply_all(deque([event]), now)
        self._on_change()

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
            for message in change.outbox:
                if message.kind == "page" and (sent := self._send(self._page(message.page), now)):
                    events.append(sent)

    def run(self, until: float) -> None:
        """Let time pass (Unix seconds), with nobody answering."""
        while (due := self.due) is not None and due <= until:
            self.release_held(due)
            if (at := next_due(self.incident)) is not None and at <= due:
                self.apply(TimerTick(pushed_at=due), due)

    def _page(self, id: str) -> Page:
        return next(page for page in reversed(self.incident.pages) if page.id == id)

    def _send(self, page: Page, now: float) -> Event | None:
        """Return what becomes of a page that leaves the outbox; None = a storm holds it."""
        # Steps of the same moment may have ended what an earlier page of it was for.
        if reason := skip_reason(self.incident, page):
            return Skipped(page=page.id, reason=reason)
        return None if self._storms.hold(self, page, now) else self._delivery(page)

    def _delivery(self, page: Page) -> Event:
        if reason := skip_reason(self.incident, page):
            return Skipped(page=page.id, reason=reason)
        error = _why_not_delivered(self._roster.config, page) or self._assumptions.refuse(page)
        if error:
            return Failed(page=page.id, error=error, attempt=1)
        return Sent(page=page.id, look=self.incident.look, attempt=1)


def _why_not_delivered(config: Config, page: Page) -> Words:
    """Return the reason why a page cannot be delivered; "" = it can."""
    if page.user:
        reason = why_undeliverable(config, page.channel, page.address)
        return phrase("reach.contact", channel=page.channel, problem=reason) if reason else ""
    receiver = config.receivers.get(page.receiver)
    for integration in receiver.integrations if receiver else ():
        if f"{integration.kind}/{integration.index}" == page.integration:
            return integration.undeliverable or ""
    return phrase("outcome.integration_gone", receiver=page.receiver, integration=page.integration)
