"""`amproxy simulate`: an alert that comes in at the raw door and keeps firing, under a virtual clock."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import msgspec

from amproxy.config.read.cursor import hint
from amproxy.config.structs import Config
from amproxy.errors import NotFound
from amproxy.machine.events import Acknowledge
from amproxy.oncall.roster import Roster
from amproxy.simulation.alert import Entry
from amproxy.simulation.clock import Timetable
from amproxy.simulation.group import ANSWER, Firing, Lane
from amproxy.simulation.incident import Turns
from amproxy.simulation.terminal import person
from amproxy.zones import LATEST, instant

DAY = 86400.0  # seconds that are simulated where nobody says how long


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the simulation is of."""

    labels: Mapping[str, str]
    at: datetime  # aware: when the alert comes in
    duration: float | None = None  # seconds to look ahead; None = until the policies have ended, a day at most
    answers: Sequence[tuple[str, float]] = ()  # who acknowledges, so many seconds after `at`
    resolve_after: float | None = None  # seconds after `at` at which the alert ends; None = it keeps firing


class Simulation:
    """Runs when made; then `lanes` tells what happened up to `end`. Raises NotFound for an unknown person."""

    def __init__(self, asked: Asked, roster: Roster) -> None:
        config = roster.config
        _refuse_unknown(config, asked.answers)
        self.asked, self.roster, self.entry = asked, roster, Entry(config, asked.labels)
        self.start = instant(asked.at).timestamp()
        self.end = min(self.start + (DAY if asked.duration is None else asked.duration), LATEST.timestamp())
        self.over = math.inf if asked.resolve_after is None else self.start + asked.resolve_after
        self.turns: Turns = {}
        self.lanes = [Lane(group, integration, roster, self.turns) for group, integration in self.entry.oncall]
        clock = Timetable()
        for lane in self.lanes:
            lane.alerts = {"": Firing(self.entry.labels, ends=self.over)}
            lane.look = self.start + lane.group.group_wait
            clock.follow(lane)
            for user, seconds in asked.answers:
                clock.plan(self.start + seconds, ANSWER, lane, partial(self._answer, lane, user))
        clock.run(self.end)

    def _answer(self, lane: Lane, user: str, now: float) -> None:
        name, course = person(self.entry.config, user), lane.course
        if course is None:
            lane.say(now, f"{name} has nothing to answer yet.")
            return
        refused = lane.act(Acknowledge(user=user, via="simulation"), now)
        if refused:
            lane.say(now, f"{name} need not answer: it is {course.incident.state}.")


def _refuse_unknown(config: Config, answers: Sequence[tuple[str, float]]) -> None:
    for user, _ in answers:
        if user not in config.users:
            raise NotFound(f"there is no user {user!r}{hint(user, config.users)}")


def simulate(asked: Asked, roster: Roster) -> dict[str, Any]:
    """The JSON of the command: pages that arrive from then on, in order of time. Raises NotFound for an unknown person."""
    done = Simulation(asked, roster)
    pages = [page for lane in done.lanes for course in lane.courses for page in course.pages]
    return done.entry.document(done.start, sorted(pages, key=lambda page: page.due), roster)
