"""A virtual clock for many lanes: what is planned and what they have due happens in order of time.

`amproxy simulate`: an alert that comes in at the raw door and keeps firing, under a virtual clock.

One policy run for an alert under a virtual clock, wherever the routes would lead it: whom it pages if nobody answers. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from heapq import heappop, heappush
from typing import Any, NamedTuple

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


class _ScheduledCall(NamedTuple):
    """Ordered by time, then by rank, then as it was put in."""

    at: float
    rank: int
    number: int
    lane: SimulatedGroup
    do: Callable[[float], object] | None  # None: what the lane itself has due


class VirtualClock:
    """Knows no end: `run` goes as far as it is asked to."""

    def __init__(self) -> None:
        self._coming: list[_ScheduledCall] = []
        self._number = 0

    def plan(self, at: float, rank: int, lane: SimulatedGroup, do: Callable[[float], object]) -> None:
        """Let something happen to a lane at a time (Unix seconds); `do` is given that time."""
        self._put(at, rank, lane, do)

    def follow(self, lane: SimulatedGroup) -> None:
        """Let happen what the lane has due."""
        if due := lane.due():
            self._put(*due, lane, None)

    def run(self, end: float = math.inf) -> None:
        """Let everything happen up to and with `end` (Unix seconds)."""
        while self._coming and self._coming[0].at <= end:
            at, rank, _, lane, do = heappop(self._coming)
            if do is not None:
                do(at)
            elif lane.due() != (at, rank):  # it has other things due by now, which stand further on
                continue
            else:
                lane.happen(at)
            self.follow(lane)

    def _put(self, at: float, rank: int, lane: SimulatedGroup, do: Callable[[float], object] | None) -> None:
        self._number += 1
        heappush(self._coming, _ScheduledCall(at, rank, self._number, lane, do))


DEFAULT_SIMULATED_SECONDS = 86400.0  # seconds that are simulated where nobody says how long


class SimulationRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What the simulation is of."""

    labels: Mapping[str, str]
    at: datetime  # aware: when the alert comes in
    duration: float | None = None  # seconds to look ahead; None = until the policies have ended, a day at most
    answers: Sequence[tuple[str, float]] = ()  # who acknowledges, so many seconds after `at`
    resolve_after: float | None = None  # seconds after `at` at which the alert ends; None = it keeps firing


class Simulation:
    """Runs when made; then `lanes` tells what happened up to `end`. Raises NotFound for an unknown person."""

    def __init__(self, asked: SimulationRequest, roster: Roster) -> None:
        config = roster.config
        _refuse_unknown_users(config, asked.answers)
        self.asked, self.roster, self.entry = asked, roster, SimulatedAlert(config, asked.labels)
        self.start = to_utc(asked.at).timestamp()
        self.end = min(self.start + (DEFAULT_SIMULATED_SECONDS if asked.duration is None else asked.duration), LATEST.timestamp())
        self.over = math.inf if asked.resolve_after is None else self.start + asked.resolve_after
        self.turns: RoundRobinTurns = {}
        self.lanes = [SimulatedGroup(group, integration, roster, self.turns) for group, integration in self.entry.oncall]
        clock = VirtualClock()
        for lane in self.lanes:
            lane.alerts = {"": SimulatedFiring(self.entry.labels, ends=self.over)}
            lane.look = self.start + lane.group.group_wait
            clock.follow(lane)
            for user, seconds in asked.answers:
                clock.plan(self.start + seconds, ANSWER_RANK, lane, partial(self._answer, lane, user))
        clock.run(self.end)

    def _answer(self, lane: SimulatedGroup, user: str, now: float) -> None:
        name, course = person_name(self.entry.config, user), lane.course
        if course is None:
            lane.say(now, f"{name} has nothing to answer yet.")
            return
        refused = lane.act(Acknowledge(user=user, via="simulation"), now)
        if refused:
            lane.say(now, f"{name} need not answer: it is {course.incident.state}.")


def _refuse_unknown_users(config: Config, answers: Sequence[tuple[str, float]]) -> None:
    for user, _ in answers:
        if user not in config.users:
            raise NotFound(f"there is no user {user!r}{hint(user, config.users)}")


def simulate(asked: SimulationRequest, roster: Roster) -> dict[str, Any]:
    """The JSON of the command: pages that arrive from then on, in order of time. Raises NotFound for an unknown person."""
    done = Simulation(asked, roster)
    pages = [page for lane in done.lanes for course in lane.courses for page in course.pages]
    return done.entry.document(done.start, sorted(pages, key=lambda page: page.due), roster)


POLICY_RUN_SECONDS = 86400.0  # seconds that the policy is followed

_REDUNDANT_KINDS = ("opened", "sent", "step")  # entries that the pages tell as well


class PolicyRunEvent(NamedTuple):
    """One thing that happens, so many seconds after the incident opens: a page that arrives, or what the timeline says."""

    seconds: float
    at: datetime
    entry: TimelineEntry
    page: Page | None


def run_policy(policy: Policy, labels: Mapping[str, str], at: datetime, roster: Roster) -> list[PolicyRunEvent]:
    """What happens from `at` (aware), when the incident opens, for a day at most."""
    start, common = to_utc(at), dict(labels)
    now = start.timestamp()
    incident = Incident(
        id=new_id(), title=default_title(common, common), policy=policy.name, plan=policy, common_labels=common, firing=1, started_at=now
    )
    course = SimulatedIncident(incident, roster, {})
    course.run(now + POLICY_RUN_SECONDS)
    found = []
    for entry, page in course.facts:
        if page or entry.kind not in _REDUNDANT_KINDS:
            found.append(PolicyRunEvent(entry.at - now, datetime.fromtimestamp(entry.at, start.tzinfo), entry, page))
    return found
