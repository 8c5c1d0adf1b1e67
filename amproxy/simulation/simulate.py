"""`amproxy simulate`: an alert that comes in and keeps firing, under a virtual clock.

Also one policy alone, run for an alert wherever the routes would lead it. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from heapq import heappop, heappush
from typing import Any, Final, NamedTuple

import msgspec

from amproxy.config.read.cursor import hint
from amproxy.config.structs import Config, Policy
from amproxy.errors import NotFound
from amproxy.machine.draft import new_id
from amproxy.machine.events import Acknowledge
from amproxy.model import Incident, Page, TimelineEntry
from amproxy.notify.templates import default_title
from amproxy.oncall.roster import Roster
from amproxy.simulation.alert import SimulatedAlert
from amproxy.simulation.group import ANSWER_RANK, SimulatedFiring, SimulatedGroup
from amproxy.simulation.incident import RoundRobinTurns, SimulatedIncident
from amproxy.simulation.terminal import person_name
from amproxy.times import LATEST, to_utc

DEFAULT_SIMULATED_SECONDS: Final = 86400.0  # where nobody says how long
POLICY_RUN_SECONDS: Final = 86400.0  # for which a policy alone is followed
_REDUNDANT_KINDS: Final = ("opened", "sent", "step")  # entries that the pages show as well


class SimulationRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The alert to simulate, and what people do."""

    labels: Mapping[str, str]
    at: datetime  # aware: when the alert comes in
    duration: float | None = None  # seconds; None = until the policies have ended, a day at most
    answers: Sequence[tuple[str, float]] = ()  # who acknowledges, so many seconds after `at`
    resolve_after: float | None = None  # seconds after `at` when the alert ends; None = never


class Simulation:
    """A simulation, run when made: then `groups` have what happened up to `end`.

    Raises NotFound for an unknown person.
    """

    def __init__(self, request: SimulationRequest, roster: Roster) -> None:
        config = roster.config
        _refuse_unknown_users(config, request.answers)
        self.request, self.roster = request, roster
        self.alert = SimulatedAlert(config, request.labels)
        self.start = to_utc(request.at).timestamp()
        seconds = DEFAULT_SIMULATED_SECONDS if request.duration is None else request.duration
        self.end = min(self.start + seconds, LATEST.timestamp())
        lasts = math.inf if request.resolve_after is None else request.resolve_after
        self.alert_end = self.start + lasts
        self.turns: RoundRobinTurns = {}
        self.groups = [
            SimulatedGroup(group, integration, roster, self.turns)
            for group, integration in self.alert.oncall
        ]
        clock = VirtualClock()
        for group in self.groups:
            group.alerts = {"": SimulatedFiring(self.alert.labels, ends=self.alert_end)}
            group.flush_due = self.start + group.group.group_wait
            clock.schedule_due(group)
            for user, seconds in request.answers:
                answer = partial(self._answer, group, user)
                clock.schedule(self.start + seconds, ANSWER_RANK, group, answer)
        clock.run(self.end)

    def _answer(self, group: SimulatedGroup, user: str, now: float) -> None:
        name, simulated = person_name(self.alert.config, user), group.last_incident
        if simulated is None:
            group.add_note(now, f"{name} has nothing to answer yet.")
            return
        refused = group.apply_action(Acknowledge(user=user, via="simulation"), now)
        if refused:
            group.add_note(now, f"{name} need not answer: it is {simulated.incident.state}.")


def simulate(request: SimulationRequest, roster: Roster) -> dict[str, Any]:
    """Return the JSON of the command: pages that arrive from then on, in order of time.

    Raises NotFound for an unknown person.
    """
    simulation = Simulation(request, roster)
    return simulation.alert.document(simulation.start, simulated_pages(simulation), roster)


def simulated_pages(simulation: Simulation) -> list[Page]:
    """Return all pages that arrived, in order of time."""
    pages = [
        page
        for group in simulation.groups
        for simulated in group.incidents
        for page in simulated.pages
    ]
    return sorted(pages, key=lambda page: page.due)


def _refuse_unknown_users(config: Config, answers: Sequence[tuple[str, float]]) -> None:
    for user, _ in answers:
        if user not in config.users:
            raise NotFound(f"there is no user {user!r}{hint(user, config.users)}")


class _ScheduledCall(NamedTuple):
    """A call, ordered by time, then by rank, then by the order of scheduling."""

    at: float
    rank: int
    number: int
    group: SimulatedGroup
    call: Callable[[float], object] | None  # None: what the group itself has due


class VirtualClock:
    """The time of many groups: what is scheduled and what they have due happens in order.

    It has no end of its own.
    """

    def __init__(self) -> None:
        self._queue: list[_ScheduledCall] = []
        self._number = 0

    def schedule(
        self, at: float, rank: int, group: SimulatedGroup, call: Callable[[float], object]
    ) -> None:
        """Call something that changes a group at a time (Unix seconds), with that time."""
        self._push(at, rank, group, call)

    def schedule_due(self, group: SimulatedGroup) -> None:
        """Run what the group has due, when it is due."""
        if due := group.due():
            self._push(*due, group, None)

    def run(self, end: float = math.inf) -> None:
        """Let time pass up to and with `end` (Unix seconds)."""
        while self._queue and self._queue[0].at <= end:
            at, rank, _, group, call = heappop(self._queue)
            if call is not None:
                call(at)
            elif group.due() == (at, rank):
                group.run_due(at)
            else:
                continue  # something changed what is due; then that was queued as well
            self.schedule_due(group)

    def _push(
        self,
        at: float,
        rank: int,
        group: SimulatedGroup,
        call: Callable[[float], object] | None,
    ) -> None:
        self._number += 1
        heappush(self._queue, _ScheduledCall(at, rank, self._number, group, call))


class PolicyRunEvent(NamedTuple):
    """A page that arrives, or an entry of the timeline."""

    seconds: float  # after the incident opens
    at: datetime
    entry: TimelineEntry
    page: Page | None


def run_policy(
    policy: Policy, labels: Mapping[str, str], at: datetime, roster: Roster
) -> list[PolicyRunEvent]:
    """Run a policy for an incident that opens at `at` (aware), for a day at most.

    Nobody answers.
    """
    start, common = to_utc(at), dict(labels)
    now = start.timestamp()
    incident = Incident(
        id=new_id(),
        title=default_title(common, common),
        policy=policy.name,
        plan=policy,
        common_labels=common,
        firing=1,
        started_at=now,
    )
    simulated = SimulatedIncident(incident, roster, {})
    simulated.open()
    simulated.run(now + POLICY_RUN_SECONDS)
    return [
        PolicyRunEvent(entry.at - now, datetime.fromtimestamp(entry.at, start.tzinfo), entry, page)
        for entry, page in simulated.entries
        if page or entry.kind not in _REDUNDANT_KINDS
    ]
